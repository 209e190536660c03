"""How many processes the measured tier looks at, and what is noise. Pure, and without numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from goodput.measure.statistics import median

LOOKS = ((9, 0.002), (15, 0.003), (25, 0.005))
"""Fresh processes after which it is judged, and the chance of a false alarm spent there."""
ALPHA = sum(alpha for _, alpha in LOOKS)
CONFIRMING = LOOKS[0][0]
"""Further processes that must say the same of a case that failed."""
_NOISE_FLOORS = 3.0
_MAD_TO_DEVIATION = 1.4826


def noise_floor(costs: Sequence[float]) -> float:
    """By how much the middle of so many processes is uncertain, as a ratio; of cost alone."""
    logs = [math.log(cost) for cost in costs]
    centre = median(logs)
    deviation = _MAD_TO_DEVIATION * median([abs(log - centre) for log in logs])
    return deviation / math.sqrt(len(logs))


def effect_of(least: float, floor: float | None) -> float:
    """The least change that counts: what was asked for, or three noise floors."""
    return max(least, _NOISE_FLOORS * (floor or 0.0))


def next_look(processes: int) -> int | None:
    """How many processes the next judgement needs; None where there is no further one."""
    return next((count for count, _ in LOOKS if count > processes), None)
