"""Which bytes of memory a kernel touches at all, each counted once: runs of addresses, merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from goodput.readers.ttir_index import EVERY, Array, Index, Mask
from goodput.readers.ttir_places import classes, in_pieces, partial

_HELD = 2**22
"""Runs that are held before they are merged."""

_MOST = 2**25
"""Runs that do not merge any further, beyond which the bytes are not told."""


@dataclass(frozen=True, slots=True)
class Access:
    """One load or store of a tile by all programs that run.

    Attributes:
        address: of each element, in bytes.
        mask: which of them are touched.
        shape: of the tile.
        item_bytes: bytes of an element.
    """

    address: Index
    mask: Mask
    shape: tuple[int, ...]
    item_bytes: int


class Traffic:
    """The union of the bytes that accesses touch."""

    def __init__(self) -> None:
        self._starts: list[Array] = []
        self._ends: list[Array] = []
        self._runs = 0
        self._merged = 0
        self.is_whole = True

    @property
    def bytes(self) -> int:
        """Bytes touched at least once."""
        self._merge()
        return int(sum(int((e - s).sum()) for s, e in zip(self._starts, self._ends, strict=True)))

    def add(self, access: Access, active: Array, programs: int) -> None:
        """Touches what the programs in `active`, of so many, access."""
        if not self.is_whole:
            return
        mask = partial(access.mask, access.shape, programs)
        running = np.flatnonzero(np.broadcast_to(active & mask.scalar, programs))
        if not len(running):
            return
        inner = _inner_axis(access, mask)
        leaves = (*access.address.leaves, *(leaf for a in mask.atoms for leaf in a.core.leaves))
        chosen, _ = classes(leaves, running)
        cells = int(np.prod(access.shape, dtype=np.int64)) // (
            1 if inner is None else access.shape[inner]
        )
        for piece in in_pieces(chosen, cells):
            self._add_runs(*_runs(access, mask, inner, piece))

    def _add_runs(self, starts: Array, ends: Array) -> None:
        self._starts.append(starts)
        self._ends.append(ends)
        self._runs += len(starts)
        if self._runs - self._merged > _HELD:
            self._merge()
            self.is_whole = self._runs < _MOST

    def _merge(self) -> None:
        if len(self._starts) > 1 or self._runs != self._merged:
            starts, ends = merged(np.concatenate(self._starts), np.concatenate(self._ends))
            self._starts, self._ends = [starts], [ends]
            self._runs = self._merged = len(starts)


def merged(starts: Array, ends: Array) -> tuple[Array, Array]:
    """The runs `[start, end)` as runs that neither overlap nor touch, in order."""
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    begins = np.ones(len(starts), bool)
    begins[1:] = starts[1:] > ends[:-1]
    last = np.append(np.flatnonzero(begins)[1:] - 1, len(starts) - 1)
    return starts[begins], ends[last]


def _inner_axis(access: Access, mask: Mask) -> int | None:
    """An axis along which elements lie side by side, and are masked apart from other axes."""
    for axes, array in access.address.fixed.items():
        if sum(axes) != 1:
            continue
        axis = axes.index(True)
        if not (np.diff(array.ravel()) == access.item_bytes).all():
            continue
        others = [a for a in access.address.differing if a[axis] and a is not axes]
        tied = [a for a in mask.differing if a[axis] and sum(a) > 1]
        if not others and not tied:
            return axis
    return None


def _runs(access: Access, mask: Mask, inner: int | None, programs: Array) -> tuple[Array, Array]:
    """Where runs of bytes begin and end, for these programs."""
    rank = len(access.shape)
    if inner is None:
        size = (len(programs), *access.shape)
        starts = np.broadcast_to(access.address.values(programs), size)
        open_ = np.broadcast_to(_without(mask, None).values(programs), size)
        found = starts[open_]
        return found, found + access.item_bytes
    alone = tuple(place == inner for place in range(rank))
    line = access.address.fixed[alone].ravel()
    rest = Index(
        access.shape,
        access.address.scalar,
        {axes: array for axes, array in access.address.fixed.items() if axes != alone},
        access.address.atoms,
    )
    inside = _only(mask, inner).values(programs).reshape(-1, _extent(mask, inner))
    if inside.shape[1] != len(line):
        inside = np.broadcast_to(inside, (len(inside), len(line)))
    first, number = inside.argmax(1), inside.sum(1)
    last = len(line) - inside[:, ::-1].argmax(1)
    if (last - first)[number > 0].tolist() != number[number > 0].tolist():
        return _runs(access, mask, None, programs)
    size = (len(programs), *(1 if a == inner else n for a, n in enumerate(access.shape)))
    column = (-1, *(1,) * rank)
    starts = rest.values(programs) + line[first].reshape(column)
    lengths = (number * access.item_bytes).reshape(column)
    open_ = _without(mask, inner).values(programs) & (lengths > 0)
    open_ = np.broadcast_to(open_, size)
    starts = np.broadcast_to(starts, size)[open_]
    return starts, starts + np.broadcast_to(lengths, size)[open_]


def _only(mask: Mask, axis: int) -> Mask:
    """The parts that differ along `axis`."""
    fixed = {axes: array for axes, array in mask.fixed.items() if axes[axis]}
    return Mask(mask.shape, EVERY, fixed, tuple(a for a in mask.atoms if a.axes[axis]))


def _extent(mask: Mask, axis: int) -> int:
    """The size along `axis` of the values of the parts that differ along it."""
    parts = _only(mask, axis)
    return mask.shape[axis] if parts.fixed or parts.atoms else 1


def _without(mask: Mask, axis: int | None) -> Mask:
    """The parts that do not differ along `axis`."""
    fixed = {axes: array for axes, array in mask.fixed.items() if axis is None or not axes[axis]}
    atoms = tuple(a for a in mask.atoms if axis is None or not a.axes[axis])
    return Mask(mask.shape, EVERY, fixed, atoms)
