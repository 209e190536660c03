"""Follows loops by a test and branches on values: how often each turned, which one was taken.

Only what decides them is computed: the part of a loop's state that its test needs, the index of a
branch. Where that hangs on a value that is not there, the loop stays undecided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from goodput.frontends.jax_bodies import (
    COND,
    PROGRAM,
    PROGRAMS,
    SCAN,
    SHARDED,
    SOLVE,
    WHILE,
    body_of,
    decides,
    is_decided_by_values,
)
from goodput.frontends.jax_private import (
    constants,
    evaluated,
    function_of,
    literal,
    live,
    open_jaxpr,
    scan_parts,
)

Path = tuple[int, ...]
"""Where an equation stands: its place in each jaxpr from the outermost to its own."""


class _Unknown:
    """A value that is not there."""


UNKNOWN = _Unknown()


@dataclass(slots=True)
class Turns:
    """What one loop, or one branching, did in the whole program.

    Attributes:
        body: how often the body of a loop ran.
        test: how often its test did.
        branches: how often each branch was taken.
    """

    body: int = 0
    test: int = 0
    branches: Counter[int] = field(default_factory=Counter)


def followed(jaxpr: Any, values: Sequence[Any]) -> Mapping[Path, Turns]:
    """The turns of every loop and branching that `values` decide.

    Args:
        jaxpr: the whole program, closed.
        values: its inputs; `UNKNOWN` where there is none.
    """
    follower = Follower()
    wanted = [False] * len(open_jaxpr(jaxpr).outvars)
    follower.run(jaxpr, values, (), wanted)
    return follower.decided()


class Follower:
    """Interprets a jaxpr, as far as values are known and needed; what is decided adds up.

    `programs` is where in its grid a kernel is, by axis.
    """

    def __init__(self) -> None:
        self.programs: Mapping[int, Any] = {}
        self._turns: dict[Path, Turns] = {}
        self._undecided: set[Path] = set()

    def decided(self) -> Mapping[Path, Turns]:
        """What is known of loops and branchings, without those inside of undecided ones."""
        return {
            path: turns
            for path, turns in self._turns.items()
            if not any(path[:length] in self._undecided for length in range(1, len(path) + 1))
        }

    def run(
        self, jaxpr: Any, values: Sequence[Any], path: Path, wanted: Sequence[bool]
    ) -> list[Any]:
        """The outputs of a jaxpr; `UNKNOWN` where they are, or were not wanted."""
        inner = open_jaxpr(jaxpr)
        environment: dict[Any, Any] = dict(zip(inner.constvars, constants(jaxpr), strict=False))
        environment.update(zip(inner.invars, values, strict=True))

        def read(atom: Any) -> Any:
            known, value = literal(atom)
            return value if known else environment.get(atom, UNKNOWN)

        for place, wants in slice_of(inner, wanted).equations:
            eqn = inner.eqns[place]
            inputs = [read(atom) for atom in eqn.invars]
            outputs = self._equation(eqn, inputs, (*path, place), wants)
            environment.update(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in inner.outvars]

    def _equation(
        self, eqn: Any, values: Sequence[Any], path: Path, wanted: Sequence[bool]
    ) -> Sequence[Any]:
        name = eqn.primitive.name
        if name == WHILE:
            return self._while(eqn, values, path, wanted)
        if name == COND:
            return self._branch(eqn, values, path, wanted)
        if name in (PROGRAM, PROGRAMS):
            known = self.programs if name == PROGRAM else {}
            return [known.get(eqn.params["axis"], UNKNOWN)]
        whole = all(value is not UNKNOWN for value in values)
        body = body_of(eqn)
        if body is None or name == SHARDED or (whole and not decides(eqn)):
            return evaluated(eqn, values) if whole else _nothing(eqn)
        if name == SCAN:
            return self._scan(eqn, values, path, wanted) if decides(eqn) else _nothing(eqn)
        if name == SOLVE:
            lengths = eqn.params["const_lengths"]
            start = lengths.matvec + lengths.vecmat
            values = [*values[start : start + lengths.solve], *values[sum(lengths) :]]
            wanted = [True] * len(open_jaxpr(body.jaxpr).outvars)
        return self.run(body.jaxpr, values, path, wanted)[: len(eqn.outvars)]

    def _branch(
        self, eqn: Any, values: Sequence[Any], path: Path, wanted: Sequence[bool]
    ) -> Sequence[Any]:
        turns = self._turns.setdefault(path, Turns())
        if values[0] is UNKNOWN:
            self._undecided.add(path)
            return _nothing(eqn)
        branches = eqn.params["branches"]
        taken = min(max(int(values[0]), 0), len(branches) - 1)  # as lax clamps it
        turns.branches[taken] += 1
        return self.run(branches[taken], values[1:], (*path, taken), wanted)

    def _scan(
        self, eqn: Any, values: Sequence[Any], path: Path, wanted: Sequence[bool]
    ) -> Sequence[Any]:
        """Turn by turn, so that what the body decides is seen each time."""
        of = eqn.params
        fixed, carried = scan_parts(of)
        consts, state = list(values[:fixed]), list(values[fixed : fixed + carried])
        rows = values[fixed + carried :]
        wants = _needed_of_scan(eqn, wanted)
        stacked: list[list[Any]] = []
        turns = range(of["length"])
        for turn in reversed(turns) if of["reverse"] else turns:
            row = [value if value is UNKNOWN else value[turn] for value in rows]
            outputs = self.run(of["jaxpr"], [*consts, *state, *row], path, wants)
            state = outputs[:carried]
            stacked.append(outputs[carried:])
        if of["reverse"]:
            stacked.reverse()
        columns = zip(*stacked, strict=True) if stacked else ()
        made = [_stacked(column) for column in columns]
        missing = len(eqn.outvars) - carried - len(made)
        return [*state, *made, *[UNKNOWN] * missing]

    def _while(
        self, eqn: Any, values: Sequence[Any], path: Path, wanted: Sequence[bool]
    ) -> Sequence[Any]:
        turns = self._turns.setdefault(path, Turns())
        loop = _Loop(eqn)
        if loop.is_decided_inside():
            return self._turn_by_turn(eqn, values, path)
        found = loop.turns(values)
        if found is None:
            self._undecided.add(path)
            return _nothing(eqn)
        turns.body += found
        turns.test += found + 1
        whole = any(wanted) and all(value is not UNKNOWN for value in values)
        return evaluated(eqn, values) if whole else _nothing(eqn)

    def _turn_by_turn(self, eqn: Any, values: Sequence[Any], path: Path) -> Sequence[Any]:
        turns, loop = self._turns[path], _Loop(eqn)
        tested, looped, state = loop.split(values)
        while True:
            (going,) = self.run(loop.test, [*tested, *state], (*path, 0), [True])
            if going is UNKNOWN:
                self._undecided.add(path)
                return _nothing(eqn)
            turns.test += 1
            if not bool(jnp.any(going)):
                return state
            turns.body += 1
            made = self.run(loop.body, [*looped, *state], (*path, 1), [True] * len(state))
            state = [_chosen(going, *pair) for pair in zip(made, state, strict=True)]


class _Loop:
    """A while equation: its test, its body and what it carries."""

    def __init__(self, eqn: Any) -> None:
        self.test, self.body = eqn.params["cond_jaxpr"], eqn.params["body_jaxpr"]
        self._tested: int = eqn.params["cond_nconsts"]
        self._looped: int = eqn.params["body_nconsts"]

    def is_decided_inside(self) -> bool:
        """Whether values decide what its test or its body does, too."""
        return is_decided_by_values(self.test) or is_decided_by_values(self.body)

    def split(self, values: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """The constants of the test, those of the body, and the state."""
        start = self._tested + self._looped
        return (
            list(values[: self._tested]),
            list(values[self._tested : start]),
            list(values[start:]),
        )

    def deciding(self) -> tuple[list[bool], list[bool], list[bool]]:
        """Which constants and which parts of the state decide how long the loop turns."""
        _, of_test = live(self.test, wanted=True)
        tested, state = of_test[: self._tested], of_test[self._tested :]
        while True:
            _, of_body = live(self.body, state)
            more = [a or b for a, b in zip(state, of_body[self._looped :], strict=True)]
            if more == state:
                return tested, of_body[: self._looped], state
            state = more

    def turns(self, values: Sequence[Any]) -> int | None:
        """How often it turns, from what decides it alone; None where a part of that is unknown."""
        needed = self.deciding()
        tested, looped, state = (
            _picked(part, needs) for part, needs in zip(self.split(values), needed, strict=True)
        )
        if any(value is UNKNOWN for value in (*tested, *looped, *state)):
            return None
        test, of_test = live(self.test, wanted=True)
        body, of_body = live(self.body, needed[2])
        # The test and the body each take a part of the state that decides.
        for_test = _within(needed[2], of_test[self._tested :])
        for_body = _within(needed[2], of_body[self._looped :])

        def going(carried: tuple[Any, ...]) -> Any:
            return function_of(test)(*tested, *_picked(carried, for_test))[0]

        def goes_on(carried: tuple[Any, ...]) -> Any:
            return jnp.any(going(carried[1:]))

        def turn(carried: tuple[Any, ...]) -> tuple[Any, ...]:
            made = function_of(body)(*looped, *_picked(carried[1:], for_body))
            on = going(carried[1:])
            return carried[0] + 1, *(
                _chosen(on, new, old) for new, old in zip(made, carried[1:], strict=True)
            )

        start = (jnp.zeros((), jnp.int32), *map(jnp.asarray, state))
        with jax.ensure_compile_time_eval():
            return int(lax.while_loop(goes_on, turn, start)[0])


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a jaxpr that decides something, or gives the outputs wanted.

    Attributes:
        equations: their places, in order, each with the outputs wanted of it.
        inputs: which inputs they need.
    """

    equations: list[tuple[int, list[bool]]]
    inputs: list[bool]


