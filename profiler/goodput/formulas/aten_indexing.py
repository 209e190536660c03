"""PyTorch's embeddings, gathers and scatters, and operators whose result size is in the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from goodput.formulas.aten_recorded import (
    UnrecordedError,
    argument,
    axes,
    flag,
    formula,
    integer,
    optional_tensor,
    output,
    tensor,
)
from goodput.formulas.movement import copy, gather, scatter
from goodput.formulas.pointwise import broadcast, is_floating
from goodput.work import Argument, Call, TensorSpec, Work


def _replace(shape: tuple[int, ...], dim: int, size: int) -> tuple[int, ...]:
    """`shape` with another size in one dimension."""
    place = axes(dim, len(shape))
    return tuple(size if axis in place else old for axis, old in enumerate(shape))


def embedding(call: Call) -> Work:
    """An embedding lookup: no FLOPs, the rows that the indices name."""
    weight, indices = tensor(call, 0), tensor(call, 1)
    out = TensorSpec((*indices.shape, *weight.shape[1:]), weight.dtype)
    return gather(weight, (indices,), out)


def embedding_backward(call: Call) -> Work:
    """The dense gradient of an embedding: every row is added to its place in zeros."""
    gradient, indices, rows = tensor(call, 0), tensor(call, 1), integer(call, 2)
    target = TensorSpec((rows, gradient.shape[-1]), gradient.dtype)
    return copy((gradient, indices), target) + Work(vector_flops=gradient.numel)


def embedding_bag(call: Call) -> Work:
    """An embedding lookup with a sum, mean or maximum over each bag."""
    weight, indices, offsets = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    bags = offsets.numel - flag(call, 7)
    rows = TensorSpec((indices.numel, weight.shape[-1]), weight.dtype)
    scales = optional_tensor(call, 6)
    return Work(
        vector_flops=rows.numel * (2 if scales else 1),
        bytes_read=min(rows.bytes, weight.bytes)
        + indices.bytes
        + offsets.bytes
        + (scales.bytes if scales else 0),
        bytes_written=bags * weight.shape[-1] * weight.item_bytes,
    )


def embedding_bag_backward(call: Call) -> Work:
    """The dense gradient of an embedding bag: a bag's gradient is added to each of its rows."""
    gradient, indices, bags = (tensor(call, place) for place in range(3))
    rows = indices.numel * gradient.shape[-1]
    scales = optional_tensor(call, 8)
    target = TensorSpec((integer(call, 5), gradient.shape[-1]), gradient.dtype)
    work = copy((gradient, indices, bags), target)
    return work + Work(vector_flops=rows * (2 if scales else 1))


def picked(call: Call) -> Work:
    """Elements picked by an index as large as the result."""
    index = tensor(call, 2)
    return gather(tensor(call, 0), (index,), TensorSpec(index.shape, tensor(call, 0).dtype))


def taken(call: Call) -> Work:
    """Elements picked by their number in the flattened input."""
    source, index = tensor(call, 0), tensor(call, 1)
    return gather(source, (index,), TensorSpec(index.shape, source.dtype))


def selected(call: Call) -> Work:
    """Slices picked along a dimension."""
    source, index = tensor(call, 0), tensor(call, 2)
    shape = _replace(source.shape, integer(call, 1), index.numel)
    return gather(source, (index,), TensorSpec(shape, source.dtype))


def indexed_shape(source: TensorSpec, indices: Argument) -> tuple[int, ...]:
    """The shape of `source[indices]`, where the list is known and a mask's count is not wanted.

    torch 2.13 writes nothing of a list of optional tensors into a trace, and no element type of any
    list, so that what has a mask's shape may be one.

    Raises:
        UnrecordedError: the list is missing, or has a mask.
    """
    if not isinstance(indices, tuple) or not indices:
        raise UnrecordedError
    found = [(axis, item) for axis, item in enumerate(indices) if isinstance(item, TensorSpec)]
    if not found or any(_may_be_mask(source, axis, item) for axis, item in found):
        raise UnrecordedError
    places = [axis for axis, _ in found]
    inner = broadcast(item.shape for _, item in found)
    kept = [(axis, size) for axis, size in enumerate(source.shape) if axis not in places]
    together = places[-1] - places[0] + 1 == len(places)
    before = [size for axis, size in kept if together and axis < places[0]]
    after = [size for axis, size in kept if not together or axis > places[0]]
    return (*before, *inner, *after)


def _may_be_mask(source: TensorSpec, axis: int, index: TensorSpec) -> bool:
    """Whether an index may be a mask; a floating one stands for an element type not recorded."""
    if index.dtype in ("bool", "uint8"):
        return True
    covered = source.shape[axis : axis + len(index.shape)]
    return is_floating(index.dtype) and index.shape == covered


def _index_tensors(indices: Argument) -> tuple[TensorSpec, ...]:
    """The tensors of the list; what indexes and has no element type is int64."""
    items = indices if isinstance(indices, tuple) else ()
    found = (item for item in items if isinstance(item, TensorSpec))
    return tuple(replace(i, dtype="int64") if is_floating(i.dtype) else i for i in found)


def indexed(call: Call) -> Work:
    """Elements picked by one index tensor a dimension, or by a mask (then from the output)."""
    source, indices = tensor(call, 0), argument(call, 1)
    if call.outputs:
        out = call.outputs[0]
    else:
        out = TensorSpec(indexed_shape(source, indices), source.dtype)
    return gather(source, _index_tensors(indices), out)


