from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten
from goodput.formulas.aten_matrix import contraction_of
from goodput.formulas.registry import has_formula, work_of
from goodput.work import Call, Contraction, TensorSpec, Work

SIZE = st.integers(0, 4096)
assert goodput.formulas.aten.MODULES


def spec(*shape: int, dtype: str = "float32", strides: tuple[int, ...] = ()) -> TensorSpec:
    return TensorSpec(shape, dtype, strides)


def flops(name: str, *inputs) -> int:
    work = work_of(Call(name, inputs))
    assert work is not None
    assert work.dense_flops == work.flops
    assert work.recompute_flops == work.padding_flops == 0
    return work.flops


@given(SIZE, SIZE, SIZE, SIZE)
def test_the_family_agrees_with_the_closed_form(b: int, m: int, n: int, k: int) -> None:
    whole = 2 * m * n * k
    assert flops("aten::mm", spec(m, k), spec(k, n)) == whole
    assert flops("aten::addmm", spec(n), spec(m, k), spec(k, n), 1, 1) == whole
    assert flops("aten::addmm_", spec(m, n), spec(m, k), spec(k, n)) == whole
    assert flops("aten::_addmm_activation", spec(n), spec(m, k), spec(k, n)) == whole
    assert flops("aten::mkldnn_linear", spec(b, m, k), spec(n, k), spec(n)) == b * whole
    assert flops("aten::bmm", spec(b, m, k), spec(b, k, n)) == b * whole
    assert flops("aten::baddbmm", spec(b, m, n), spec(b, m, k), spec(b, k, n)) == b * whole
    assert flops("aten::addbmm", spec(m, n), spec(b, m, k), spec(b, k, n)) == b * whole
    assert flops("aten::mv", spec(m, k), spec(k)) == 2 * m * k
    assert flops("aten::addmv_", spec(m), spec(m, k), spec(k)) == 2 * m * k
    assert flops("aten::dot", spec(k), spec(k)) == flops("aten::vdot", spec(k), spec(k)) == 2 * k


def test_work_of_a_linear_layer_column_by_column() -> None:
    call = Call("aten::addmm", (spec(7), spec(3, 5), spec(5, 7, strides=(1, 5)), 1, 1))
    assert work_of(call) == Work(
        flops=2 * 3 * 5 * 7,
        dense_flops=2 * 3 * 5 * 7,
        vector_flops=3 * 7,
        bytes_read=4 * (7 + 15 + 35),
        bytes_written=4 * 21,
    )


def test_beta_zero_neither_reads_nor_adds_the_addend() -> None:
    base = (spec(3, 7), spec(3, 5), spec(5, 7))
    zero = work_of(Call("aten::addmm", (*base, 0, 1)))
    assert zero is not None
    assert zero.vector_flops == 0
    assert zero.bytes_read == 4 * (15 + 35)
    scaled = work_of(Call("aten::addmm", (*base, 2, 3)))
    assert scaled is not None
    assert scaled.vector_flops == 3 * 21


def test_a_dtype_overload_is_seen_with_or_without_its_name() -> None:
    half = (spec(3, 7), spec(3, 5, dtype="bfloat16"), spec(5, 7, dtype="bfloat16"))
    inputs = (*half, 6, 0, 1)
    unnamed = work_of(Call("aten::addmm", inputs))
    assert unnamed == work_of(Call("aten::addmm", inputs, attributes={"overload": "dtype"}))
    assert unnamed is not None
    assert unnamed.bytes_written == 4 * 21
    assert unnamed.vector_flops == 0


def test_an_out_variant_is_the_same_work() -> None:
    pair = (spec(3, 5), spec(5, 7))
    assert work_of(Call("aten::mm", (*pair, spec(3, 7)))) == work_of(Call("aten::mm", pair))
    three = (spec(7), *pair, 1, 1)
    with_out = work_of(Call("aten::addmm", (*three, spec(3, 7))))
    assert with_out == work_of(Call("aten::addmm", three))