def slice_of(jaxpr: Any, wanted: Sequence[bool]) -> Slice:
    """What of a jaxpr is needed to follow it, and for the outputs wanted."""
    inner = open_jaxpr(jaxpr)
    needed = {
        atom
        for atom, wants in zip(inner.outvars, wanted, strict=True)
        if wants and not literal(atom)[0]
    }
    found: list[tuple[int, list[bool]]] = []
    for place in reversed(range(len(inner.eqns))):
        eqn = inner.eqns[place]
        wants = [out in needed for out in eqn.outvars]
        if any(wants) or decides(eqn):
            found.append((place, wants))
            asked = _picked(eqn.invars, _asked(eqn, wants))
            needed.update(atom for atom in asked if not literal(atom)[0])
    found.reverse()
    return Slice(found, [atom in needed for atom in inner.invars])


def _asked(eqn: Any, wanted: Sequence[bool]) -> list[bool]:
    """Which inputs are needed to follow an equation, and for the wanted outputs."""
    every = [True] * len(eqn.invars)
    name, body = eqn.primitive.name, body_of(eqn)
    if name == SCAN:
        needed = _needed_of_scan(eqn, wanted)
        return slice_of(eqn.params["jaxpr"], needed).inputs
    if body is not None and name not in (SOLVE, SHARDED):
        inputs = slice_of(body.jaxpr, wanted).inputs
        return inputs if len(inputs) == len(every) else every
    if any(wanted):
        return every
    if name == COND and not any(map(is_decided_by_values, eqn.params["branches"])):
        return [True] + [False] * (len(every) - 1)
    if name == WHILE:
        loop = _Loop(eqn)
        if not loop.is_decided_inside():
            return [flag for part in loop.deciding() for flag in part]
    return every


