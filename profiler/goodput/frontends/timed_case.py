"""What timing one case gives, whichever framework it was written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from goodput.device import DeviceIdentity
from goodput.measure.clock import Clock
from goodput.measure.interleaved import Plan, Rounds, interleaved


@dataclass(frozen=True, slots=True)
class Profile:
    """Where a step's seconds go, of steps under a profiler.

    Attributes:
        operators: seconds by `operator phase mode`; empty where it was not profiled.
        launches: kernels that a step launches; None where no device was recorded.
    """

    operators: Mapping[str, float] = field(default_factory=dict)
    launches: float | None = None


@dataclass(frozen=True, slots=True)
class TimedCase:
    """One process's rounds of a case.

    Attributes:
        rounds: seconds of the step and of the anchor.
        anchor: what the anchor is, e.g. `512x512x512 float32`.
        amount: FLOPs of one call of the anchor; of a memory anchor its bytes.
        device: what it ran on.
        environment: versions and settings that times depend on.
        profile: where a step's seconds go, where that was asked for.
    """

    rounds: Rounds
    anchor: str
    amount: float
    device: DeviceIdentity
    environment: Mapping[str, str] = field(default_factory=dict)
    profile: Profile = field(default_factory=Profile)


Profiled = Callable[[Callable[[], None]], Profile]
"""Runs a step some times and tells where its seconds go."""


def unprofiled(step: Callable[[], None]) -> Profile:  # noqa: ARG001 - a `Profiled`
    """Tells nothing, and runs nothing."""
    return Profile()


def beside_script(
    walls: tuple[float, ...], anchor: Callable[[], None], clock: Clock, plan: Plan
) -> Rounds:
    """Steps that a script was timed at, and the anchor right after them in the same process."""
    return Rounds(walls, interleaved(_nothing, anchor, clock, plan).anchor)


def _nothing() -> None:
    """No step: the script had its own."""
