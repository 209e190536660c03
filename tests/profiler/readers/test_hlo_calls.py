"""Calls of libraries in HLO, counted by their own configuration, against products by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.readers.hlo import Computation, Instruction, Program
from goodput.readers.hlo_work import Executed, executed
from goodput.work import TensorSpec

sizes = st.integers(1, 64)
# As XLA has them, whether the operand of a forward convolution is an image of NHWC or its gradient.
IMAGE, WEIGHT, OUT = (2, 16, 16, 3), (8, 3, 3, 3), (2, 16, 16, 8)
WINDOW = {
    "dimension_numbers": ((0, 3, 1, 2), (0, 3, 1, 2), (0, 3, 1, 2)),
    "window_strides": (1, 1),
    "lhs_dilation": (1, 1),
    "rhs_dilation": (1, 1),
    "feature_group_count": 1,
    "batch_group_count": 1,
}


def of_library(
    target: str,
    *shapes: tuple[int, ...],
    out: tuple[int, ...],
    config: Mapping[str, Any] | None = None,
    parameters: Mapping[str, object] | None = None,
    dtype: str = "float32",
    scratch: int = 4096,
) -> Executed:
    """One execution of a call that takes arrays of `shapes`, and has `scratch` bytes to work in."""
    operands = [
        Instruction(f"p.{number}", "parameter", (TensorSpec(shape, dtype),))
        for number, shape in enumerate(shapes)
    ]
    call = Instruction(
        "call",
        "custom-call",
        (TensorSpec(out, "float32"), TensorSpec((scratch,), "int8")),
        operands=tuple(operand.name for operand in operands),
        target=target,
        parameters=parameters or {},
        config=config or {},
    )
    place = Computation("main", {each.name: each for each in (*operands, call)}, "call")
    return executed(call, Program("module", {"main": place}, "main"))


def gemm(left: int, right: int, *batch: int) -> dict[str, Any]:
    """The configuration of a product that sums over dimension `left` of one and `right` of both."""
    numbers = {
        "lhs_contracting_dimensions": [str(left)],
        "rhs_contracting_dimensions": [str(right)],
        "lhs_batch_dimensions": [str(each) for each in batch],
        "rhs_batch_dimensions": [str(each) for each in batch],
    }
    return {"gemm_backend_config": {"alpha_real": 1, "beta": 0, "dot_dimension_numbers": numbers}}


@pytest.mark.parametrize("target", ["__cublas$gemm", "__cublas$lt$matmul"])
@given(m=sizes, n=sizes, k=sizes, batch=st.integers(1, 4))
def test_cublas_sums_over_the_dimension_that_it_says(
    target: str, m: int, n: int, k: int, batch: int
) -> None:
    shapes = (batch, k, m), (batch, n, k)
    found = of_library(target, *shapes, out=(batch, m, n), config=gemm(1, 2, 0))
    assert found.work is not None
    assert found.work.flops == 2 * batch * m * n * k
    assert found.work.bytes == 4 * batch * (k * m + n * k + m * n)  # none of the scratch


def test_a_product_of_float8_with_its_scales() -> None:
    shapes = (32, 64), (16, 64), (), ()
    config, dtype = gemm(1, 1), "float8_e4m3"
    found = of_library("__cublas$lt$matmul$f8", *shapes, out=(32, 16), config=config, dtype=dtype)
    assert found.work is not None
    assert (found.work.flops, found.mode) == (2 * 32 * 16 * 64, "float8_e4m3")


@pytest.mark.parametrize(
    ("target", "first", "second", "out"),
    [
        ("__cudnn$convForward", IMAGE, WEIGHT, OUT),
        ("__cudnn$convBiasActivationForward", IMAGE, WEIGHT, OUT),
        ("__cudnn$convBackwardInput", OUT, WEIGHT, IMAGE),
        ("__cudnn$convBackwardFilter", IMAGE, OUT, WEIGHT),
    ],
)
def test_each_convolution_of_cudnn_is_as_much_as_the_forward_one(
    target: str, first: tuple[int, ...], second: tuple[int, ...], out: tuple[int, ...]
) -> None:
    found = of_library(target, first, second, out=out, parameters=WINDOW)
    assert found.work is not None
    assert found.work.flops == 2 * 2 * 16 * 16 * 8 * 3 * 9


@given(m=sizes, n=sizes, k=sizes, turned=st.tuples(st.booleans(), st.booleans()))
def test_onednn_says_which_operand_is_transposed(
    m: int, n: int, k: int, turned: tuple[bool, bool]
) -> None:
    left, right = ((k, m) if turned[0] else (m, k)), ((n, k) if turned[1] else (k, n))
    said = {
        name: True
        for name, is_so in zip(("transpose_a", "transpose_b"), turned, strict=True)
        if is_so
    }
    config = {"onednn_matmul_config": said}
    found = of_library("__onednn$matmul", left, right, out=(m, n), config=config)
    assert found.work is not None
    assert found.work.flops == 2 * m * n * k


@pytest.mark.parametrize(
    ("target", "config"),
    [
        ("__onednn$matmul_reorder", {}),
        (
            "__onednn$matmul",
            {"onednn_matmul_config": {"optimization_config": {"weights_prepacked": True}}},
        ),
        ("__onednn$softmax", {}),
        ("__cublas$gemm", {}),
        ("__cudnn$convForward", {}),
        ("__cudnn$fmhaSoftmax", {"cudnn_fmha_backend_config": {"fmha_scale": 1.0}}),
        ("__gpu$xla.gpu.triton", {}),
    ],
)
def test_a_call_that_does_not_say_enough_is_named_and_not_guessed(
    target: str, config: dict[str, Any]
) -> None:
    found = of_library(target, (32, 64), (64, 16), out=(32, 16), config=config)
    assert found.work is None
    assert target in found.unknown


def test_a_fusion_for_triton_is_what_it_fuses() -> None:
    left, right = (
        Instruction(f"p.{number}", "parameter", (TensorSpec(shape, "bfloat16"),), number=number)
        for number, shape in enumerate([(32, 64), (64, 16)])
    )
    made = (TensorSpec((32, 16), "bfloat16"),)
    numbers = {"dimension_numbers": (((1,), (0,)), ((), ()))}
    dot = Instruction("dot", "dot", made, (left.name, right.name), parameters=numbers)
    fused = Computation("fused", {each.name: each for each in (left, right, dot)}, "dot")
    config = {"fusion_backend_config": {"kind": "__triton_gemm"}}
    arguments = [
        Instruction(f"a.{number}", "parameter", each.outputs)
        for number, each in enumerate((left, right))
    ]
    fusion = Instruction("fusion", "fusion", made, ("a.0", "a.1"), calls=("fused",), config=config)
    place = Computation("main", {each.name: each for each in (*arguments, fusion)}, "fusion")
    found = executed(fusion, Program("module", {"main": place, "fused": fused}, "main"))
    assert found.work is not None
    assert (found.work.flops, found.mode) == (2 * 32 * 16 * 64, "bfloat16")
    assert found.work.bytes == 2 * (32 * 64 + 64 * 16 + 32 * 16)
