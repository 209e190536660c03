"""Why a cost moved: other work, other settings, another clock, another anchor, or slower. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from goodput.gates.exact import operators_moved
from goodput.gates.observation import OperatorFigures
from goodput.report.verdicts import Cause, OperatorChange
from goodput.units import percent

_STEM = "useful_flops."
_EXPLAINS = 0.1
"""An operator that added less than this share of what the step added explains nothing of it."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What is known of one side of a comparison.

    Attributes:
        values: medians over its processes.
        counts: its exact figures; empty where it was not counted.
        surroundings: versions and settings.
        operators: seconds of its operators in a step; empty where they were not profiled.
    """

    values: Mapping[str, float]
    counts: Mapping[str, float]
    surroundings: Mapping[str, str]
    operators: Mapping[str, OperatorFigures] = field(default_factory=dict)


def cause_of(before: Sides, now: Sides, effect: float) -> tuple[Cause, str]:
    """Why the cost of a case moved, and a sentence on it.

    Args:
        before: what it is held against.
        now: this run.
        effect: the least change that counts, as a ratio.
    """
    counted = _of_counts(before.counts, now.counts)
    if counted is not None:
        return counted
    changed = settings_moved(before.surroundings, now.surroundings)
    wall, anchor = _shift(before, now, "step_seconds"), _shift(before, now, "anchor_flops_per_s")
    margin = math.log1p(effect)
    told = f"the step took {_signed(wall)}, the anchor ran at {_signed(anchor)}"
    if abs(wall) <= margin < abs(anchor):
        # The program is as it was: what the device delivers beside it is not.
        return Cause.ANCHOR, f"the denominator moved: {told}{_after(changed)}"
    if changed:
        return Cause.CONFIG, f"{changed}; {told}"
    return Cause.CODE, f"it got {'slower' if wall > -anchor else 'faster'}: {told}"


def clocks_moved(before: Sides, now: Sides, effect: float) -> str:
    """A sentence where the step's time moved and its cost did not; "" where it did not."""
    wall, anchor = _shift(before, now, "step_seconds"), _shift(before, now, "anchor_flops_per_s")
    if abs(wall) <= math.log1p(effect):
        return ""
    return (
        f"clocks: the step took {_signed(wall)} and the anchor ran at {_signed(anchor)}: the "
        "device runs at another speed, the program does not"
    )


def _of_counts(before: Mapping[str, float], now: Mapping[str, float]) -> tuple[Cause, str] | None:
    old, new = before.get("useful_flops"), now.get("useful_flops")
    if old is None or new is None:
        return None
    if old != new:
        change = f"{new / old - 1:+.2%}" if old else "from none"
        return Cause.NUMERATOR, f"the numerator changed: useful FLOPs moved by {change}"
    if _modes(before) != _modes(now):
        return Cause.PRECISION, "the same useful FLOPs run in other math modes"
    return None


def _modes(counts: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in counts.items() if name.startswith(_STEM)}


def lost_most(before: Sides, now: Sides) -> tuple[OperatorChange, ...]:
    """The operators that took longer than before, most added first; none where none was profiled.

    Seconds of before are those that its operators would take where the anchor runs as it does now,
    so that another clock names no operator.
    """
    if not (before.operators and now.operators):
        return ()
    slower = math.exp(-_shift(before, now, "anchor_flops_per_s"))
    old = {n: replace(one, seconds=one.seconds * slower) for n, one in before.operators.items()}
    step = now.values["step_seconds"] - slower * before.values.get("step_seconds", 0.0)
    moved = operators_moved(old, now.operators)
    return tuple(one for one in moved if one.change >= _EXPLAINS * step)


def settings_moved(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The versions and settings that differ, in words."""
    moved = [
        f"{name} was {before.get(name, 'not told')} and is {now.get(name, 'not told')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    return ", ".join(moved)


def _shift(before: Sides, now: Sides, name: str) -> float:
    """The logarithm of how a figure moved; 0 where it is not known."""
    old, new = before.values.get(name), now.values.get(name)
    return math.log(new / old) if old and new else 0.0


def _signed(shift: float) -> str:
    ratio = math.expm1(shift)
    return f"{percent(abs(ratio))} {'more' if ratio > 0 else 'less'}"


def _after(changed: str) -> str:
    return f"; {changed}" if changed else ""
