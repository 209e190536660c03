"""What loads, stores, atomics and descriptors mean: bytes as issued, and which bytes they touch."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from goodput.readers.ttir_index import Index, Mask, constant, tile
from goodput.readers.ttir_machine import (
    PURE,
    DataDependentError,
    Descriptor,
    Handler,
    Machine,
    UncountableError,
    Value,
)
from goodput.readers.ttir_places import count, spread
from goodput.readers.ttir_products import Data
from goodput.readers.ttir_text import Operation, Type, item_bits, type_of
from goodput.readers.ttir_traffic import Access

HIDDEN = (
    "what is loaded or stored depends on data that a mask was made of ({}): all that it may let "
    "through is counted"
)
UNPLACED = (
    "addresses depend on data that was read before ({}): each access is taken to touch bytes of "
    "its own"
)


def _touch(
    machine: Machine, address: Value, mask: Mask, kind: Type, *, reads: bool, writes: bool
) -> int:
    """Notes an access to elements of a type of pointers; the bytes issued."""
    item = max(1, item_bits(kind.pointee) // 8)
    issued = item * spread(
        count(mask, kind.shape, machine.programs), machine.active, machine.running
    )
    if writes:
        machine.memory.note_write(address)
    if mask.hidden:
        machine.tally.notes.add(HIDDEN.format(mask.hidden))
    if isinstance(address, Index):
        access = Access(address, mask, kind.shape, item)
        for wanted, traffic in ((reads, machine.reads), (writes, machine.writes)):
            if wanted:
                traffic.add(access, machine.active, machine.programs)
        return issued
    cause = ""
    if isinstance(address, Data):
        cause = address.cause
        address.use(mask)
    machine.tally.notes.add(UNPLACED.format(cause or "computed"))
    machine.tally.unplaced_read += issued if reads else 0
    machine.tally.unplaced_written += issued if writes else 0
    return issued


def _mask(values: Sequence[Value], place: int, shape: tuple[int, ...]) -> Mask:
    """The mask among operands; true everywhere without one."""
    if place >= len(values):
        return Mask.everywhere(shape)
    value = values[place]
    if isinstance(value, Mask):
        return value.broadcast(shape) if not value.shape else value
    if isinstance(value, Index):
        return Mask.everywhere(shape, "" if (value.scalar != 0).all() else "mask")
    if isinstance(value, Data):
        value.use()
        return Mask.everywhere(shape, value.cause or "data")
    return Mask.everywhere(shape, "mask")


def _loaded(mask: Mask | None) -> Data:
    return Data("tt.load", None if mask is None or mask.is_open else mask)


def _load(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    kind = op.takes[0]
    mask = _mask(values, 1, kind.shape)
    machine.tally.loaded += _touch(machine, values[0], mask, kind, reads=True, writes=False)
    number = machine.memory.load(values[0], mask, kind, values[2:])
    return (_loaded(mask) if number is None else number,)


def _store(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    kind = op.takes[0]
    mask = _mask(values, 2, kind.shape)
    machine.tally.stored += _touch(machine, values[0], mask, kind, reads=False, writes=True)
    _used(values[1], mask)
    return ()


def _used(value: Value, mask: Mask) -> None:
    """A value is stored where a mask lets it through."""
    if isinstance(value, Data):
        value.use(None if mask.hidden else mask)


def _atomic(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """A read-modify-write; the element is read and written, and is issued once."""
    kind = op.takes[0]
    swap = op.name == "tt.atomic_cas"
    mask = _mask(values, 3 if swap else 2, kind.shape)
    machine.tally.atomic += _touch(machine, values[0], mask, kind, reads=True, writes=True)
    for value in values[1:2]:
        _used(value, mask)
    return (Data(op.name, None if mask.is_open else mask),)


def descriptor_type(kind: Type) -> Type:
    """The tile that a descriptor of a type fetches, as one Triton or another writes it.

    Raises:
        UncountableError: it is no type of descriptors that is known.
    """
    if kind.shape:
        return kind
    found = re.match(r"(?:!tt\.tensordesc)?<(.+)>$", kind.element)
    inside = found[1] if found else ""
    tile_type = type_of(inside if inside.startswith("tensor<") else f"tensor<{inside}>")
    if not tile_type.shape:
        raise UncountableError("tt.make_tensor_descriptor", f"of an unknown type: {kind.element}")
    return tile_type


def _descriptor(_: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    block = descriptor_type((*op.gives, *op.takes)[-1])
    rank = len(block.shape)
    numbers = [v for v in values if isinstance(v, Index)]
    if len(numbers) != 1 + 2 * rank:
        raise DataDependentError(op.name, "its sizes or strides depend on data")
    item = max(1, item_bits(block.element) // 8)
    base, sizes, strides = numbers[0], numbers[1 : 1 + rank], numbers[1 + rank :]
    return (Descriptor(base, tuple(sizes), tuple(strides), block.shape, item),)


def _fetch(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    descriptor, starts = _parted(op, values)
    mask = _move(machine, op, descriptor, starts, reads=True, writes=False)
    shape = op.type.shape
    return (_loaded(mask if mask is not None and mask.shape == shape else None),)


def _put(machine: Machine, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
    """A block stored or, atomically, reduced into memory."""
    reduces = op.name == "tt.descriptor_reduce"
    descriptor, starts = _parted(op, values)
    mask = _move(machine, op, descriptor, starts, reads=reduces, writes=True)
    for value in values[1:]:
        if isinstance(value, Data):
            tile_shape = op.takes[-1].shape
            fits = mask is not None and mask.shape == tile_shape
            value.use(mask if fits else None)
    return ()


def _parted(op: Operation, values: Sequence[Value]) -> tuple[Descriptor, list[Value]]:
    """The descriptor of an access and where in it the block begins."""
    descriptor = values[0]
    if not isinstance(descriptor, Descriptor):
        raise DataDependentError(op.name, "which descriptor it uses depends on data")
    found = re.search(r"(%[\w$.\-#]+)\[([^\]]*)\]", op.text)
    names = re.findall(r"%[\w$.\-]+(?:#\d+)?", found[2]) if found else []
    by_name = dict(zip(op.operands, values, strict=True))
    return descriptor, [by_name[name] for name in names]


def _move(
    machine: Machine,
    op: Operation,
    descriptor: Descriptor,
    starts: Sequence[Value],
    *,
    reads: bool,
    writes: bool,
) -> Mask | None:
    """Notes an access to a block; where of it the tensor is, if that is known."""
    shape, rank = descriptor.block, len(descriptor.block)
    places = [start for start in starts if isinstance(start, Index) and not start.shape]
    if len(places) != rank:
        _unplaced(machine, op, descriptor, reads=reads, writes=writes)
        return None
    address = Index(shape, descriptor.base.scalar)
    mask = Mask.everywhere(shape)
    for axis, start in enumerate(places):
        laid: list[int | None] = [0 if place == axis else None for place in range(rank)]
        line: Index = (tile(np.arange(shape[axis])) + Index((), start.scalar)).moved(laid, shape)
        scale = descriptor.strides[axis].times(descriptor.item_bytes)
        address += line * Index(shape, scale.scalar)
        size = Index(shape, descriptor.sizes[axis].scalar)
        mask &= (line - size).below_zero()
        if (start.scalar < 0).any():
            mask &= (constant(-1, shape) - line).below_zero()
    kind = Type(shape, f"!tt.ptr<i{8 * descriptor.item_bytes}>")
    issued = _touch(machine, address, mask, kind, reads=reads, writes=writes)
    _tally(machine, issued, reads=reads, writes=writes)
    return mask


def _unplaced(
    machine: Machine, op: Operation, descriptor: Descriptor, *, reads: bool, writes: bool
) -> None:
    """A gather or a scatter, or a block whose place depends on data: counted as whole."""
    kind = op.takes[-1] if writes and not op.gives else op.type
    shape = kind.shape or descriptor.block
    issued = math.prod(shape) * descriptor.item_bytes * machine.running
    if writes:
        machine.memory.note_write(descriptor.base)
    machine.tally.notes.add(UNPLACED.format(op.name))
    machine.tally.unplaced_read += issued if reads else 0
    machine.tally.unplaced_written += issued if writes else 0
    _tally(machine, issued, reads=reads, writes=writes)


def _tally(machine: Machine, issued: int, *, reads: bool, writes: bool) -> None:
    if reads and writes:
        machine.tally.atomic += issued
    elif reads:
        machine.tally.loaded += issued
    else:
        machine.tally.stored += issued


HANDLERS: dict[str, Handler] = {
    "tt.load": _load,
    "tt.store": _store,
    "tt.atomic_rmw": _atomic,
    "tt.atomic_cas": _atomic,
    "tt.make_tensor_descriptor": _descriptor,
    "tt.descriptor_load": _fetch,
    "tt.descriptor_store": _put,
    "tt.descriptor_reduce": _put,
    "tt.descriptor_gather": _fetch,
    "tt.descriptor_scatter": _put,
}
PURE.add("tt.make_tensor_descriptor")