def test_a_broadcast_operand_is_read_once() -> None:
    call = Call("aten::bmm", (spec(8, 3, 5, strides=(0, 5, 1)), spec(8, 5, 7)))
    work = work_of(call)
    assert work is not None
    assert work.bytes_read == 4 * (15 + 8 * 35)


def test_complex_products_are_four_real_ones() -> None:
    pair = (spec(8, 16, dtype="complex64"), spec(16, 5, dtype="complex64"))
    assert flops("aten::mm", *pair) == 8 * 8 * 16 * 5


def test_activation_epilogues() -> None:
    base = (spec(7), spec(3, 5), spec(5, 7), 1, 1)
    relu = work_of(Call("aten::_addmm_activation", (*base, False)))
    gelu = work_of(Call("aten::_addmm_activation", (*base, True)))
    assert relu is not None
    assert gelu is not None
    assert (relu.vector_flops, relu.special) == (21 + 21, 0)
    assert (gelu.vector_flops, gelu.special) == (21 + 4 * 21, 21)


def test_scaled_products() -> None:
    fp8 = (spec(16, 32, dtype="float8_e4m3"), spec(32, 48, dtype="float8_e4m3"))
    scaled = work_of(Call("aten::_scaled_mm", (*fp8, spec(), spec(), None, None, 15, False)))
    assert scaled == Work(
        flops=2 * 16 * 32 * 48,
        dense_flops=2 * 16 * 32 * 48,
        vector_flops=16 * 48,
        bytes_read=16 * 32 + 32 * 48 + 8,
        bytes_written=2 * 16 * 48,
    )
    lists = ((spec(),), (0,), (0,))
    newer = work_of(Call("aten::_scaled_mm_v2", (*fp8, *lists, *lists, None, 15)))
    assert newer == scaled


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), SIZE, SIZE)
def test_a_grouped_product_is_the_sum_of_its_groups(groups: list[int], n: int, k: int) -> None:
    total, count = sum(groups), len(groups)
    offsets = spec(count, dtype="int32")
    expected = sum(2 * rows * n * k for rows in groups)
    rows = (spec(total, k), spec(count, k, n), offsets)
    columns = (spec(count, n, k), spec(k, total), offsets)
    reduction = (spec(n, total), spec(total, k), offsets)
    assert flops("aten::_grouped_mm", *rows) == expected
    assert flops("aten::_grouped_mm", *columns) == expected
    assert flops("aten::_grouped_mm", *reduction) == expected
    written = work_of(Call("aten::_grouped_mm", reduction))
    assert written is not None
    assert written.bytes_written == 4 * count * n * k


def test_pointwise_linear_of_onednn() -> None:
    x, w, b = spec(2, 3, 5), spec(7, 5), spec(7)
    plain = work_of(Call("mkldnn::_linear_pointwise", (x, w, b, "none", (), "")))
    relu = work_of(Call("mkldnn::_linear_pointwise", (x, w, b, "relu", (), "")))
    added = work_of(Call("mkldnn::_linear_pointwise", (x, spec(2, 3, 7), w, b, "add")))
    assert plain is not None
    assert plain.flops == 2 * 6 * 5 * 7
    assert relu == plain + Work(vector_flops=42)
    assert added == plain + Work(vector_flops=42, bytes_read=4 * 42)


def test_an_outer_product_is_vector_work() -> None:
    work = work_of(Call("aten::addr", (spec(3, 4), spec(3), spec(4))))
    assert work is not None
    assert (work.flops, work.vector_flops) == (0, 24)


def test_a_sparse_operand_counts_its_stored_elements() -> None:
    sparse = Call("aten::mm", (spec(64, 64), spec(64, 8)), attributes={"nnz": 64})
    assert work_of(sparse) == Work(
        flops=1024,
        dense_flops=1024,
        bytes_read=64 * (4 + 8) + 4 * 64 * 8,
        bytes_written=4 * 64 * 8,
    )
    assert contraction_of(sparse) is None
    vector = work_of(Call("aten::mv", (spec(64, 64), spec(64)), attributes={"nnz": 10}))
    assert vector is not None
    assert (vector.flops, vector.bytes_written) == (20, 256)
    addend = Call("aten::addmm", (spec(8), spec(3, 4), spec(4, 8)), attributes={"nnz": 10})
    assert work_of(addend) is None


