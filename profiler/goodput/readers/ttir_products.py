"""Matrix products of tiles: which of their multiplications are of real data, and which of padding.

A place of a tile is padding where it was loaded masked off, where what is computed from it is
stored masked off, or where a mask put minus infinity or zero in its place. What is no padding as
far as masks of whole numbers tell is useful.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations
from operator import and_

import numpy as np

from goodput.readers.ttir_index import EVERY, Array, Mask
from goodput.readers.ttir_places import count, groups, partial, spread

_USES = 4
"""Different uses of a product whose union is worked out."""

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
        key: equal for products of one operation that can be added up.
    """

    shape: tuple[int, int, int]
    mask: Mask
    weights: Array
    batch: int
    key: object
    uses: list[Mask] = field(default_factory=list)

    def useful_flops(self, programs: int) -> int:
        """FLOPs on data, of results that any use needs."""
        return sum(sign * self._flops(mask, programs) for sign, mask in _unions(self.uses))

    def _flops(self, needed: Mask | None, programs: int) -> int:
        """FLOPs on data, of results that are needed."""
        mask = self.mask if needed is None else self.mask & needed.moved((0, 1, None), self.shape)
        tied = any(axes[DEPTH] for axes in self.mask.differing)
        depth = self.shape[DEPTH] if tied else 1  # else the weights have it
        shape = (*self.shape[:DEPTH], depth)
        counts = count(partial(mask, shape, programs), shape, programs)
        return 2 * self.batch * spread(counts * self.weights, EVERY, programs)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A product, or several, that a value was computed from, place by place.

    Attributes:
        mask: which places of the value still come from it, over the value's own two axes.
        product: it; None for several.
        inner: the sources that it stands for where it is several.
        swapped: whether the value's axes are the columns and rows of these.
    """

    mask: Mask
    product: Product | None = None
    inner: tuple[Source, ...] = ()
    swapped: bool = False
    members: frozenset[int] = frozenset()

    @classmethod
    def of(cls, product: Product) -> Source:
        """All of a product's result."""
        mask = Mask.everywhere(product.shape[:DEPTH])
        return cls(mask, product, members=frozenset((id(product),)))

    def transposed(self, shape: tuple[int, ...]) -> Source:
        """In a tile of `shape` with the axes swapped."""
        mask = self.mask.moved((1, 0), shape)
        return Source(mask, self.product, self.inner, not self.swapped, self.members)

    def use(self, mask: Mask | None = None) -> None:
        """Its value is needed, where `mask` lets it through."""
        needed = self.mask if mask is None else self.mask & mask
        if self.swapped:
            rows, columns = needed.shape
            needed = needed.moved((1, 0), (columns, rows))
        if self.product is not None:
            self.product.uses.append(needed)
        for source in self.inner:
            source.use(needed)


def masked_sources(sources: tuple[Source, ...], mask: Mask | None) -> tuple[Source, ...]:
    """The same sources with other places masked off: many of them at once."""
    if mask is None or not sources:
        return sources
    if len(sources) == 1:
        one = sources[0]
        return (Source(one.mask & mask, one.product, one.inner, one.swapped, one.members),)
    members = frozenset().union(*(source.members for source in sources))
    return (Source(mask, None, sources, members=members),)


def joined(first: tuple[Source, ...], other: tuple[Source, ...]) -> tuple[Source, ...]:
    """The sources of both, each once."""
    have = frozenset().union(*(source.members for source in first))
    return first + tuple(source for source in other if not source.members <= have)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Numbers that a kernel computes with: floating-point, or loaded; only this is known of them.

    Attributes:
        cause: the operation that made them, where something else depends on their values.
        valid: where they are no padding; None: as far as is known, everywhere.
        sources: the products that they come from.
        constant: the number that they all are.
        erases: whether a mask put a filler of which nothing is left where they are not valid.
    """

    cause: str = ""
    valid: Mask | None = None
    sources: tuple[Source, ...] = ()
    constant: float | None = None
    erases: bool = False

    def use(self, mask: Mask | None = None) -> None:
        """They are needed, where `mask` lets them through."""
        for source in self.sources:
            source.use(mask)


class Products:
    """All products of a kernel in one part of its grid."""

    def __init__(self, programs: int) -> None:
        self._programs = programs
        self._all: list[Product] = []
        self._issued: Counter[str] = Counter()
        self.hidden: set[str] = set()

    @property
    def issued_flops(self) -> int:
        """FLOPs of the tiles as they are."""
        return self._issued.total()

    @property
    def mode(self) -> str:
        """The math mode of most of them; "" without any."""
        return self._issued.most_common(1)[0][0] if self._issued else ""

    def add(
        self,
        site: object,
        shape: tuple[int, int, int],
        operands: tuple[Mask | None, Mask | None],
        active: Array,
        total: Data,
        mode: str,
        batch: int = 1,
    ) -> Product:
        """A product of tiles `[rows, depth]` and `[depth, columns]` by the active programs.

        Args:
            site: the operation.
            shape: rows, columns, depth.
            operands: where the tiles hold data.
            active: which programs run.
            total: what the product is added to; its own earlier part is one product with it.
            mode: the math mode.
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
        self._issued[mode] += 2 * batch * shape[0] * shape[1] * shape[2] * running
        key = site, rest.key
        for source in total.sources:
            if source.product is not None and source.product.key == key:
                source.product.weights = source.product.weights + weights
                return source.product
        product = Product(shape, rest, weights, batch, key)
        self._all.append(product)
        return product

    def useful_flops(self) -> int:
        """FLOPs on data that a use needs."""
        return sum(p.useful_flops(self._programs) for p in self._all)


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


def _unions(uses: list[Mask]) -> list[tuple[int, Mask | None]]:
    """Masks whose counts, added with their signs, count the places that any of `uses` needs.

    Of more than a few different uses only what is common to all is told.
    """
    if not uses or any(use.is_open for use in uses):
        return [(1, None)]
    distinct = list({use.key: use for use in uses}.values())
    if len(distinct) > _USES:
        return [(1, _common(distinct))]
    return [
        ((-1) ** (len(chosen) + 1), reduce(and_, chosen))
        for size in range(1, len(distinct) + 1)
        for chosen in combinations(distinct, size)
    ]


def _common(uses: list[Mask]) -> Mask:
    """What all of `uses` demand: a place that none of them needs is closed in it."""
    first, *others = uses
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