def _needed_of_scan(eqn: Any, wanted: Sequence[bool]) -> list[bool]:
    """Which outputs of a scan's body are needed: what is carried on into what is needed, too."""
    fixed, carried = scan_parts(eqn.params)
    needed = list(wanted)
    while True:
        inputs = slice_of(eqn.params["jaxpr"], needed).inputs[fixed : fixed + carried]
        more = [a or b for a, b in zip(needed, inputs, strict=False)] + needed[carried:]
        if more == needed:
            return needed
        needed = more


def _nothing(eqn: Any) -> list[Any]:
    return [UNKNOWN] * len(eqn.outvars)


def _picked(items: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    return [item for item, flag in zip(items, flags, strict=True) if flag]


def _within(whole: Sequence[bool], part: Sequence[bool]) -> list[bool]:
    """For each that `whole` has, whether `part` has it too."""
    return [has for has, present in zip(part, whole, strict=True) if present]


def _stacked(column: Sequence[Any]) -> Any:
    return UNKNOWN if any(value is UNKNOWN for value in column) else jnp.stack(column)


def _chosen(going: Any, new: Any, old: Any) -> Any:
    """The new state where the loop goes on; a mapped loop ends for each of its batch alone."""
    if new is UNKNOWN or old is UNKNOWN:
        return UNKNOWN if jnp.ndim(going) else new
    if not jnp.ndim(going):
        return new
    shape = (*jnp.shape(going), *(1,) * (jnp.ndim(new) - jnp.ndim(going)))
    return jnp.where(jnp.reshape(going, shape), new, old)
