"""Work of operators that only move bytes, and of those that add what they move, in integers.

Least traffic: what is read is read once, what is written is written once, and a broadcast input is
stored once. An in-place scatter touches only the elements it names.
"""

from __future__ import annotations

from collections.abc import Iterable

from goodput.formulas.pointwise import is_floating
from goodput.work import TensorSpec, Work


def dense_bytes(tensor: TensorSpec) -> int:
    """Bytes of a fresh tensor of that shape and dtype."""
    return tensor.numel * tensor.item_bytes


def fill(target: TensorSpec) -> Work:
    """Work of writing every element of `target` without reading anything."""
    return Work(bytes_written=dense_bytes(target))


def copy(sources: Iterable[TensorSpec], target: TensorSpec) -> Work:
    """Work of reading `sources` once and writing `target`."""
    return Work(
        bytes_read=sum(source.bytes for source in sources), bytes_written=dense_bytes(target)
    )


def gather(source: TensorSpec, indices: Iterable[TensorSpec], out: TensorSpec) -> Work:
    """Work of picking the elements of `out` from `source` by `indices`.

    As many elements are read as are written, but no more than there are: which ones repeat is in
    the data.
    """
    picked = min(out.numel * source.item_bytes, source.bytes)
    return Work(
        bytes_read=sum(index.bytes for index in indices) + picked,
        bytes_written=dense_bytes(out),
    )


def scatter(
    target: TensorSpec,
    indices: Iterable[TensorSpec],
    values: TensorSpec | None,
    elements: int,
    *,
    adds: int = 0,
    inplace: bool = True,
) -> Work:
    """Work of writing `elements` elements of `target` by `indices`.

    Args:
        target: what is written into.
        indices: where to.
        values: what is written; None for a number.
        elements: how many elements are written.
        adds: FLOPs per element where the old value is combined with the new one, and so read.
        inplace: whether the rest of the target stays as it is; else all of it is copied.
    """
    touched = min(elements * target.item_bytes, dense_bytes(target))
    old = target.bytes if not inplace else touched if adds else 0
    return Work(
        vector_flops=adds * elements if is_floating(target.dtype) else 0,
        bytes_read=sum(index.bytes for index in indices) + (values.bytes if values else 0) + old,
        bytes_written=touched if inplace else dense_bytes(target),
    )
