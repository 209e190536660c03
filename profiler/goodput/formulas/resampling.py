"""Work of pooling and interpolation over the last dimensions of a tensor, in integers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from goodput.formulas.pointwise import is_floating
from goodput.work import TensorSpec, Work


def pooled_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, *, up: bool
) -> int:
    """Output size of a pooling window; `up` rounds up, but no window starts in the right padding.

    See https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html
    """
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (span + (stride - 1 if up else 0)) // stride + 1
    if up and (count - 1) * stride >= size + padding:
        count -= 1
    return count


def adaptive_taps(sizes: Sequence[int], outputs: Sequence[int]) -> int:
    """Input elements read by all adaptive windows together: window i is [i n/o, (i + 1) n/o)."""
    taps = 1
    for size, count in zip(sizes, outputs, strict=True):
        taps *= sum(
            -(-(index + 1) * size // count) - index * size // count for index in range(count)
        )
    return taps


def pool(
    source: TensorSpec, out: TensorSpec, taps: int, *, indices: bool = False, divides: bool = False
) -> Work:
    """Work of pooling: `taps` elements are added or compared into the elements of `out`.

    Args:
        source: the input, read once.
        out: the output.
        taps: elements in all windows together, padding included.
        indices: whether the int64 index of every maximum is written too.
        divides: whether each output is divided by its count, as in an average.
    """
    results = out.numel
    arithmetic = max(0, taps - results) + (results if divides else 0)
    return Work(
        vector_flops=arithmetic if is_floating(source.dtype) else 0,
        bytes_read=source.bytes,
        bytes_written=results * (out.item_bytes + (8 if indices else 0)),
    )


def scattered(gradient: TensorSpec, source: TensorSpec, indices: TensorSpec | None) -> Work:
    """Work of a maximum's gradient: each element is added to its place in zeros."""
    return Work(
        vector_flops=gradient.numel,
        bytes_read=gradient.bytes + (indices.bytes if indices else 0),
        bytes_written=source.numel * source.item_bytes,
    )


def spread(gradient: TensorSpec, source: TensorSpec, taps: int) -> Work:
    """Work of an average's gradient: divided once, added to every tap."""
    return Work(
        vector_flops=gradient.numel + taps,
        bytes_read=gradient.bytes,
        bytes_written=source.numel * source.item_bytes,
    )


def interpolate(source: TensorSpec, out: TensorSpec, taps: int) -> Work:
    """Work of interpolation from `taps` neighbours: a product each and their sum; 1 tap copies.

    An output element reads an input element or more, so no more of the input than that is read.
    """
    flops = 2 * taps - 1 if taps > 1 else 0
    return Work(
        vector_flops=flops * out.numel if is_floating(source.dtype) else 0,
        bytes_read=min(source.bytes, taps * out.numel * source.item_bytes),
        bytes_written=out.numel * out.item_bytes,
    )


def interpolate_backward(gradient: TensorSpec, source: TensorSpec, taps: int) -> Work:
    """Work of its gradient: a product and a sum for each tap, only the sum where there is one."""
    return Work(
        vector_flops=(2 * taps if taps > 1 else 1) * gradient.numel,
        bytes_read=gradient.bytes,
        bytes_written=source.numel * source.item_bytes,
    )


def antialiased_taps(size: int, out: int, support: int) -> int:
    """Neighbours of a filter of width `support` that widens as it shrinks an image.

    As ATen's UpSampleKernel.cpp: `2 ceil(support / 2 * max(1, size / out)) + 1`.
    """
    if size <= out:
        return 2 * math.ceil(support / 2) + 1
    return 2 * -(-support * size // (2 * out)) + 1
