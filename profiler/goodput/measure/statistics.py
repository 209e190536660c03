"""Order statistics of few numbers. Pure: no clock, no randomness."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """The `share` quantile (0 least, 1 greatest), linear between the two nearest values.

    Raises:
        ValueError: there are no values, or `share` is not in [0, 1].
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"no {share} quantile of {len(values)} values")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return quantile(values, 0.5)


def spread(values: Sequence[float]) -> float:
    """By how much the greatest value exceeds the least, relative to the least: 0 for one value."""
    return max(values) / min(values) - 1
