"""Many tests at once: what each p value is worth in its family, and how many processes that asks.

Pure: no clock, no randomness.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

from goodput.measure.shifts import Shift

Key = TypeVar("Key", bound=Hashable)

ALPHA = 0.01
"""The chance that any of a family of equal things is called different."""

FEWEST = 9
"""Fewer processes than this are never judged by default."""

_MOST = 10_000
"""More processes than this are told as this: nobody runs them."""


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Each of `p_values` as it stands in its family, after Holm: compare with alpha as it is."""
    adjusted: dict[Key, float] = {}
    worst = 0.0
    for place, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        worst = max(worst, min(1.0, p * (len(p_values) - place)))
        adjusted[key] = worst
    return {key: adjusted[key] for key in p_values}


def processes_for(comparisons: int, alpha: float = ALPHA) -> int:
    """How many processes let an exact paired test reach `alpha` within `comparisons` under Holm.

    At the default alpha max(9, ceil(log2(200 x comparisons))).
    """
    return max(FEWEST, math.ceil(math.log2(2 * max(comparisons, 1) / alpha) - 1e-9))


def processes_needed(shift: Shift, processes: int, margin: float) -> int:
    """About how many processes would bring the interval of `shift` to `margin` on either side.

    An interval shrinks with the root of the number of processes; the answer is never less than
    one more than there were, and is cut off at 10,000.
    """
    if not math.isfinite(shift.half_width):
        return max(FEWEST, processes + 1)
    needed = processes * (shift.half_width / margin) ** 2
    return min(_MOST, max(processes + 1, math.ceil(needed)))
