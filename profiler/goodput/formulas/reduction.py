"""Work of reductions, scans and softmax over one or more dimensions, in integers."""

from __future__ import annotations

from collections.abc import Sequence

from goodput.formulas.pointwise import category, is_floating
from goodput.work import TensorSpec, Work

_REAL_ADDS = 2
"""Real additions of one complex addition."""


def reduced_shape(
    shape: Sequence[int], dims: Sequence[int], *, keep: bool = False
) -> tuple[int, ...]:
    """`shape` without the dimensions `dims`, or with size 1 there."""
    if keep:
        return tuple(1 if dim in dims else size for dim, size in enumerate(shape))
    return tuple(size for dim, size in enumerate(shape) if dim not in dims)


def reduction(
    source: TensorSpec,
    outputs: Sequence[TensorSpec],
    *,
    flops: int,
    output_flops: int = 0,
    special: int = 0,
    output_special: int = 0,
) -> Work:
    """Work of a reduction of `source` into `outputs`, which all have one shape.

    A sum of n numbers is n - 1 additions, so it is `flops=1, output_flops=-1`.

    Args:
        source: what is read.
        outputs: what is written.
        flops: vector FLOPs per input element.
        output_flops: vector FLOPs per element of an output, added to that.
        special: special-function calls per input element.
        output_special: special-function calls per element of an output, added to that.
    """
    results = outputs[0].numel
    scale = _REAL_ADDS if category(source.dtype) == category("complex64") else 1
    counted = is_floating(source.dtype) and source.numel > 0
    arithmetic = max(0, flops * source.numel + output_flops * results)
    return Work(
        vector_flops=scale * arithmetic if counted else 0,
        special=special * source.numel + output_special * results if counted else 0,
        bytes_read=source.bytes,
        bytes_written=sum(out.numel * out.item_bytes for out in outputs),
    )


def scan(source: TensorSpec, outputs: Sequence[TensorSpec], size: int, *, flops: int = 1) -> Work:
    """Work of a running sum or the like along a dimension of `size`: n - 1 steps of n outputs."""
    steps = source.numel - source.numel // size if size else 0
    return Work(
        vector_flops=flops * steps if is_floating(outputs[0].dtype) else 0,
        bytes_read=source.bytes,
        bytes_written=sum(out.numel * out.item_bytes for out in outputs),
    )


def softmax(source: TensorSpec, out: TensorSpec, size: int, *, logarithm: bool = False) -> Work:
    """Work of a softmax over rows of `size`.

    Per element: maximum, subtraction, exp (special), sum, division; for its logarithm another
    subtraction instead of the division, and one log (special) per row.
    """
    rows = source.numel // size if size else 0
    return Work(
        vector_flops=4 * source.numel - 2 * rows,
        special=source.numel + (rows if logarithm else 0),
        bytes_read=source.bytes,
        bytes_written=out.numel * out.item_bytes,
    )


def softmax_backward(
    gradient: TensorSpec,
    result: TensorSpec,
    out: TensorSpec,
    size: int,
    *,
    logarithm: bool = False,
) -> Work:
    """Work of the gradient of a softmax from its result: `y (g - sum(g y))`.

    For the logarithm `g - exp(y) sum(g)`.
    """
    elements = result.numel
    rows = elements // size if size else 0
    return Work(
        vector_flops=(3 if logarithm else 4) * elements - rows,
        special=elements if logarithm else 0,
        bytes_read=gradient.bytes + result.bytes,
        bytes_written=out.numel * out.item_bytes,
    )
