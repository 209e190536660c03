"""By how much: Hodges-Lehmann shifts with exact intervals. Pure: no clock, no randomness.

Of logarithms, a shift is the logarithm of a ratio; `Shift.ratio` turns it back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from goodput.measure.exact import Floats, rank_sum_masses, signed_rank_masses

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Shift:
    """A shift between two sets of values, and where it lies with at least `confidence`.

    Attributes:
        estimate: the median of all pairwise means (paired) or differences (unpaired).
        low, high: ends of the interval; infinite where there are too few values for one.
        confidence: that the interval really has: it is exact, so at least what was asked for.
    """

    estimate: float
    low: float
    high: float
    confidence: float

    @property
    def ratio(self) -> Shift:
        """The same, of a shift of logarithms, as a ratio: 1.0 where nothing differs."""
        low, high = _exponential(self.low), _exponential(self.high)
        return Shift(_exponential(self.estimate), low, high, self.confidence)

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2

    def within(self, margin: float) -> bool:
        """Whether the whole interval lies within `margin` of zero: shown to be no difference."""
        return -margin <= self.low and self.high <= margin


def paired_shift(differences: Sequence[float], confidence: float = CONFIDENCE) -> Shift:
    """The shift of paired values: the signed-rank test turned round.

    Raises:
        ValueError: there are no differences.
    """
    values = np.asarray(differences, dtype=np.float64)
    if not values.size:
        raise ValueError("no shift of no differences")
    first, second = np.triu_indices(values.size)
    means = np.sort((values[first] + values[second]) / 2)
    return _inverted(means, signed_rank_masses(values.size), confidence)


def unpaired_shift(
    values: Sequence[float], others: Sequence[float], confidence: float = CONFIDENCE
) -> Shift:
    """By how much `values` lie above `others`: the rank-sum test turned round.

    Raises:
        ValueError: there are no values, or no others.
    """
    if not len(values) or not len(others):
        raise ValueError("no shift between sets one of which is empty")
    here, there = (np.asarray(given, dtype=np.float64) for given in (values, others))
    differences = np.sort((here[:, None] - there[None, :]).ravel())
    return _inverted(differences, rank_sum_masses(here.size, there.size), confidence)


def geometric_mean(logarithms: Sequence[Sequence[float]], confidence: float = CONFIDENCE) -> Shift:
    """The geometric mean over cases of ratios whose `logarithms` each process gave, as a ratio.

    Args:
        logarithms: [processes, cases]; the process, not the case, is the unit of the interval:
            the cases are those that were asked for, not a sample of others.
        confidence: of the interval.

    Raises:
        ValueError: there are no processes, or they have different numbers of cases.
    """
    means = np.asarray(logarithms, dtype=np.float64).mean(axis=1)
    return paired_shift([float(mean) for mean in means], confidence).ratio


def _inverted(ordered: Floats, masses: Floats, confidence: float) -> Shift:
    """The interval between the two of `ordered` that the test cannot tell from the truth.

    `ordered[k]` is below the true shift with the chance that the statistic is above k.
    """
    below = np.cumsum(masses)
    outside = int(np.searchsorted(below, (1 - confidence) / 2 * (1 + 1e-12), side="right"))
    estimate = float(np.median(ordered))
    if not outside:
        return Shift(estimate, -math.inf, math.inf, 1.0)
    low, high = float(ordered[outside - 1]), float(ordered[-outside])
    return Shift(estimate, low, high, 1 - 2 * float(below[outside - 1]))


def _exponential(value: float) -> float:
    """The exponential of `value`; infinity beyond what a float holds."""
    return math.exp(value) if value < math.log(np.finfo(np.float64).max) else math.inf
