"""Whole numbers and booleans of all programs of a grid at once, kept apart axis by axis.

An index is the sum of a number a program, of tiles that are the same in all programs, and of parts
that are worked out only when asked for; a mask is the same with "and" for the sum. So a row of
addresses costs a number a program, and what many programs share is worked out once. Wrapping round
at 32 bits is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Axes: TypeAlias = tuple[bool, ...]
"""Along which axes of a tile an array differs."""

EVERY = np.ones(1, bool)
"""True in all programs."""


class Core:
    """A function of indices and masks, worked out for chosen programs alone.

    Args:
        symbol: what it does; with `parameter`, the same for equal functions.
        operands: its arguments, all of the same rank.
        function: from the operands' arrays `[programs, *tile]` to its own.
        shape: of the tile that it gives.
        parameter: anything else that `function` depends on.
    """

    def __init__(
        self,
        symbol: str,
        operands: Sequence[Spread],
        function: Callable[..., Array],
        shape: tuple[int, ...],
        parameter: object = None,
    ) -> None:
        self.symbol = symbol
        self.operands = tuple(operands)
        self.shape = shape
        self._function = function
        self._parameter = parameter
        self.counts: dict[object, Array] = {}

    def values(self, programs: Array) -> Array:
        """`[programs or 1, *tile]`."""
        return self._function(*(operand.values(programs) for operand in self.operands))

    @cached_property
    def leaves(self) -> tuple[Array, ...]:
        """The numbers a program that it depends on."""
        return distinct(leaf for operand in self.operands for leaf in operand.leaves)

    @cached_property
    def axes(self) -> Axes:
        """Along which axes of its tile it differs."""
        if any(len(operand.shape) != len(self.shape) for operand in self.operands):
            return tuple(size > 1 for size in self.shape)
        every = [axes for operand in self.operands for axes in operand.differing]
        return tuple(any(axes[place] for axes in every) for place in range(len(self.shape)))

    @cached_property
    def key(self) -> object:
        """Equal for equal functions."""
        return self.symbol, self._parameter, tuple(operand.key for operand in self.operands)


class Difference(Core):
    """Whether an index is below zero: told by its bounds for most programs."""

    def __init__(self, index: Index) -> None:
        super().__init__("below", (index,), lambda values: values < 0, index.shape)
        self.index = index

    def bounds(self, programs: Array) -> tuple[Array, Array] | None:
        """The least and the greatest value in each program; None where they are not plain."""
        if self.index.atoms:
            return None
        scalar = self.index.scalar
        own = scalar[programs] if len(scalar) > 1 else scalar
        fixed = self.index.fixed.values()
        return own + sum(int(a.min()) for a in fixed), own + sum(int(a.max()) for a in fixed)


@dataclass(frozen=True, slots=True)
class Atom:
    """A core laid into a tile: `places[axis]` is an axis of the core, None where it is the same."""

    core: Core
    places: tuple[int | None, ...]

    @property
    def axes(self) -> Axes:
        """Along which axes of the tile it differs."""
        axes = self.core.axes
        return tuple(place is not None and axes[place] for place in self.places)

    @property
    def key(self) -> object:
        """Equal for equal atoms."""
        return self.core.key, self.places

    def values(self, programs: Array) -> Array:
        """`[programs or 1, *tile]`, with size 1 where it does not differ."""
        found = self.core.values(programs)
        order = [place for place in self.places if place is not None]
        dropped = [axis for axis in range(found.ndim - 1) if axis not in order]
        found = found.transpose(0, *(place + 1 for place in order), *(d + 1 for d in dropped))
        found = found.reshape(found.shape[: 1 + len(order)])
        missing = tuple(axis + 1 for axis, place in enumerate(self.places) if place is None)
        return np.expand_dims(found, missing)

    def moved(self, sources: Sequence[int | None]) -> Atom:
        """In a tile whose axis i is the axis `sources[i]` of this one."""
        return Atom(self.core, tuple(None if s is None else self.places[s] for s in sources))


class Spread:
    """What an index and a mask have in common.

    Args:
        shape: of the tile; () for a number a program.
        scalar: `[programs or 1]`.
        fixed: tiles that are the same in all programs, by the axes along which they differ.
        atoms: what differs by program and place together.
    """

    neutral: Any = 0
    combine: Any = np.add

    def __init__(
        self,
        shape: tuple[int, ...],
        scalar: Array,
        fixed: Mapping[Axes, Array] | None = None,
        atoms: tuple[Atom, ...] = (),
    ) -> None:
        self.shape = shape
        self.scalar = scalar
        self.fixed = fixed or {}
        self.atoms = atoms

    @property
    def is_uniform(self) -> bool:
        """Whether it is the same in all programs."""
        return len(self.scalar) == 1 and not self.atoms

    @property
    def leaves(self) -> tuple[Array, ...]:
        """The numbers a program that it depends on."""
        own = (self.scalar,) if len(self.scalar) > 1 else ()
        if not self.atoms:
            return own
        return distinct((*own, *(leaf for atom in self.atoms for leaf in atom.core.leaves)))

    @property
    def differing(self) -> tuple[Axes, ...]:
        """The axes along which each of its parts differs."""
        return (*self.fixed, *(atom.axes for atom in self.atoms))

    @property
    def key(self) -> object:
        """Equal for equal values; of a mask, in whatever order."""
        fixed = frozenset((axes, array.tobytes()) for axes, array in self.fixed.items())
        return self.shape, self.scalar.tobytes(), fixed, frozenset(a.key for a in self.atoms)

    def values(self, programs: Array) -> Array:
        """`[programs or 1, *tile]`, with size 1 along axes where nothing differs."""
        scalar = self.scalar[programs] if len(self.scalar) > 1 else self.scalar
        found: Array = scalar.reshape(-1, *(1,) * len(self.shape))
        for array in self.fixed.values():
            found = self.combine(found, array)
        for atom in self.atoms:
            found = self.combine(found, atom.values(programs))
        return found

    def moved(self, sources: Sequence[int | None], shape: tuple[int, ...]) -> Any:
        """In a tile of `shape` whose axis i is axis `sources[i]` of this one, None a new one."""
        order = [source for source in sources if source is not None]
        missing = tuple(axis for axis, source in enumerate(sources) if source is None)
        fixed = {}
        for axes, array in self.fixed.items():
            kept = array.transpose(*order, *(a for a in range(array.ndim) if a not in order))
            kept = kept.reshape(kept.shape[: len(order)])
            new = tuple(source is not None and axes[source] for source in sources)
            fixed[new] = np.expand_dims(kept, missing)
        atoms = tuple(atom.moved(sources) for atom in self.atoms)
        return type(self)(shape, self.scalar, fixed, atoms)

    def broadcast(self, shape: tuple[int, ...]) -> Any:
        """The same in a tile of `shape`, whose axes were 1 where they differ."""
        return type(self)(shape, self.scalar, self.fixed, self.atoms)


class Index(Spread):
    """Whole numbers: a sum."""

    def __add__(self, other: Index) -> Index:
        """The sum."""
        fixed = dict(self.fixed)
        for axes, array in other.fixed.items():
            fixed[axes] = fixed[axes] + array if axes in fixed else array
        atoms = self.atoms + other.atoms
        return Index(self.shape or other.shape, self.scalar + other.scalar, fixed, atoms)

    def __neg__(self) -> Index:
        """Its opposite."""
        fixed = {axes: -array for axes, array in self.fixed.items()}
        atoms = tuple(_scaled(atom, -1) for atom in self.atoms)
        return Index(self.shape, -self.scalar, fixed, atoms)

    def __sub__(self, other: Index) -> Index:
        """The difference."""
        return self + (-other)

    def plus(self, number: int) -> Index:
        """The sum with a number."""
        return Index(self.shape, self.scalar + number, self.fixed, self.atoms)

    def __mul__(self, other: Index) -> Index:
        """The product, still a sum where one factor is a number that all programs share."""
        for factor, index in ((self, other), (other, self)):
            if factor.fixed or factor.atoms:
                continue
            if len(factor.scalar) == 1:
                return index.times(int(factor.scalar[0]))
            if not index.fixed and not index.atoms:
                return Index(self.shape, self.scalar * other.scalar)
        return applied("*", (self, other), np.multiply)

    def times(self, number: int) -> Index:
        """The product with a number that all programs share."""
        fixed = {axes: array * number for axes, array in self.fixed.items()}
        atoms = tuple(_scaled(atom, number) for atom in self.atoms)
        return Index(self.shape, self.scalar * number, fixed, atoms)

    def below_zero(self) -> Mask:
        """Where it is negative."""
        if self.is_uniform or not self.shape:
            return masked("below", (self,), lambda values: values < 0)
        return Mask(self.shape, EVERY, None, (_whole(Difference(self)),))


class Mask(Spread):
    """Booleans: true where all parts are.

    `hidden` names the operation that read data on which the mask depends further: then it says
    where elements may be, not where they are.
    """

    neutral = True
    combine = np.logical_and

    def __init__(
        self,
        shape: tuple[int, ...],
        scalar: Array,
        fixed: Mapping[Axes, Array] | None = None,
        atoms: tuple[Atom, ...] = (),
        hidden: str = "",
    ) -> None:
        super().__init__(shape, scalar, fixed, atoms)
        self.hidden = hidden

    @property
    def is_open(self) -> bool:
        """Whether nothing is known to be closed."""
        return not self.fixed and not self.atoms and not self.hidden and bool(self.scalar.all())

    @classmethod
    def everywhere(cls, shape: tuple[int, ...], hidden: str = "") -> Mask:
        """True at every place."""
        return cls(shape, EVERY, hidden=hidden)

    def moved(self, sources: Sequence[int | None], shape: tuple[int, ...]) -> Mask:
        """As `Spread.moved`."""
        found: Mask = super().moved(sources, shape)
        found.hidden = self.hidden
        return found

    def broadcast(self, shape: tuple[int, ...]) -> Mask:
        """As `Spread.broadcast`."""
        return Mask(shape, self.scalar, self.fixed, self.atoms, self.hidden)

    def __and__(self, other: Mask) -> Mask:
        """Where both are true."""
        if self is other or other.is_open:
            return self
        fixed = dict(self.fixed)
        for axes, array in other.fixed.items():
            fixed[axes] = fixed[axes] & array if axes in fixed else array
        have = {id(atom.core) for atom in self.atoms}
        new = tuple(a for a in other.atoms if id(a.core) not in have or a not in self.atoms)
        hidden = self.hidden or other.hidden
        scalar = self.scalar & other.scalar
        return Mask(self.shape or other.shape, scalar, fixed, self.atoms + new, hidden)

    def __invert__(self) -> Mask:
        """Where it is false."""
        return masked("not", (self,), np.logical_not)


def _whole(core: Core) -> Atom:
    return Atom(core, tuple(range(len(core.shape))))


def _scaled(atom: Atom, number: int) -> Atom:
    if number == 1:
        return atom
    index = Index(atom.core.shape, np.zeros(1, np.int64), None, (_whole(atom.core),))
    scaled = Core("scale", (index,), lambda values: values * number, atom.core.shape, number)
    return Atom(scaled, atom.places)


def constant(value: int, shape: tuple[int, ...] = ()) -> Index:
    """One number everywhere."""
    return Index(shape, np.array([value], np.int64))


def truth(value: bool, shape: tuple[int, ...] = ()) -> Mask:
    """One boolean everywhere."""
    return Mask(shape, np.array([value], bool))


def tile(array: Array) -> Index:
    """A tile that is the same in all programs."""
    axes = tuple(size > 1 for size in array.shape)
    return Index(array.shape, np.zeros(1, np.int64), {axes: array.astype(np.int64)})


def applied(
    symbol: str,
    operands: Sequence[Spread],
    function: Callable[..., Array],
    shape: tuple[int, ...] | None = None,
    parameter: object = None,
) -> Index:
    """The index that `function` makes of its operands; at once where that is cheap."""
    shape = operands[0].shape if shape is None else shape
    if not shape and all(not operand.atoms and not operand.shape for operand in operands):
        return Index((), function(*(o.scalar for o in operands)).astype(np.int64))
    if all(operand.is_uniform for operand in operands):
        found = function(*(operand.values(_FIRST) for operand in operands))[0]
        return _uniform_index(np.asarray(found, np.int64), shape)
    core = Core(symbol, operands, function, shape, parameter)
    return Index(shape, np.zeros(1, np.int64), None, (_whole(core),))


def masked(
    symbol: str,
    operands: Sequence[Spread],
    function: Callable[..., Array],
    shape: tuple[int, ...] | None = None,
    parameter: object = None,
) -> Mask:
    """The mask that `function` makes of its operands; at once where that is cheap."""
    shape = operands[0].shape if shape is None else shape
    hidden = next((o.hidden for o in operands if isinstance(o, Mask) and o.hidden), "")
    if hidden:
        return Mask.everywhere(shape, hidden)
    if not shape and all(not operand.atoms and not operand.shape for operand in operands):
        return Mask((), function(*(o.scalar for o in operands)).astype(bool))
    if all(operand.is_uniform for operand in operands):
        found = np.asarray(function(*(operand.values(_FIRST) for operand in operands))[0], bool)
        axes = tuple(size > 1 for size in found.shape)
        if not any(axes) or found.all():
            return Mask(shape, found.reshape(-1)[:1])
        return Mask(shape, EVERY, {axes: found})
    core = Core(symbol, operands, function, shape, parameter)
    return Mask(shape, EVERY, None, (_whole(core),))


_FIRST = np.zeros(1, np.intp)


def _uniform_index(found: Array, shape: tuple[int, ...]) -> Index:
    axes = tuple(size > 1 for size in found.shape)
    if not any(axes):
        return Index(shape, found.reshape(1))
    return Index(shape, np.zeros(1, np.int64), {axes: found})


def distinct(leaves: Iterable[Array]) -> tuple[Array, ...]:
    """Each array once."""
    return tuple({id(leaf): leaf for leaf in leaves}.values())
