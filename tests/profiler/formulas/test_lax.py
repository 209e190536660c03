"""The formulas of JAX's primitives meet closed forms, on calls made by hand: no jax is needed."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.lax
from goodput.errors import FormulaError
from goodput.formulas import aten_pointwise
from goodput.formulas.lax_collective import COLLECTIVES
from goodput.formulas.lax_contraction import contraction_of, multiplies_many
from goodput.formulas.lax_pointwise import ROWS
from goodput.formulas.modes import mode_of
from goodput.formulas.registry import has_formula, work_of
from goodput.work import Call, Contraction, TensorSpec, Work

SIZE, BATCH = st.integers(1, 20), st.integers(1, 4)


def f32(*shape: int, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(shape, dtype)


def work(name: str, *inputs: Any, out: TensorSpec | tuple[TensorSpec, ...], **names: Any) -> Work:
    outputs = out if isinstance(out, tuple) else (out,)
    found = work_of(Call(f"lax::{name}", inputs, outputs, names))
    assert found is not None
    return found


def test_every_module_registers() -> None:
    assert len(goodput.formulas.lax.MODULES) == 8
    assert has_formula("lax::dot_general")
    assert has_formula("lax::dot_product_attention_fwd")
    assert not has_formula("lax::no_such_primitive")


# --- products -------------------------------------------------------------------------------------


@given(batch=BATCH, m=SIZE, n=SIZE, k=SIZE, shuffled=st.booleans())
def test_a_product(batch: int, m: int, n: int, k: int, shuffled: bool) -> None:
    left = f32(k, m, batch) if shuffled else f32(batch, m, k)
    right = f32(n, batch, k) if shuffled else f32(batch, k, n)
    numbers = (((0,), (2,)), ((2,), (1,))) if shuffled else (((2,), (1,)), ((0,), (0,)))
    call = Call(
        "lax::dot_general", (left, right), (f32(batch, m, n),), {"dimension_numbers": numbers}
    )
    found = work_of(call)
    assert found is not None
    assert found.flops == found.dense_flops == 2 * batch * m * n * k
    assert found.bytes_read == 4 * batch * (m * k + k * n)
    assert found.bytes_written == 4 * batch * m * n
    assert contraction_of(call) == Contraction(batch, m, n, k, "float32")
    assert multiplies_many(call)


MATRICES = (((1,), (0,)), ((), ()))


@pytest.mark.parametrize(
    ("dtype", "names", "mode", "factor"),
    [
        ("bfloat16", {}, "bfloat16", 1),
        ("float32", {"tf32": True}, "tf32", 1),
        ("float8_e4m3", {}, "float8_e4m3", 1),
        ("int8", {}, "int8", 1),
        ("complex64", {}, "float32", 4),
    ],
)
def test_the_mode_of_a_product(dtype: str, names: Any, mode: str, factor: int) -> None:
    inputs = f32(3, 4, dtype=dtype), f32(4, 5, dtype=dtype)
    call = Call("lax::dot_general", inputs, (f32(3, 5),), {"dimension_numbers": MATRICES, **names})
    found = work_of(call)
    assert mode_of(call) == mode
    assert found is not None
    assert found.flops == factor * 2 * 3 * 4 * 5
    assert not multiplies_many(call)


def test_a_product_with_scales_of_blocks() -> None:
    left, right = f32(2, 8, 64, dtype="float8_e4m3"), f32(2, 5, 64, dtype="float8_e4m3")
    scales = f32(2, 8, 2, dtype="float8_e8m0fnu"), f32(2, 5, 2, dtype="float8_e8m0fnu")
    found = work("scaled_matmul_wrapper", left, right, *scales, out=f32(2, 8, 5))
    assert found.flops == 2 * 2 * 8 * 5 * 64


@given(groups=BATCH, m=SIZE, n=SIZE, k=SIZE)
def test_a_ragged_product_and_the_gradient_of_its_matrices(
    groups: int, m: int, n: int, k: int
) -> None:
    sizes = f32(groups, dtype="int32")
    free = work(
        "ragged_dot_general",
        *(f32(m, k), f32(groups, k, n), sizes),
        out=f32(m, n),
        dot_dimension_numbers=(((1,), (1,)), ((), ())),
        rhs_group_dimensions=(0,),
    )
    summed = work(
        "ragged_dot_general",
        *(f32(m, k), f32(m, n), sizes),
        out=f32(groups, k, n),
        dot_dimension_numbers=(((0,), (0,)), ((), ())),
        rhs_group_dimensions=(),
    )
    assert free.flops == summed.flops == 2 * m * n * k


@given(stored=SIZE, columns=SIZE)
def test_a_stored_matrix_is_as_much_as_it_stores(stored: int, columns: int) -> None:
    indices, numbers = f32(stored, 2, dtype="int32"), MATRICES
    found = work(
        "bcoo_dot_general",
        *(f32(stored), indices, f32(64, columns)),
        out=f32(64, columns),
        dimension_numbers=numbers,
    )
    assert found.flops == 2 * stored * columns


def test_a_product_without_its_numbers_is_an_error() -> None:
    with pytest.raises(FormulaError, match="has no dimension numbers"):
        work("dot_general", f32(3, 4), f32(4, 5), out=f32(3, 5), dimension_numbers=3)


# --- convolutions ---------------------------------------------------------------------------------

NCHW = ((0, 1, 2), (0, 1, 2), (0, 1, 2))


def convolution(image: Any, weight: Any, out: Any, **names: Any) -> int:
    names = {"dimension_numbers": NCHW, "lhs_dilation": (1,), "window_strides": (1,)} | names
    inputs = f32(*image), f32(*weight)
    return work("conv_general_dilated", *inputs, out=f32(*out), **names).flops


def test_padding_taps_count() -> None:
    # Same padding: eight positions under three taps, two of which lie outside.
    assert convolution((2, 4, 8), (6, 4, 3), (2, 6, 8)) == 2 * 2 * 8 * 6 * 4 * 3


def test_zeros_between_pixels_do_not() -> None:
    found = convolution((2, 4, 8), (6, 4, 3), (2, 6, 17), lhs_dilation=(2,))
    assert found == 2 * 2 * 8 * 6 * 4 * 3


@given(size=st.integers(3, 9), kernel=st.integers(1, 3), stride=st.integers(1, 3))
def test_each_gradient_is_as_much_as_the_forward_pass(size: int, kernel: int, stride: int) -> None:
    positions = (size - kernel) // stride + 1
    image, weight, out = (2, 4, size), (6, 4, kernel), (2, 6, positions)
    forward = convolution(image, weight, out, window_strides=(stride,))
    of_image = convolution(out, (4, 6, kernel), image, lhs_dilation=(stride,), gradient="input")
    swapped = ((1, 0, 2), (1, 0, 2), (1, 0, 2))
    of_weight = convolution(image, out, weight, dimension_numbers=swapped, gradient="weight")
    assert forward == of_image == of_weight


# --- vector arithmetic ----------------------------------------------------------------------------

SAME = {
    **{name: name for name in ROWS if name in aten_pointwise.ARITHMETIC},
    "asin": "asin",
    "erf_inv": "erfinv",
    "logistic": "sigmoid",
    "max": "clamp_min",
    "rem": "remainder",
}


@pytest.mark.parametrize("name", SAME)
def test_an_elementwise_primitive_costs_what_torchs_does(name: str) -> None:
    theirs, ours = aten_pointwise.ARITHMETIC[SAME[name]], ROWS[name]
    assert (ours.flops, ours.special) == (theirs.flops, theirs.special)
    if theirs.complex_flops is not None:
        assert ours.complex_flops == theirs.complex_flops


@given(rows=SIZE, columns=SIZE)
def test_elements_are_counted_once_and_integers_not(rows: int, columns: int) -> None:
    spec, n = f32(rows, columns), rows * columns
    assert work("add", spec, spec, out=spec) == Work(
        vector_flops=n, bytes_read=8 * n, bytes_written=4 * n
    )
    assert work("exp", spec, out=spec).special == n
    whole = f32(rows, columns, dtype="int32")
    assert work("add", whole, whole, out=whole).vector_flops == 0
    assert work("mul", spec, 2.0, out=spec).bytes_read == 4 * n
    assert work("convert_element_type", spec, out=whole).vector_flops == 0


def test_the_magnitude_of_complex_numbers() -> None:
    found = work("abs", f32(5, dtype="complex64"), out=f32(5))
    assert found.vector_flops == 15


@pytest.mark.parametrize(
    ("power", "flops"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (7, 4), (8, 3), (-1, 1), (-2, 2)]
)
def test_a_whole_power_goes_by_squaring(power: int, flops: int) -> None:
    assert work("integer_pow", f32(10), out=f32(10), y=power).vector_flops == 10 * flops


# --- reductions -----------------------------------------------------------------------------------


@given(rows=SIZE, columns=SIZE)
def test_reductions_and_running_ones(rows: int, columns: int) -> None:
    source = f32(rows, columns)
    for name in ("reduce_sum", "reduce_max", "argmax"):
        assert work(name, source, out=f32(rows)).vector_flops == rows * (columns - 1)
    found = work("cumsum", source, out=source, axis=1, reverse=False)
    assert found.vector_flops == rows * (columns - 1)
    found = work("cumlogsumexp", source, out=source, axis=0)
    assert found.vector_flops == 2 * found.special == 4 * (rows - 1) * columns
    assert work("sort", source, out=source).vector_flops == 0


def test_windows() -> None:
    out = f32(2, 4, 4)
    found = work("reduce_window_max", f32(2, 8, 8), out=out, window_dimensions=(1, 2, 2))
    assert found.vector_flops == 32 * 3
    back = work("select_and_scatter_add", out, f32(2, 8, 8), out=f32(2, 8, 8))
    assert back.vector_flops == 32


# --- factorisations -------------------------------------------------------------------------------


@given(batch=BATCH, n=SIZE, columns=SIZE)
def test_factorisations(batch: int, n: int, columns: int) -> None:
    square, right = f32(batch, n, n), f32(batch, n, columns)
    assert work("cholesky", square, out=square).flops == batch * (n**3 // 3)
    assert work("lu", square, out=square).flops == batch * (2 * n**3 // 3)
    solved = work("triangular_solve", square, right, out=right, left_side=True)
    assert solved.flops == batch * n * n * columns
    turned = f32(batch, columns, n)
    assert work("triangular_solve", square, turned, out=turned).flops == solved.flops
    wide = f32(batch, n, n, dtype="complex64")
    assert work("cholesky", wide, out=wide).flops == 4 * batch * (n**3 // 3)
    bare = work("svd", square, out=square, compute_uv=False)
    assert bare.flops <= work("svd", square, out=square, full_matrices=False).flops
    assert work("qr", square, out=(square, square)).flops >= batch * (4 * n**3 // 3 - 1)


@pytest.mark.parametrize(("kind", "parts"), [("FFT", 1), ("IFFT", 1), ("RFFT", 2), ("IRFFT", 2)])
def test_a_transform_is_never_useful(kind: str, parts: int) -> None:
    dtype = "complex64" if kind == "FFT" else "float32"
    source = f32(8, 1024, dtype=dtype)
    out = f32(8, 1024)
    found = work("fft", source, out=out, fft_type=kind, fft_lengths=(1024,))
    assert found.flops == 0
    assert found.vector_flops == 5 * 8 * 1024 * 10 // parts


# --- movement and communication -------------------------------------------------------------------


def test_moving_takes_bytes_and_naming_takes_nothing() -> None:
    table, rows = f32(1000, 64), f32(16, 1, dtype="int32")
    picked = work("gather", table, rows, out=f32(16, 64))
    assert picked.bytes_read == 16 * 64 * 4 + 16 * 4
    assert work("slice", table, out=f32(10, 64)).bytes == 2 * 10 * 64 * 4
    assert work("transpose", table, out=f32(64, 1000)).bytes == 2 * 64_000 * 4
    updated = work("dynamic_update_slice", table, f32(1, 64), 0, 0, out=table)
    assert updated.bytes == 2 * 64 * 4
    added = work("scatter-add", table, rows, f32(16, 64), out=table)
    assert added.vector_flops == 16 * 64
    for name in ("reshape", "broadcast_in_dim", "sharding_constraint", "stop_gradient", "name"):
        assert work(name, table, out=table) == Work()
    bits = work("random_bits", f32(dtype="key<fry>"), out=f32(8, dtype="uint32"))
    assert bits == Work(bytes_written=32)


@pytest.mark.parametrize("name", sorted(COLLECTIVES))
def test_a_collective_is_bytes(name: str) -> None:
    spec = f32(4, 8)
    found = work_of(Call(name, (spec,), (spec,)))
    assert found == Work(bytes_read=128, bytes_written=128)


def test_bytes_of_wide_unsigned_integers() -> None:
    sizes = {f"uint{bits}": bits // 8 for bits in (8, 16, 32, 64)}
    assert {name: f32(1, dtype=name).bytes for name in sizes} == sizes
    assert math.prod(sizes.values()) == 64
