"""Matrix products of other libraries, by the places of their arguments."""

from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten
from goodput.formulas.aten_matrix import contraction_of
from goodput.formulas.modes import mode_of
from goodput.formulas.registry import is_unseen, work_of
from goodput.work import Call, TensorSpec

assert goodput.formulas.aten.MODULES
SIZE = st.integers(1, 64)


def spec(*shape: int, dtype: str = "int8") -> TensorSpec:
    return TensorSpec(shape, dtype)


def gemm(a: TensorSpec, turned: int, b: TensorSpec, d: TensorSpec, bias: TensorSpec, grad: int):
    empty = spec(0, dtype="float32")
    first = (a, empty, 0, 7, turned)
    second = (b, empty, 0, 7, 0)
    result = (d, empty, 6, empty, bias, 6, empty, grad, empty, 0, 0, 1)
    return Call("tex_ts::te_gemm_ts", (*first, *second, *result))


@given(SIZE, SIZE, SIZE)
def test_transformer_engine(m, n, k) -> None:
    none, bias = spec(0, dtype="bfloat16"), spec(n, dtype="bfloat16")
    result = spec(m, n, dtype="bfloat16")
    # Forward: the weight [n, k] is turned; for the input's gradient it is not.
    forward = gemm(spec(n, k, dtype="uint8"), 1, spec(m, k, dtype="uint8"), result, bias, 0)
    found = work_of(forward)
    assert found is not None
    assert found.flops == 2 * m * n * k
    assert found.vector_flops == m * n
    assert mode_of(forward) == "float8_e4m3"
    backward = gemm(spec(k, n, dtype="bfloat16"), 0, spec(m, k, dtype="bfloat16"), result, none, 0)
    product = contraction_of(backward)
    assert product is not None
    assert (product.m, product.n, product.k, product.mode) == (m, n, k, "bfloat16")
    gradient = gemm(spec(n, k, dtype="bfloat16"), 1, spec(m, k, dtype="bfloat16"), result, bias, 1)
    assert work_of(gradient).vector_flops == 0  # the bias is an output there


@given(SIZE, SIZE, SIZE)
def test_integer_products(m, n, k) -> None:
    left, right, scale = spec(m, k), spec(n, k), spec(n, dtype="float16")
    rows = spec(m, dtype="float32")
    half = spec(n, k // 2 + 1)
    calls = {
        "int8": [
            Call("bitsandbytes::int8_linear_matmul", (left, right)),
            Call("bitsandbytes::int8_scaled_mm", (left, right, rows, scale, None, 5)),
            Call("torchao::rowwise_scaled_linear_cutlass_s8s4", (left, rows, half, scale)),
        ],
        "int4": [
            Call(
                "torchao::rowwise_scaled_linear_cutlass_s4s4",
                (spec(m, k), rows, spec(n, k), scale),
            )
        ],
    }
    for mode, group in calls.items():
        for call in group:
            found = work_of(call)
            assert found is not None, call.name
            assert found.flops == 2 * m * n * k * (2 if mode == "int4" else 1), call.name
            assert mode_of(call) == mode
            assert is_unseen(call.name)