def put(call: Call, *, inplace: bool) -> Work:
    """Values written by one index tensor a dimension; a mask names as many as it has values.

    One value for all places of a mask is what ATen does as a masked fill, over all of the target.
    """
    target, indices, values = tensor(call, 0), argument(call, 1), tensor(call, 2)
    try:
        elements = math.prod(indexed_shape(target, indices))
    except UnrecordedError:
        masks = _index_tensors(indices)
        if values.numel == 1 and masks:
            return copy((target, *masks, values), target)
        if values.numel == 1:
            raise  # one value for an unknown number of places
        elements = values.numel
    places, adds = _index_tensors(indices), int(flag(call, 3))
    return scatter(target, places, values, elements, adds=adds, inplace=inplace)


def scattered(call: Call, *, inplace: bool, adds: int = 0) -> Work:
    """Values written, or combined, at the places of an index of their size."""
    target, index, source = tensor(call, 0), tensor(call, 2), optional_tensor(call, 3)
    combines = adds or int(isinstance(argument(call, 4), str))
    values = TensorSpec(index.shape, source.dtype) if source else None
    return scatter(target, (index,), values, index.numel, adds=combines, inplace=inplace)


def along(call: Call, *, inplace: bool, adds: int = 0) -> Work:
    """Slices written, or combined, at the places of an index along a dimension."""
    target, index, source = tensor(call, 0), tensor(call, 2), optional_tensor(call, 3)
    elements = math.prod(_replace(target.shape, integer(call, 1), index.numel))
    scaled = adds and argument(call, 4) not in (None, 1) and not isinstance(argument(call, 4), str)
    adds += int(scaled)
    return scatter(target, (index,), source, elements, adds=adds, inplace=inplace)


def put_flat(call: Call, *, inplace: bool) -> Work:
    """Values written by their number in the flattened target."""
    target, index, source = (tensor(call, place) for place in range(3))
    adds = int(flag(call, 3))
    return scatter(target, (index,), source, index.numel, adds=adds, inplace=inplace)


def masked_scattered(call: Call, *, inplace: bool) -> Work:
    """Values written where a mask is true: at least the mask is read and the target written."""
    target, mask, source = (tensor(call, place) for place in range(3))
    out = TensorSpec(broadcast((target.shape, mask.shape)), target.dtype)
    work = copy((mask, source), out)
    return work if inplace else work + Work(bytes_read=target.bytes)


def data_sized(call: Call) -> Work:
    """An operator whose result size is in the data: known live, from the outputs."""
    sources = call.tensors
    if not sources:
        raise UnrecordedError
    output(call)
    return Work(
        bytes_read=sum(source.bytes for source in sources),
        bytes_written=sum(out.numel * out.item_bytes for out in call.outputs),
    )


def masked_select(call: Call) -> Work:
    """The elements where a mask is true: the mask and those elements are read."""
    return gather(tensor(call, 0), (tensor(call, 1),), output(call))


def counted(call: Call) -> Work:
    """A histogram: every value is read; with weights, each is added."""
    source, weights = tensor(call, 0), optional_tensor(call, 1)
    out = output(call)
    work = copy((source, weights) if weights else (source,), out)
    return work + Work(vector_flops=weights.numel if weights and is_floating(out.dtype) else 0)


def binned(call: Call) -> Work:
    """A histogram with a given number of bins."""
    source = tensor(call, 0)
    bins = argument(call, 1)
    count = bins if isinstance(bins, int) else 100
    return copy((source,), TensorSpec((count,), source.dtype))


def searched(values: int, boundaries: int, call: Call) -> Work:
    """The place of every value among sorted boundaries; comparisons are 0 FLOPs."""
    edges, source = tensor(call, boundaries), optional_tensor(call, values)
    found = TensorSpec(source.shape if source else (), "int32" if flag(call, 2) else "int64")
    return copy((source, edges) if source else (edges,), found)


def found_in(call: Call) -> Work:
    """Whether each element is among others."""
    source, others = optional_tensor(call, 0), optional_tensor(call, 1)
    shape = source.shape if source else ()
    sources = tuple(item for item in (source, others) if item)
    if not sources:
        raise UnrecordedError
    return copy(sources, TensorSpec(shape, "bool"))


INPLACE_PAIRS: Mapping[str, partial[Work]] = {
    "index_put": partial(put),
    "scatter": partial(scattered),
    "scatter_add": partial(scattered, adds=1),
    "scatter_reduce": partial(scattered, adds=1),
    "index_add": partial(along, adds=1),
    "index_copy": partial(along),
    "index_fill": partial(along),
    "index_reduce": partial(along, adds=1),
    "put": partial(put_flat),
    "masked_scatter": partial(masked_scattered),
}
"""Operators with an in-place form, which leaves the rest of the target untouched."""

for _name, _function in INPLACE_PAIRS.items():
    formula(f"aten::{_name}")(partial(_function, inplace=False))
    formula(f"aten::{_name}_")(partial(_function, inplace=True))
formula("aten::_unsafe_index_put")(partial(put, inplace=False))
formula("aten::_index_put_impl_")(partial(put, inplace=True))
formula("aten::embedding")(embedding)
formula("aten::embedding_dense_backward")(embedding_backward)
formula("aten::_embedding_bag", "aten::_embedding_bag_forward_only")(embedding_bag)
formula("aten::_embedding_bag_dense_backward")(embedding_bag_backward)
formula("aten::gather")(picked)
formula("aten::take")(taken)
formula("aten::index_select")(selected)
formula("aten::index", "aten::_unsafe_index")(indexed)
formula("aten::masked_select")(masked_select)
formula("aten::bincount")(counted)
formula("aten::histc")(binned)
formula("aten::searchsorted")(partial(searched, 1, 0))
formula("aten::bucketize")(partial(searched, 0, 1))
formula("aten::isin")(found_in)
formula(
    "aten::nonzero",
    "aten::_unique",
    "aten::_unique2",
    "aten::unique_consecutive",
    "aten::unique_dim",
)(data_sized)
