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

    As many elements are read as are written, even where an index repeats: which ones repeat is in
    the data.
    """
    return Work(
        bytes_read=sum(index.bytes for index in indices) + out.numel * source.item_bytes,
        bytes_written=dense_bytes(out),
    )


def scatter(
    target: TensorSpec,
    indices: Iterable[TensorSpec],
    values: TensorSpec | None,
    elements: int,
    *,
    adds: int = 0,
) -> Work:
    """Work of writing `elements` elements of `target` in place by `indices`.

    Args:
        target: what is written into.
        indices: where to.
        values: what is written; None for a number.
        elements: how many elements are written.
        adds: FLOPs per element where the old value is combined with the new one, and so read.
    """
    combined = elements * target.item_bytes if adds else 0
    return Work(
        vector_flops=adds * elements if is_floating(target.dtype) else 0,
        bytes_read=sum(index.bytes for index in indices)
        + (values.bytes if values else 0)
        + combined,
        bytes_written=elements * target.item_bytes,
    )


def into_copy(target: TensorSpec, work: Work) -> Work:
    """Work of doing `work` in a fresh copy of `target` instead of in place."""
    return work + copy((target,), target)
