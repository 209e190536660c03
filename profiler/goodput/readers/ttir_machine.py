"""Runs the operations of a kernel for all programs of a part of its grid at once.

Numbers that decide where memory is touched and how often a loop runs are worked out; data is not.
What each operation means is said by the tables of `ttir_arithmetic`, `ttir_shapes`, `ttir_memory`
and `ttir_control`; one that stands in none of them ends the count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

import numpy as np

from goodput.errors import UsageError
from goodput.readers.ttir_index import EVERY, Array, Index, Mask
from goodput.readers.ttir_products import Data, Products, joined
from goodput.readers.ttir_text import Block, Function, Module, Operation
from goodput.readers.ttir_traffic import Traffic
from goodput.readers.ttir_values import Memory

MOST_STEPS = 4_000_000
"""Operations that are gone through before a kernel is given up: some seconds of them."""


class UncountableError(UsageError):
    """A kernel does something that cannot be counted; `operation` names what."""

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(f"{operation}: {reason}")
        self.operation = operation


class DataDependentError(UncountableError):
    """What it does depends on numbers in memory that nobody told."""


@dataclass(frozen=True, slots=True, eq=False)
class Descriptor:
    """A tensor in memory of which blocks are fetched.

    Attributes:
        base: address of its first element, in bytes.
        sizes, strides: of each dimension, in elements.
        block: the shape of a block.
        item_bytes: bytes of an element.
    """

    base: Index
    sizes: tuple[Index, ...]
    strides: tuple[Index, ...]
    block: tuple[int, ...]
    item_bytes: int


Value: TypeAlias = Index | Mask | Data | Descriptor
Handler: TypeAlias = "Callable[[Machine, Operation, Sequence[Value]], Sequence[Value]]"
Control: TypeAlias = "Callable[[Machine, Operation, dict[str, Value]], Sequence[Value]]"


@dataclass(slots=True)
class Tally:
    """What the programs of a part of the grid did.

    Attributes:
        vector_flops, special: as in `Work`.
        loaded, stored, atomic: bytes, each access for itself.
        unplaced_read, unplaced_written: bytes of them at addresses that depend on data.
        notes: sentences on what is a bound.
    """

    vector_flops: int = 0
    special: int = 0
    loaded: int = 0
    stored: int = 0
    atomic: int = 0
    unplaced_read: int = 0
    unplaced_written: int = 0
    notes: set[str] = field(default_factory=set)


class Machine:
    """A part of a grid.

    Args:
        module: the kernel and what it calls.
        handlers: what operations mean: plain ones, by the values of their operands; and those
            with regions, which run in all the values around them.
        places: the number of each program along x, y and z.
        grid: the size of the whole grid.
        traffic: what the kernel reads and writes.
        memory: whole numbers that it reads, as far as they are known.
    """

    def __init__(
        self,
        module: Module,
        handlers: tuple[Mapping[str, Handler], Mapping[str, Control]],
        places: Sequence[Array],
        grid: Sequence[int],
        traffic: tuple[Traffic, Traffic],
        memory: Memory,
    ) -> None:
        self.programs = len(places[0])
        self.places = tuple(p[:1] if (p == p[0]).all() else p for p in places)
        self.grid = tuple(grid)
        self.reads, self.writes = traffic
        self.memory = memory
        self.tally = Tally()
        self.products = Products(self.programs)
        self.active: Array = EVERY
        self.running = self.programs
        self.known: dict[int, tuple[Sequence[Value], Sequence[Value]]] = {}
        self._module = module
        self._steps = 0
        self._plainly, self._control = handlers

    def only(self, active: Array) -> None:
        """From here on only these programs run."""
        if len(active) == 1:
            self.active = EVERY if active[0] else active
            self.running = self.programs if active[0] else 0
            return
        self.running = int(active.sum())
        self.active = EVERY if self.running == self.programs else active

    def function(self, op: Operation) -> Function:
        """The function that a call calls."""
        found = re.search(r"@\"?([\w.$\-]+)\"?\(", op.text)
        function = self._module.functions.get(found[1]) if found else None
        if function is None or not function.blocks:
            raise UncountableError(op.name, f"what it calls is not there: {op.text}")
        return function

    def run(self, function: Function, values: Sequence[Value]) -> Sequence[Value]:
        """What a function returns, from the values of its arguments."""
        env: dict[str, Value] = dict(zip(function.arguments, values, strict=True))
        return self.region(function.blocks, env)

    def region(self, blocks: Sequence[Block], env: dict[str, Value]) -> Sequence[Value]:
        """What the blocks of a region hand back, run in order: jumps go forward."""
        if len(blocks) == 1:
            return self.block(blocks[0], env)[1]
        before = self.active
        waiting: dict[str, tuple[Array, Sequence[Value]]] = {blocks[0].label: (before, ())}
        result: Sequence[Value] | None = None
        for place, block in enumerate(blocks):
            label = block.label if place else blocks[0].label
            if label not in waiting:
                continue
            active, values = waiting.pop(label)
            self.only(active)
            if not self.running:
                continue
            if values:
                env.update(zip(block.arguments, values, strict=True))
            last, given = self.block(block, env)
            if last.name.startswith("cf."):
                self._jump(last, given, env, waiting)
            else:
                result = given if result is None else merged_all(self.active, given, result)
        if waiting:
            raise UncountableError("cf.br", "it jumps backward")
        self.only(before)
        return result or ()

    def block(self, block: Block, env: dict[str, Value]) -> tuple[Operation, Sequence[Value]]:
        """Runs a block; its last operation, and the operands of that."""
        known = self.known
        *body, last = block.operations
        self._steps += len(body)
        if self._steps > MOST_STEPS:
            raise UncountableError(last.name, f"the kernel takes more than {MOST_STEPS:,} steps")
        for op in body:
            control = self._control.get(op.name)
            if control is not None:
                results = control(self, op, env)
            else:
                values = [env[name] for name in op.operands]
                held = known.get(id(op))
                if held is not None and all(a is b for a, b in zip(held[0], values, strict=True)):
                    results = held[1]
                else:
                    results = self._plain(op, values)
            env.update(zip(op.results, results, strict=True))
        return last, [env[name] for name in last.operands]

    def _plain(self, op: Operation, values: Sequence[Value]) -> Sequence[Value]:
        """The results of an operation without regions that run by themselves."""
        handler = self._plainly.get(op.name)
        if handler is None:
            raise UncountableError(op.name, "no rule tells what it does")
        results = handler(self, op, values)
        if op.name in PURE:
            self.known[id(op)] = values, results
        return results

    def _jump(
        self,
        op: Operation,
        values: Sequence[Value],
        env: dict[str, Value],
        waiting: dict[str, tuple[Array, Sequence[Value]]],
    ) -> None:
        if op.name == "cf.br":
            conditions = [self.active]
        elif op.name == "cf.cond_br":
            chosen = decided(values[0], op)
            conditions = [self.active & chosen, self.active & ~chosen]
        else:
            raise UncountableError(op.name, "no rule tells what it does")
        for (label, names), active in zip(_targets(op.text), conditions, strict=True):
            given = [env[name] for name in names]
            if label in waiting:
                other, had = waiting[label]
                waiting[label] = active | other, merged_all(active, given, had)
            else:
                waiting[label] = active, given

    def count(self, *, flops: int = 0, special: int = 0) -> None:
        """Counts arithmetic of each running program."""
        self.tally.vector_flops += flops * self.running
        self.tally.special += special * self.running


PURE: set[str] = set()
"""Operations that count nothing, so that equal operands need not be looked at again."""


@cache
def _targets(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Labels and names of arguments of a jump."""
    found = re.findall(r"(\^\w+)(?:\(([^)]*)\))?", text)
    return tuple((label, tuple(re.findall(r"%[\w$.\-#]+", names))) for label, names in found)


