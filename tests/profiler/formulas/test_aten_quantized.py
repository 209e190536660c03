"""Quantised products: the FLOPs of the product that they stand for, the bytes of packed weights."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten
from goodput.formulas.aten_matrix import contraction_of
from goodput.formulas.modes import mode_of
from goodput.formulas.registry import work_of
from goodput.work import Call, Contraction, TensorSpec, Work

assert goodput.formulas.aten.MODULES

SIZE, GROUPS = st.integers(1, 50), st.integers(1, 8)
GROUP = 32


def spec(*shape: int, dtype: str = "bfloat16") -> TensorSpec:
    return TensorSpec(shape, dtype)


def found(name: str, *inputs) -> Work:
    work = work_of(Call(f"aten::{name}", inputs))
    assert work is not None
    return work


@given(SIZE, SIZE, SIZE)
def test_products_of_integers(m: int, n: int, k: int) -> None:
    work = found("_int_mm", spec(m, k, dtype="int8"), spec(k, n, dtype="int8"))
    flops = 2 * m * n * k
    assert work == Work(flops, flops, bytes_read=m * k + k * n, bytes_written=4 * m * n)


@given(SIZE, SIZE, SIZE)
def test_int8_weights_are_scaled_by_column(m: int, n: int, k: int) -> None:
    work = found("_weight_int8pack_mm", spec(m, k), spec(n, k, dtype="int8"), spec(n))
    assert (work.flops, work.vector_flops) == (2 * m * n * k, m * n)
    assert (work.bytes_read, work.bytes_written) == (2 * m * k + n * k + 2 * n, 2 * m * n)


@given(SIZE, SIZE, GROUPS)
def test_int4_weights_are_unpacked_once_each(m: int, n: int, groups: int) -> None:
    k = groups * GROUP
    packed, pairs = spec(n, k // 2, dtype="uint8"), spec(groups, n, 2)
    work = found("_weight_int4pack_mm_for_cpu", spec(m, k), packed, GROUP, pairs)
    assert (work.flops, work.vector_flops) == (2 * m * n * k, 2 * n * k)
    assert work.bytes_read == 2 * m * k + n * k // 2 + 4 * groups * n
    assert work.bytes_written == 2 * m * n
    apart = (packed, GROUP, spec(groups, n), spec(groups, n))
    assert found("_weight_int4pack_mm_with_scales_and_zeros", spec(m, k), *apart) == work


def test_the_packing_of_a_gpu_says_nothing_of_the_columns() -> None:
    packed = spec(4096 // 8, 4096 // (8 * 16), 32, 4, dtype="int32")
    work = found("_weight_int4pack_mm", spec(1, 4096), packed, 128, spec(32, 4096, 2))
    assert work.flops == 2 * 4096 * 4096
    assert work.bytes_read == 2 * 4096 + 4096 * 4096 // 2 + 2 * 32 * 4096 * 2


@given(SIZE, SIZE, SIZE)
def test_mixed_dtypes(m: int, n: int, k: int) -> None:
    inputs = (spec(m, k, dtype="float16"), spec(k, n, dtype="int8"), spec(n, dtype="float16"))
    plain = found("_mixed_dtypes_linear", *inputs)
    assert (plain.flops, plain.vector_flops) == (2 * m * n * k, m * n)
    rich = found("_mixed_dtypes_linear", *inputs, spec(n, dtype="float16"), "relu")
    assert rich == plain + Work(vector_flops=2 * m * n, bytes_read=2 * n)


@given(SIZE, SIZE, GROUPS)
def test_activations_quantised_as_they_come(m: int, n: int, groups: int) -> None:
    k = groups * GROUP
    packed = spec(n * (k // 2 + 4), dtype="uint8")
    call = Call("aten::_dyn_quant_matmul_4bit", (spec(m, k, dtype="float32"), packed, GROUP, k, n))
    work = work_of(call)
    assert work is not None
    assert work.flops == 2 * m * n * k
    assert work.vector_flops == 4 * m * k + 2 * m * n * groups
    assert (work.bytes_read, work.bytes_written) == (4 * m * k + n * (k // 2 + 4), 4 * m * n)
    assert mode_of(call) == "int8"
    assert contraction_of(call) == Contraction(1, m, n, k, "int8")


def test_the_mode_of_weights_only_is_that_of_the_activations() -> None:
    call = Call("aten::_weight_int4pack_mm", (spec(3, 64), spec(8, 4), GROUP, spec(2, 8, 2)))
    assert mode_of(call) == "bfloat16"


def test_as_pytorch_runs_them(calls_of) -> None:
    torch = pytest.importorskip("torch")
    aten, half = torch.ops.aten, torch.bfloat16
    x, m, n, k = torch.randn(4, 64), 4, 32, 64

    def program() -> None:
        aten._weight_int8pack_mm(
            x.to(half), torch.ones(n, k, dtype=torch.int8), torch.ones(n, dtype=half)
        )
        fours = torch.ones(n, k, dtype=torch.int32)
        packed = aten._convert_weight_to_int4pack_for_cpu(fours, 1)
        aten._weight_int4pack_mm_for_cpu(
            x.to(half), packed, GROUP, torch.ones(k // GROUP, n, 2, dtype=half)
        )
        nibbles = torch.ones(n, k // 2, dtype=torch.uint8)
        weights = aten._dyn_quant_pack_4bit_weight(
            nibbles, torch.ones(n, k // GROUP), None, GROUP, k, n
        )
        aten._dyn_quant_matmul_4bit(x, weights, GROUP, k, n)

    counted = [call for call in calls_of(program) if contraction_of(call)]
    assert len(counted) == 3
    for call in counted:
        work = work_of(call)
        assert work is not None
        assert work.flops == 2 * m * n * k, call.name
        assert work.bytes_written == sum(output.bytes for output in call.outputs), call.name


NAMES = ("_int_mm", "_weight_int8pack_mm", "_weight_int4pack_mm", "_mixed_dtypes_linear")
NAMES += ("_weight_int4pack_mm_with_scales_and_zeros", "_dyn_quant_matmul_4bit")


def test_calls_without_shapes_are_unknown() -> None:
    assert [work_of(Call(f"aten::{name}")) for name in NAMES] == [None] * len(NAMES)
