"""Matrix products of other libraries, by their documented arguments.

Unseen: none of these libraries runs where goodput is tested. TransformerEngine:
transformer_engine/pytorch/csrc/ts_fp8_op.cpp, its operator for the dispatcher (elsewhere it calls
kernels past PyTorch, which no counter of operators sees). bitsandbytes: bitsandbytes/_ops.py.
torchao: torchao/ops.py (its float8 layers call PyTorch's own `_scaled_mm`). Liger needs no row: its
kernels are Triton's, and the products around them PyTorch's.
"""

from __future__ import annotations

import math
from dataclasses import replace

from goodput.formulas.aten_arguments import dtype, integer, tensor
from goodput.formulas.aten_matrix import Product, biased, family
from goodput.formulas.registry import mark_unseen
from goodput.work import Call, TensorSpec, Work

_TWO_IN_A_BYTE = 2
_EIGHT_BITS = {"uint8": "float8_e4m3"}
"""TransformerEngine keeps its float8 numbers in tensors of bytes."""


@family("tex_ts::te_gemm_ts", stored=_EIGHT_BITS)
def _te_gemm(call: Call) -> Product | None:
    """`(A, ..., transa at 4, B at 5, ..., transb at 9, D at 10, ..., bias at 14, grad at 17)`.

    Matrices are column-major: D = B' A', and what is summed over is A's last dimension where A is
    transposed, else its first. With `grad` the bias is an output.
    """
    left, right, result = tensor(call, 0), tensor(call, 5), tensor(call, 10)
    turned = integer(call, 4)
    if left is None or right is None or result is None or turned is None or not left.shape:
        return None
    k = left.shape[-1] if turned else left.shape[0]
    *outer, n = result.shape
    product = Product(1, math.prod(outer), n, k, (left, right), result.shape, result.dtype)
    bias = tensor(call, 14)
    added = bias if bias is not None and bias.numel and not integer(call, 17) else None
    return biased(product, added)


def _against_rows(
    call: Call, k: int, scales: tuple[TensorSpec, ...], bias: TensorSpec | None, result: str
) -> Product | None:
    """`[..., k] x [n, k]^T`, one multiply a result for each of the scales."""
    left, weight = tensor(call, 0), tensor(call, 1 if not scales or call.name in _APART else 2)
    if left is None or weight is None:
        return None
    outer, n = left.shape[:-1], weight.shape[0]
    rows = math.prod(outer)
    vector = Work(vector_flops=rows * n * len(scales))
    product = Product(1, rows, n, k, (left, weight), (*outer, n), result, also_read=scales)
    return biased(replace(product, vector=vector), bias)


_APART = frozenset({"bitsandbytes::int8_scaled_mm"})
"""Operators whose scales follow both matrices; elsewhere each follows its own."""


@family("bitsandbytes::int8_linear_matmul", mode="int8")
def _int8_linear(call: Call) -> Product | None:
    left = tensor(call, 0)
    return None if left is None else _against_rows(call, left.shape[-1], (), None, "int32")


@family("bitsandbytes::int8_scaled_mm", mode="int8")
def _int8_scaled(call: Call) -> Product | None:
    """`(A, B [n, k], row_stats, col_stats, bias, dtype)`."""
    left, rows, columns = tensor(call, 0), tensor(call, 2), tensor(call, 3)
    if left is None or rows is None or columns is None:
        return None
    result = dtype(call, 5, "float16")
    return _against_rows(call, left.shape[-1], (rows, columns), tensor(call, 4), result)


@family("torchao::rowwise_scaled_linear_cutlass_s8s4", mode="int8")
@family("torchao::rowwise_scaled_linear_cutlass_s4s4", mode="int4")
def _rowwise_scaled(call: Call) -> Product | None:
    """`(x, x_scale, weight [n, k / 2], weight_scale, bias, dtype)`; 4 bits are two in a byte."""
    left, own, scale = tensor(call, 0), tensor(call, 1), tensor(call, 3)
    if left is None or own is None or scale is None:
        return None
    packed = _TWO_IN_A_BYTE if call.name.endswith("s4s4") else 1
    result = dtype(call, 5, own.dtype)
    return _against_rows(call, left.shape[-1] * packed, (own, scale), tensor(call, 4), result)


mark_unseen(
    "tex_ts::te_gemm_ts",
    "bitsandbytes::int8_linear_matmul",
    "bitsandbytes::int8_scaled_mm",
    "torchao::rowwise_scaled_linear_cutlass_s8s4",
    "torchao::rowwise_scaled_linear_cutlass_s4s4",
)
