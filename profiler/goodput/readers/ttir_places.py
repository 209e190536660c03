"""How many places of a tile a mask leaves open in each program, group of axes by group of axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from goodput.readers.ttir_index import (
    Array,
    Atom,
    Axes,
    Difference,
    Mask,
    distinct,
)

_CELLS = 2**22
"""Elements that are worked out at a time."""


@dataclass(slots=True)
class Group:
    """The parts of a mask that differ along the same axes, or along axes that these tie together.

    Attributes:
        axes: places of the axes in the tile.
        fixed, atoms: the parts, as in `Spread`.
    """

    axes: set[int]
    fixed: list[Array] = field(default_factory=list)
    atoms: list[Atom] = field(default_factory=list)

    def values(self, programs: Array, shape: Sequence[int]) -> Array:
        """`[programs or 1, *tile]`, with size 1 along the axes of other groups."""
        found = np.ones((1, *(n if a in self.axes else 1 for a, n in enumerate(shape))), bool)
        for array in self.fixed:
            found = found & array
        for atom in self.atoms:
            found = found & atom.values(programs)
        return found

    @property
    def leaves(self) -> tuple[Array, ...]:
        """The numbers a program that it depends on."""
        return distinct(leaf for atom in self.atoms for leaf in atom.core.leaves)


def groups(mask: Mask) -> list[Group]:
    """The parts of a mask in groups that have no axis in common."""
    parts: list[tuple[Axes, Array | Atom]] = [*mask.fixed.items()]
    parts += [(atom.axes, atom) for atom in mask.atoms]
    found: list[Group] = []
    for axes, part in parts:
        own = Group({place for place, differs in enumerate(axes) if differs})
        own.atoms += [part] if isinstance(part, Atom) else []
        own.fixed += [] if isinstance(part, Atom) else [part]
        for other in [group for group in found if group.axes & own.axes]:
            found.remove(other)
            own.axes |= other.axes
            own.fixed += other.fixed
            own.atoms += other.atoms
        found.append(own)
    return found


def count(mask: Mask, shape: Sequence[int], programs: int) -> Array:
    """How many places of a tile of `shape` are open: `[programs or 1]`."""
    free = set(range(len(shape)))
    found: Array = mask.scalar.astype(np.int64)
    for group in groups(mask):
        free -= group.axes
        found = found * _count(group, shape, programs)
    for axis in free:
        found = found * shape[axis]
    return found


def _count(group: Group, shape: Sequence[int], programs: int) -> Array:
    if not group.atoms:
        whole: Array = group.values(_FIRST, shape).sum(dtype=np.int64).reshape(1)
        return whole
    alone = group.atoms[0] if len(group.atoms) == 1 and not group.fixed else None
    if alone is None:
        return _count_evaluated(group, shape, np.arange(programs))
    return _count_atom(alone, shape, programs)


def _count_atom(atom: Atom, shape: Sequence[int], programs: int) -> Array:
    """The same of one part, worked out once however it is laid into tiles."""
    laid = enumerate(atom.places)
    key = tuple(sorted((place, shape[axis]) for axis, place in laid if place is not None))
    known = atom.core.counts.get(key)
    if known is None:
        axes = {axis for axis, differs in enumerate(atom.axes) if differs}
        known = _count_alone(Group(axes, atoms=[atom]), atom, shape, programs)
        atom.core.counts[key] = known
    return known


def _count_alone(group: Group, atom: Atom, shape: Sequence[int], programs: int) -> Array:
    every = np.arange(programs)
    bounds = atom.core.bounds(every) if isinstance(atom.core, Difference) else None
    if bounds is None:
        return _count_evaluated(group, shape, every)
    whole = int(np.prod([shape[axis] for axis in group.axes], dtype=np.int64))
    least, most = np.broadcast_arrays(*bounds)
    found = np.where(most < 0, whole, 0)
    doubtful = np.flatnonzero((least < 0) & (most >= 0))
    if len(doubtful):
        found[doubtful] = _count_evaluated(group, shape, doubtful)
    return found if (found != found[0]).any() else found[:1]


def _count_evaluated(group: Group, shape: Sequence[int], programs: Array) -> Array:
    chosen, kind = classes(group.leaves, programs)
    cells = int(np.prod([shape[axis] for axis in group.axes], dtype=np.int64))
    axes = tuple(range(1, len(shape) + 1))
    counts = np.concatenate(
        [
            np.broadcast_to(group.values(piece, shape).sum(axes, dtype=np.int64), len(piece))
            for piece in in_pieces(chosen, cells)
        ]
    )
    found: Array = counts[kind] if len(counts) > 1 else np.repeat(counts, len(programs))
    return found


def partial(mask: Mask, shape: Sequence[int], programs: int) -> Mask:
    """`mask` without the parts that are open at every place in every program."""
    kept = tuple(atom for atom in mask.atoms if not _is_open(atom, shape, programs))
    if len(kept) == len(mask.atoms):
        return mask
    return Mask(mask.shape, mask.scalar, mask.fixed, kept, mask.hidden)


def _is_open(atom: Atom, shape: Sequence[int], programs: int) -> bool:
    whole = int(np.prod([shape[a] for a, differs in enumerate(atom.axes) if differs]))
    return bool((_count_atom(atom, shape, programs) == whole).all())


_FIRST = np.zeros(1, np.intp)


def spread(counts: Array, active: Array, running: int) -> int:
    """The sum of `counts`, `[programs or 1]`, over the programs that run."""
    if len(counts) == 1:
        return int(counts[0]) * running
    if len(active) == 1:
        return int(counts.sum()) if active[0] else 0
    return int(counts[active].sum())


def classes(leaves: Sequence[Array], programs: Array) -> tuple[Array, Array]:
    """One of `programs` for each combination of leaves, and which of these each program has."""
    codes: Array | None = None
    for leaf in leaves:
        _, own = np.unique(leaf[programs], return_inverse=True)
        codes = own if codes is None else codes * (int(own.max(initial=0)) + 1) + own
    if codes is None:
        return programs[:1], np.zeros(len(programs), np.intp)
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return programs[first], inverse


def in_pieces(programs: Array, cells: int) -> Iterable[Array]:
    """`programs` in pieces of which so many tiles of `cells` elements fit into memory."""
    size = max(1, _CELLS // max(cells, 1))
    return (programs[start : start + size] for start in range(0, len(programs), size))
