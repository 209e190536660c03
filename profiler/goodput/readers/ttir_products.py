"""Matrix products of tiles: which of their multiplications are of real data, and which of padding.

A place of a tile is padding where it was loaded masked off, where what is computed from it is
stored masked off, or where a mask put minus infinity or zero in its place. What is no padding as
far as masks of whole numbers tell is useful.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from goodput.readers.ttir_index import EVERY, Array, Mask
from goodput.readers.ttir_places import count, groups, spread

ROWS, COLUMNS, DEPTH = 0, 1, 2
"""Axes of a product: of its result, and the one that is summed over."""


@dataclass(slots=True, eq=False)
class Product:
    """Products of one operation whose results are padding at the same places.

    Attributes:
        shape: rows, columns and depth of the tiles.
        mask: where a multiplication is of loaded data, over (rows, columns, depth).
        weights: how often each program does it, times the open places along the depth if these are
            the same for all rows and columns.
        uses: where each use of the result needs it, over (rows, columns).
        batch: products side by side.
    """

    shape: tuple[int, int, int]
    mask: Mask
    weights: Array
    batch: int
    uses: list[Mask] = field(default_factory=list)

    def useful_flops(self, programs: int) -> int:
        """FLOPs on data, of results that any use needs."""
        needed = _common(self.uses)
        mask = self.mask if needed is None else self.mask & needed.moved((0, 1, None), self.shape)
        tied = any(axes[DEPTH] for axes in self.mask.differing)
        depth = self.shape[DEPTH] if tied else 1  # else the weights have it
        counts = count(mask, (*self.shape[:DEPTH], depth), programs)
        return 2 * self.batch * spread(counts * self.weights, EVERY, programs)


@dataclass(frozen=True, slots=True)
class Source:
    """A product that a value was computed from, place by place.

    Attributes:
        product: it.
        mask: which places of the value still come from it, over the value's own two axes.
        swapped: whether the value's axes are the product's columns and rows.
    """

    product: Product
    mask: Mask
    swapped: bool = False

    def masked(self, mask: Mask | None) -> Source:
        """The same, with other places masked off."""
        return self if mask is None else Source(self.product, self.mask & mask, self.swapped)

    def use(self, mask: Mask | None = None) -> None:
        """Its value is needed, where `mask` lets it through."""
        needed = self.mask if mask is None else self.mask & mask
        shape = self.product.shape[:DEPTH]
        self.product.uses.append(needed.moved((1, 0), shape) if self.swapped else needed)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Numbers that a kernel computes with: floating-point, or loaded; only this is known of them.

    Attributes:
        cause: the operation that made them, where something else depends on their values.
        valid: where they are no padding; None: as far as is known, everywhere.
        sources: the products that they come from.
        constant: the number that they all are.
    """

    cause: str = ""
    valid: Mask | None = None
    sources: tuple[Source, ...] = ()
    constant: float | None = None

    def use(self, mask: Mask | None = None) -> None:
        """They are needed, where `mask` lets them through."""
        for source in self.sources:
            source.use(mask)


class Products:
    """All products of a kernel in one part of its grid."""

    def __init__(self, programs: int) -> None:
        self._programs = programs
        self._known: dict[object, Product] = {}
        self.issued_flops = 0
        self.hidden: set[str] = set()

    def add(
        self,
        site: object,
        shape: tuple[int, int, int],
        operands: tuple[Mask | None, Mask | None],
        active: Array,
        batch: int = 1,
    ) -> Product:
        """A product of tiles `[rows, depth]` and `[depth, columns]` by the active programs.

        Args:
            site: the operation, and what else its products differ by.
            shape: rows, columns, depth.
            operands: where the tiles hold data.
            active: which programs run.
            batch: so many products side by side.
        """
        left, right = operands
        mask = Mask.everywhere(shape)
        if left is not None:
            mask &= left.moved((0, None, 1), shape)
        if right is not None:
            mask &= right.moved((None, 1, 0), shape)
        if mask.hidden:
            self.hidden.add(mask.hidden)
        rest, along = _depth_apart(mask, shape)
        weights = active.astype(np.int64)
        if along is not None:
            weights = weights * count(along, (1, 1, shape[DEPTH]), self._programs)
        running = int(np.broadcast_to(active, self._programs).sum())
        self.issued_flops += 2 * batch * shape[0] * shape[1] * shape[2] * running
        key = site, rest.key
        product = self._known.get(key)
        if product is None:
            product = self._known[key] = Product(shape, rest, weights, batch)
        else:
            product.weights = product.weights + weights
        return product

    def useful_flops(self) -> int:
        """FLOPs on data that a use needs."""
        return sum(p.useful_flops(self._programs) for p in self._known.values())


def _depth_apart(mask: Mask, shape: Sequence[int]) -> tuple[Mask, Mask | None]:
    """`mask` without, and with only, the parts that differ along the depth alone.

    Parts that tie the depth to rows or columns stay whole: then nothing is taken apart.
    """
    tied = any(DEPTH in group.axes and len(group.axes) > 1 for group in groups(mask))
    if tied:
        return mask, None
    fixed = {axes: array for axes, array in mask.fixed.items() if not axes[DEPTH]}
    along = {axes: array for axes, array in mask.fixed.items() if axes[DEPTH]}
    atoms = tuple(atom for atom in mask.atoms if not atom.axes[DEPTH])
    deep = tuple(atom for atom in mask.atoms if atom.axes[DEPTH])
    rest = Mask(tuple(shape), mask.scalar, fixed, atoms)
    return rest, Mask(tuple(shape), EVERY, along, deep)


def _common(uses: list[Mask]) -> Mask | None:
    """What all of `uses` demand: a place that none of them needs is closed in it."""
    if not uses:
        return None
    first = uses[0]
    others = {id(use): use for use in uses[1:] if use is not first}.values()
    fixed = dict(first.fixed)
    atoms = {atom.key: atom for atom in first.atoms}
    scalar = first.scalar
    for use in others:
        fixed = {
            axes: array
            for axes, array in fixed.items()
            if axes in use.fixed and np.array_equal(array, use.fixed[axes])
        }
        keys = {atom.key for atom in use.atoms}
        atoms = {key: atom for key, atom in atoms.items() if key in keys}
        scalar = scalar | use.scalar
    return Mask(first.shape, scalar, fixed, tuple(atoms.values()), first.hidden)
