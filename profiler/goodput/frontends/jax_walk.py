"""Walks over a jaxpr and counts every equation as often as it runs. Computes nothing.

What values decide is taken from what was followed (`jax_turns.py`); without that a loop counts for
one turn and a branching for its heaviest branch, and both are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from goodput.formulas.lax_convolution import OF_INPUT, OF_WEIGHT
from goodput.formulas.registry import has_formula
from goodput.frontends.jax_bodies import COND, KERNEL, WHILE, body_of, hides_jaxprs
from goodput.frontends.jax_calls import call_of, name_of
from goodput.frontends.jax_entries import Entries
from goodput.frontends.jax_grid import followed_over
from goodput.frontends.jax_kernels import kernel_of
from goodput.frontends.jax_private import names_of, open_jaxpr
from goodput.frontends.jax_turns import Path, Turns
from goodput.trace.recording import WorkEntry
from goodput.trace.scopes import Name, place_of
from goodput.trace.table import Phase
from goodput.work import Work

_CONVOLUTION = "conv_general_dilated"
_REVERSED, _CONVERTED = "rev", "convert_element_type"


@dataclass(frozen=True, slots=True)
class Around:
    """Where a jaxpr stands.

    Attributes:
        names: the names around it, outermost first.
        times: how often it runs, on all devices together.
        path: its place in the program.
    """

    names: tuple[Name, ...] = ()
    times: int = 1
    path: Path = ()


class Walk:
    """Counts a jaxpr.

    Attributes:
        entries: what was counted.
        undecided: loops and branchings that values decide and nobody followed, by their kind.
        kernels: sentences on kernels.
        devices: FLOPs that ran on several devices, by how many they were.
    """

    def __init__(self, turns: Mapping[Path, Turns]) -> None:
        self._turns = turns
        self.entries = Entries()
        self.undecided: dict[str, int] = {WHILE: 0, COND: 0}
        self.kernels: dict[str, None] = {}
        self.devices: dict[int, int] = {}

    def over(self, jaxpr: Any, around: Around) -> None:
        """Counts every equation of a jaxpr."""
        inner = open_jaxpr(jaxpr)
        reversed_weights: set[Any] = set()
        for place, eqn in enumerate(inner.eqns):
            here = replace(
                around, names=(*around.names, *names_of(eqn)), path=(*around.path, place)
            )
            name = eqn.primitive.name
            if name == _REVERSED or (name == _CONVERTED and eqn.invars[0] in reversed_weights):
                reversed_weights.update(eqn.outvars)
            self._equation(eqn, here, reversed_weights)

    def _equation(self, eqn: Any, here: Around, reversed_weights: set[Any]) -> None:
        name = eqn.primitive.name
        body = body_of(eqn)
        if has_formula(name_of(eqn)):
            gradient = _gradient(eqn, here.names, reversed_weights) if name == _CONVOLUTION else ""
            self.entries.note(eqn, here.names, here.times, gradient)
        elif body is not None:
            before = len(self.entries.entries)
            self.over(body.jaxpr, replace(here, times=here.times * body.times))
            if body.devices > 1:
                self._spread(before, body.devices)
        elif name == WHILE:
            self._loop(eqn, here)
        elif name == COND:
            self._branches(eqn, here)
        elif name == KERNEL:
            self._kernel(eqn, here)
        else:
            self._unknown(eqn, here)

    def _unknown(self, eqn: Any, here: Around) -> None:
        """No formula: listed by its name, so that nobody takes it for nothing."""
        if not eqn.outvars and not hides_jaxprs(eqn):
            return  # an effect on the outside, such as a token
        self.entries.add(call_of(eqn), None, here.names, here.times)

    def _spread(self, before: int, devices: int) -> None:
        flops = sum(one.work.flops for one in self.entries.entries[before:] if one.work)
        self.devices[devices] = self.devices.get(devices, 0) + flops

    def _loop(self, eqn: Any, here: Around) -> None:
        turns = self._turns.get(here.path)
        if turns is None:
            self.undecided[WHILE] += 1
            turns = Turns(body=here.times, test=here.times)
        for side, jaxpr, times in (
            (0, eqn.params["cond_jaxpr"], turns.test),
            (1, eqn.params["body_jaxpr"], turns.body),
        ):
            self.over(jaxpr, replace(here, times=times, path=(*here.path, side)))

    def _branches(self, eqn: Any, here: Around) -> None:
        branches = eqn.params["branches"]
        turns = self._turns.get(here.path)
        if turns is not None:
            for branch, times in sorted(turns.branches.items()):
                self.over(branches[branch], replace(here, times=times, path=(*here.path, branch)))
            return
        whole, counted = self.entries.entries, []
        for branch, jaxpr in enumerate(branches):
            self.entries.entries = []
            self.over(jaxpr, replace(here, path=(*here.path, branch)))
            counted.append(self.entries.entries)
        self.entries.entries = whole
        weights = [_weight(entries) for entries in counted]
        self.undecided[COND] += len(set(weights)) > 1
        self.entries.extend(counted[weights.index(max(weights))])

    def _kernel(self, eqn: Any, here: Around) -> None:
        kernel = kernel_of(eqn)
        apart = Walk({} if kernel.grid is None else followed_over(kernel.jaxpr, kernel.grid))
        apart.over(kernel.jaxpr, Around(times=kernel.steps))
        undecided = kernel.grid is None or any(apart.undecided.values())
        work = kernel.estimated if undecided else _sum(apart.entries.entries)
        if undecided:
            self.kernels[kernel.undecided()] = None
        elif work is not None and (sentence := kernel.difference(work)):
            self.kernels[sentence] = None
        call = call_of(eqn)
        moved = None if work is None else work + Work.of_products(0, call)
        self.entries.add(call, moved, here.names, here.times)
        missing = [one for one in apart.entries.entries if one.work is None]
        self.entries.extend([replace(one, calls=one.calls * here.times) for one in missing])


def _gradient(eqn: Any, names: tuple[Name, ...], reversed_weights: set[Any]) -> str:
    """Which gradient a convolution of a backward pass is; that of the image turns the weight."""
    if place_of(names)[0] is not Phase.BACKWARD:
        return ""
    return OF_INPUT if eqn.invars[1] in reversed_weights else OF_WEIGHT


def _weight(entries: list[WorkEntry]) -> tuple[int, int, int]:
    total = _sum(entries)
    return total.flops, total.vector_flops + total.special, total.bytes


def _sum(entries: list[WorkEntry]) -> Work:
    return sum((one.work for one in entries if one.work is not None), Work())
