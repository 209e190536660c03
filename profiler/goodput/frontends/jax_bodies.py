"""The jaxprs inside an equation: which of them run, and how often. Counts nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goodput.frontends.jax_private import is_jaxpr, open_jaxpr

WHILE, COND, SCAN, KERNEL, PROGRAM, PROGRAMS, SHARDED, SOLVE = (
    "while",
    "cond",
    "scan",
    "pallas_call",
    "program_id",
    "num_programs",
    "shard_map",
    "custom_linear_solve",
)

_CALLS: Mapping[str, str] = {
    "call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "closed_call": "call_jaxpr",
    "composite": "jaxpr",
    "compute_on": "jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_partitioning": "call",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_vmap_call": "call",
    "eval_jaxpr": "jaxpr",
    "jaxpr_call": "jaxpr",
    "jit": "jaxpr",
    "linear_call": "callee",
    "pjit": "jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "remat_opt": "fwd_jaxpr",
    "run_scoped": "jaxpr",
}
"""Primitives that run one jaxpr once, and where they hold it."""

# Their jaxprs combine two elements: a comparison, an addition. The formula knows what they cost.
_COMBINING = frozenset(
    {
        "addupdate",
        "argmax",
        "argmin",
        "reduce_window",
        "select_and_scatter",
        "sort",
        *(f"scatter{mark}{kind}" for mark in "-_" for kind in ("add", "sub", "mul", "min", "max")),
        "scatter",
    }
)


@dataclass(frozen=True, slots=True)
class Body:
    """A jaxpr inside an equation that runs as often as is known without values.

    Attributes:
        jaxpr: closed or open.
        times: how often it runs each time that the equation does, on all devices together.
        devices: on how many devices at a time.
    """

    jaxpr: Any
    times: int = 1
    devices: int = 1


def body_of(eqn: Any) -> Body | None:
    """The one jaxpr that the equation runs; None where it runs none, or values decide.

    Loops by a test, branches and kernels are no such equations.
    """
    name = eqn.primitive.name
    if name in _CALLS:
        # Releases differ in where some of them hold it.
        held = (eqn.params.get(place) for place in (_CALLS[name], "jaxpr", "call_jaxpr"))
        return next((Body(found) for found in held if is_jaxpr(found)), None)
    if name == SCAN:
        return Body(eqn.params["jaxpr"], times=eqn.params["length"])
    if name == SOLVE:
        return Body(eqn.params["jaxprs"].solve)
    if name == SHARDED:
        devices = _devices(eqn.params)
        return Body(eqn.params["jaxpr"], times=devices, devices=devices)
    return None


def hides_jaxprs(eqn: Any) -> bool:
    """Whether an equation that is not known has jaxprs inside."""
    return eqn.primitive.name not in _COMBINING and any(map(_holds_jaxpr, eqn.params.values()))


def _holds_jaxpr(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_jaxpr, value))
    return is_jaxpr(value)


def _devices(parameters: Mapping[str, Any]) -> int:
    """The devices that a shard_map spreads over: along the axes that it takes over itself."""
    mesh = parameters["mesh"]
    axes = parameters.get("newly_manual_axes", parameters.get("manual_axes"))
    sizes = dict(mesh.shape)
    return math.prod(size for axis, size in sizes.items() if axes is None or axis in axes)


def is_decided_by_values(jaxpr: Any) -> bool:
    """Whether a loop by a test or a branch is anywhere in the jaxpr that can be followed."""
    return any(decides(eqn) for eqn in open_jaxpr(jaxpr).eqns)


def decides(eqn: Any) -> bool:
    """Whether values decide what the equation runs, itself or inside."""
    name = eqn.primitive.name
    if name in (WHILE, COND):
        return True
    body = body_of(eqn)
    return body is not None and body.devices == 1 and is_decided_by_values(body.jaxpr)
