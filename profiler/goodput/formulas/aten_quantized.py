"""PyTorch's matrix products of quantised operands in neutral terms.

Their useful FLOPs are those of the product that they stand for. What it takes to get numbers out
of the packed ones is vector work, and the packed bytes are what is read.
"""

from __future__ import annotations

import math
from dataclasses import replace

from goodput.formulas.aten_arguments import integer, tensor, text
from goodput.formulas.aten_matrix import Product, biased, family, plain
from goodput.work import Call, TensorSpec, Work

_UNPACK_FLOPS = 2
"""Scale and zero point (or offset): one multiply and one addition a weight."""

_QUANTIZE_FLOPS = 4
"""Minimum, maximum, scale and round: what quantising an activation as it comes takes."""

_BLOCK_FLOPS = 2
"""Scale a block's integer sum and add it to the result."""


@family("aten::_int_mm")
def _int_mm(call: Call) -> Product | None:
    left, right = tensor(call, 0), tensor(call, 1)
    return None if left is None or right is None else plain(left, right, "int32")


def _weights_only(
    left: TensorSpec, weight: TensorSpec, n: int, scales: tuple[TensorSpec, ...], vector: int
) -> Product:
    """`[..., k] x [k, n]` in the activations' dtype, the weight read packed."""
    *outer, k = left.shape
    output, rows = (*outer, n), math.prod(outer)
    product = Product(1, rows, n, k, (left, weight), output, left.dtype, also_read=scales)
    return replace(product, vector=Work(vector_flops=vector))


@family("aten::_weight_int8pack_mm")
def _weight_int8pack_mm(call: Call) -> Product | None:
    """`(x, weight [n, k], scales [n])`: results are scaled by column."""
    left, weight, scales = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    if left is None or weight is None:
        return None
    n = weight.shape[0]
    read = (scales,) if scales else ()
    return _weights_only(left, weight, n, read, math.prod(left.shape[:-1]) * n)


@family("aten::_weight_int4pack_mm", "aten::_weight_int4pack_mm_for_cpu")
def _weight_int4pack_mm(call: Call) -> Product | None:
    """`(x, packed, group, scales and zeros [groups, n, 2])`; the packing differs by device."""
    return _int4(call, columns=-2)


@family("aten::_weight_int4pack_mm_with_scales_and_zeros")
def _weight_int4pack_mm_apart(call: Call) -> Product | None:
    """`(x, packed, group, scales [groups, n], zeros)`."""
    return _int4(call, columns=-1)


def _int4(call: Call, *, columns: int) -> Product | None:
    left, weight, scales = tensor(call, 0), tensor(call, 1), tensor(call, 3)
    if left is None or weight is None or scales is None:
        return None
    n, zeros = scales.shape[columns], tensor(call, 4)
    read = (scales, zeros) if zeros else (scales,)
    return _weights_only(left, weight, n, read, _UNPACK_FLOPS * n * left.shape[-1])


@family("aten::_mixed_dtypes_linear")
def _mixed_dtypes_linear(call: Call) -> Product | None:
    """`(x, weight, scale [n], bias, activation)`: int8 or packed int4 weights, scaled by column."""
    left, weight, scale = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    if left is None or weight is None or scale is None:
        return None
    n, results = scale.numel, math.prod(left.shape[:-1]) * scale.numel
    activated = results if text(call, 4, "none") != "none" else 0
    product = _weights_only(left, weight, n, (scale,), results + activated)
    return biased(product, tensor(call, 3))


@family("aten::_dyn_quant_matmul_4bit", mode="int8")
def _dyn_quant_matmul_4bit(call: Call) -> Product | None:
    """`(x, packed, block, k, n)`: rows of x become int8 as they come, and meet int4 weights.

    The products are of 8-bit integers; each block of `block` summed indices has a scale.
    """
    left, weight = tensor(call, 0), tensor(call, 1)
    block, k, n = (integer(call, place) for place in range(2, 5))
    if left is None or weight is None or not block or k is None or n is None:
        return None
    rows = math.prod(left.shape[:-1])
    blocks = -(-k // block)
    vector = _QUANTIZE_FLOPS * rows * k + _BLOCK_FLOPS * rows * n * blocks
    return _weights_only(left, weight, n, (), vector)


@family(
    "quantized::linear_dynamic",
    "quantized::linear_relu_dynamic",
    "quantized::linear_dynamic_fp16",
    "quantized::linear_relu_dynamic_fp16",
    mode="int8",
)
def _linear_dynamic(call: Call) -> Product | None:
    """`(x, packed)`: the weight is an object without a shape, so its columns are the result's."""
    left, output = tensor(call, 0), call.outputs[0] if call.outputs else None
    if left is None or output is None:
        return None
    *outer, k = left.shape
    rows, n = math.prod(outer), output.shape[-1]
    if call.name.endswith("fp16"):
        return _weights_only(left, TensorSpec((k, n), "float16"), n, (), 0)
    weight = TensorSpec((k, n), "int8")
    vector = _QUANTIZE_FLOPS * rows * k + _BLOCK_FLOPS * rows * n
    return _weights_only(left, weight, n, (), vector)
