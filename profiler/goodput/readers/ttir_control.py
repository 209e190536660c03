"""What loops, branches and calls mean: each program takes its own way through them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from goodput.readers.ttir_index import Array, Index
from goodput.readers.ttir_machine import (
    Control,
    DataDependentError,
    Machine,
    UncountableError,
    Value,
    decided,
    merged_all,
)
from goodput.readers.ttir_products import Data
from goodput.readers.ttir_text import Operation

MOST_TRIPS = 2**20
"""Trips of a loop beyond which a kernel is not counted."""

_NAME = r"%[\w$.\-]+(?:#\d+)?"
_FOR = re.compile(rf"scf\.for (?:unsigned )?({_NAME}) = ({_NAME}) to ({_NAME}) step ({_NAME})")
_CARRIED = re.compile(rf"({_NAME}) = ({_NAME})")


@cache
def _header(text: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The names of a loop's counter and bounds, and what it carries on."""
    found = _FOR.match(text)
    if found is None:
        raise UncountableError("scf.for", f"its bounds cannot be read: {text}")
    return found.groups(), tuple(_CARRIED.findall(text, found.end()))


def _for(machine: Machine, op: Operation, env: dict[str, Value]) -> Sequence[Value]:
    (counter, *bounds), carried = _header(op.text)
    low, high, step = (_bound(op, env[name]) for name in bounds)
    trips = np.maximum(-(-(high - low) // np.where(step == 0, 1, step)), 0)
    before = machine.active
    values: Sequence[Value] = [env[initial] for _, initial in carried]
    names = [name for name, _ in carried]
    most = int(np.max(np.where(before, trips, 0)))
    if most > MOST_TRIPS:
        raise UncountableError(op.name, f"it runs {most} times")
    for trip in range(most):
        active = before & (trip < trips)
        machine.only(active)
        env[counter] = Index((), low + trip * step)
        env.update(zip(names, values, strict=True))
        given = machine.region(op.regions[0], env)
        values = merged_all(machine.active, given, values)
    machine.only(before)
    return values


def _bound(op: Operation, value: Value) -> Array:
    if isinstance(value, Index):
        return value.scalar
    cause = value.cause if isinstance(value, Data) else ""
    raise DataDependentError(op.name, f"how often it runs depends on data ({cause or 'computed'})")


def _while(machine: Machine, op: Operation, env: dict[str, Value]) -> Sequence[Value]:
    header = op.text.split(") : (", 1)[0]
    carried = _CARRIED.findall(header)
    names = [name for name, _ in carried]
    values: Sequence[Value] = [env[initial] for _, initial in carried]
    before = machine.active
    results: Sequence[Value] | None = None
    for _ in range(MOST_TRIPS):
        env.update(zip(names, values, strict=True))
        condition, *handed = machine.region(op.regions[0], env)
        goes_on = decided(condition, op)
        results = handed if results is None else merged_all(machine.active, handed, results)
        machine.only(machine.active & goes_on)
        if not machine.running:
            machine.only(before)
            return results
        body = op.regions[1]
        env.update(zip(body[0].arguments, handed, strict=True))
        given = machine.region(body, env)
        values = merged_all(machine.active, given, values) if given else values
    raise UncountableError(op.name, f"it runs more than {MOST_TRIPS} times")


def _if(machine: Machine, op: Operation, env: dict[str, Value]) -> Sequence[Value]:
    condition = decided(env[op.operands[0]], op)
    before = machine.active
    machine.only(before & condition)
    taken: Sequence[Value] | None = None
    if machine.running:
        taken = machine.region(op.regions[0], env)
    chosen = machine.active
    machine.only(before & ~condition)
    if machine.running and len(op.regions) > 1:
        other = machine.region(op.regions[1], env)
        taken = other if taken is None else merged_all(chosen, taken, other)
    machine.only(before)
    return taken or ()


def _call(machine: Machine, op: Operation, env: dict[str, Value]) -> Sequence[Value]:
    return machine.run(machine.function(op), [env[name] for name in op.operands])


def _warps(machine: Machine, op: Operation, env: dict[str, Value]) -> Sequence[Value]:
    """A region that runs once."""
    return machine.region(op.regions[0], env)


CONTROL: dict[str, Control] = {
    "scf.for": _for,
    "scf.while": _while,
    "scf.if": _if,
    "scf.execute_region": _warps,
    "tt.call": _call,
}