def test_contraction_of_says_shape_and_mode() -> None:
    call = Call("aten::addmm", (spec(7), spec(3, 5), spec(5, 7)), attributes={"tf32": True})
    assert contraction_of(call) == Contraction(1, 3, 7, 5, "tf32")
    summed = Call("aten::addbmm", (spec(3, 7), spec(2, 3, 5), spec(2, 5, 7)))
    assert contraction_of(summed) == Contraction(1, 3, 7, 10, "float32")
    assert contraction_of(Call("aten::mm")) is None
    assert contraction_of(Call("aten::add", (spec(3), spec(3)))) is None


def test_a_call_without_shapes_is_unknown_not_zero() -> None:
    names = ("mm", "bmm", "addmm", "baddbmm_", "addbmm", "mv", "addmv", "dot", "_int_mm", "addr")
    names += ("_scaled_mm", "_scaled_mm_v2", "_grouped_mm", "_scaled_grouped_mm", "mkldnn_linear")
    assert [work_of(Call(f"aten::{name}")) for name in names] == [None] * len(names)


@pytest.mark.parametrize("name", ["linear", "matmul", "einsum", "tensordot", "outer", "bilinear"])
def test_composites_are_left_to_what_runs_inside_them(name: str) -> None:
    assert not has_formula(f"aten::{name}")


def test_pytorch_calls_are_read_as_they_come(calls_of) -> None:
    torch = pytest.importorskip("torch")

    def program() -> None:
        a, b, v = torch.ones(8, 16), torch.ones(16, 5), torch.ones(16)
        torch.nn.functional.linear(a, b.t(), torch.ones(5))
        torch.einsum("bij,bjk->bik", torch.ones(3, 8, 16), torch.ones(3, 16, 5))
        torch.mm(a, b, out=torch.empty(8, 5))
        torch.zeros(8, 5).addmm_(a, b)
        torch.baddbmm(torch.ones(3, 8, 5), torch.ones(3, 8, 16), torch.ones(3, 16, 5), beta=2)
        (a @ v).dot(a @ v)
        torch._int_mm(torch.ones(32, 32, dtype=torch.int8), torch.ones(32, 32, dtype=torch.int8))
        offsets = torch.tensor([8, 24, 32], dtype=torch.int32)
        half = torch.bfloat16
        torch._grouped_mm(
            torch.ones(32, 64, dtype=half), torch.ones(3, 64, 48, dtype=half), offsets
        )

    counted = [
        work.flops
        for call in calls_of(program)
        if contraction_of(call) and (work := work_of(call)) is not None
    ]
    one = 2 * 8 * 16 * 5
    assert counted == [one, 3 * one, one, one, 3 * one, 256, 256, 16, 2 * 32**3, 2 * 32 * 64 * 48]


def test_bytes_written_are_those_of_the_real_outputs(calls_of) -> None:
    torch = pytest.importorskip("torch")
    half = torch.bfloat16

    def program() -> None:
        torch.mm(torch.ones(4, 6, dtype=half), torch.ones(6, 5, dtype=half))
        torch.addmv(torch.ones(4), torch.ones(4, 6), torch.ones(6))
        torch.addbmm(torch.ones(4, 5), torch.ones(2, 4, 6), torch.ones(2, 6, 5))
        torch._int_mm(torch.ones(32, 32, dtype=torch.int8), torch.ones(32, 32, dtype=torch.int8))
        torch.ops.aten._addmm_activation(torch.ones(5), torch.ones(4, 6), torch.ones(6, 5))

    for call in (call for call in calls_of(program) if contraction_of(call)):
        work = work_of(call)
        assert work is not None
        assert work.bytes_written == sum(output.bytes for output in call.outputs), call.name
