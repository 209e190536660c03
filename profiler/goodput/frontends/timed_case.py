"""What timing one case gives, whichever framework it was written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from goodput.device import DeviceIdentity
from goodput.measure.clock import Clock
from goodput.measure.interleaved import Plan, Rounds, interleaved


@dataclass(frozen=True, slots=True)
class TimedCase:
    """One process's rounds of a case.

    Attributes:
        rounds: seconds of the step and of the anchor.
        anchor: what the anchor is, e.g. `512x512x512 float32`.
        amount: FLOPs of one call of the anchor; of a memory anchor its bytes.
        device: what it ran on.
        environment: versions and settings that times depend on.
        operators: seconds of a step by `operator phase mode`, where they were profiled.
    """

    rounds: Rounds
    anchor: str
    amount: float
    device: DeviceIdentity
    environment: Mapping[str, str] = field(default_factory=dict)
    operators: Mapping[str, float] = field(default_factory=dict)


Profiled = Callable[[Callable[[], None]], Mapping[str, float]]
"""Runs a step some times and tells the seconds of its operators."""


def unprofiled(step: Callable[[], None]) -> Mapping[str, float]:  # noqa: ARG001 - a `Profiled`
    """Tells of no operator, and runs nothing."""
    return {}


def beside_script(
    walls: tuple[float, ...], anchor: Callable[[], None], clock: Clock, plan: Plan
) -> Rounds:
    """Steps that a script was timed at, and the anchor right after them in the same process."""
    return Rounds(walls, interleaved(_nothing, anchor, clock, plan).anchor)


def _nothing() -> None:
    """No step: the script had its own."""