def decided(value: Value, op: Operation) -> Array:
    """The programs in which a condition holds.

    Raises:
        UncountableError: it depends on data.
    """
    if isinstance(value, Mask) and not value.hidden:
        return value.scalar
    if isinstance(value, Index):
        found: Array = value.scalar != 0
        return found
    cause = value.hidden if isinstance(value, Mask) else getattr(value, "cause", "")
    raise DataDependentError(op.name, f"what it does depends on data ({cause or 'computed'})")


def merged_all(active: Array, new: Sequence[Value], old: Sequence[Value]) -> list[Value]:
    """`merged` of each pair."""
    return [merged(active, one, other) for one, other in zip(new, old, strict=True)]


def merged(active: Array, new: Value, old: Value) -> Value:
    """`new` in the active programs, `old` in the others."""
    if isinstance(new, Data) and isinstance(old, Data):
        return new if new is old else either(new, old)
    if new is old or active.all():
        return new
    if isinstance(new, Index) and isinstance(old, Index):
        return _merged_index(active, new, old)
    if isinstance(new, Mask) and isinstance(old, Mask):
        return _merged_mask(active, new, old)
    caused = next((value.cause for value in (new, old) if isinstance(value, Data)), "")
    return Data(caused or "scf.if")


def _merged_mask(active: Array, new: Mask, old: Mask) -> Mask:
    if not new.shape and not (new.hidden or old.hidden):
        return Mask((), np.where(active, new.scalar, old.scalar))
    if new.key == old.key:
        return new
    return Mask.everywhere(new.shape, new.hidden or old.hidden or "scf.for")


def _merged_index(active: Array, new: Index, old: Index) -> Value:
    same = new.fixed.keys() == old.fixed.keys() and all(
        array is old.fixed[axes] or np.array_equal(array, old.fixed[axes])
        for axes, array in new.fixed.items()
    )
    if same and new.atoms == old.atoms:
        scalar = np.where(active, new.scalar, old.scalar)
        return Index(new.shape, scalar, new.fixed, new.atoms)
    return Data("scf.for")


def either(new: Data, old: Data) -> Data:
    """Data that may be `new` or `old`; a constant that a loop begins with says nothing."""
    if old.constant is not None and not old.sources:
        return Data(new.cause, new.valid, new.sources)
    if new.constant is not None and not new.sources:
        return Data(old.cause, old.valid, old.sources)
    valid = agreed(new.valid, old.valid)
    return Data(new.cause or old.cause, valid, joined(new.sources, old.sources))


def agreed(one: Mask | None, other: Mask | None) -> Mask | None:
    """Where both are valid if they agree; else nothing is known."""
    if one is None or other is None:
        return None
    return one if one is other or one.key == other.key else None
