"""Exact tests of whether two things differ, for the few values that fresh processes give.

Conditional on the sizes of the values: ties share their mean rank and zeros say nothing, so no
p value rests on an approximation or on values being normal. Pure: no clock, no randomness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Side = Literal["both", "greater", "less"]
"""What is shown: that a shift exists, that it is above zero, that it is below zero."""

Floats = npt.NDArray[np.float64]


def sign_test(differences: Sequence[float], side: Side = "both") -> float:
    """The p value of as many positive and negative `differences` as there are; zeros are left out.

    Asks nothing of the values but independence, so it stands beside `signed_rank`, which also
    asks for symmetry.
    """
    positive = sum(value > 0 for value in differences)
    count = positive + sum(value < 0 for value in differences)
    masses = np.array([math.comb(count, k) for k in range(count + 1)], dtype=np.float64)
    return _tail(masses / 2.0**count, positive, side)


def signed_rank(differences: Sequence[float], side: Side = "both") -> float:
    """The p value of the paired `differences` under Wilcoxon's exact signed-rank test."""
    kept = [value for value in differences if value]
    doubled = _doubled_ranks([abs(value) for value in kept])
    positive = sum(rank for rank, value in zip(doubled, kept, strict=True) if value > 0)
    return _tail(_sum_masses(doubled), positive, side)


def rank_sum(values: Sequence[float], others: Sequence[float], side: Side = "both") -> float:
    """The p value of unpaired `values` against `others`, by the exact rank-sum test of Wilcoxon.

    `greater` asks whether `values` lie above `others`. All divisions of the pooled values into
    two groups of these sizes are equally likely where nothing differs.
    """
    doubled = _doubled_ranks([*values, *others])
    return _tail(_subset_masses(doubled, len(values)), sum(doubled[: len(values)]), side)


@lru_cache
def signed_rank_masses(count: int) -> Floats:
    """The chance of each sum of positive ranks, 0 to count(count + 1)/2, where nothing differs."""
    return _sum_masses(range(1, count + 1))


@lru_cache
def rank_sum_masses(count: int, others: int) -> Floats:
    """The chance of each number of pairs won, 0 to count x others, where nothing differs."""
    least = count * (count + 1) // 2
    return _subset_masses(range(1, count + others + 1), count)[least : least + count * others + 1]


def least_p(count: int) -> float:
    """The least p value that a paired test of `count` values can have, for either sign."""
    return min(1.0, 2.0 ** (1 - count))


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each of `values`, equal ones sharing their mean rank: integers."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    below = np.searchsorted(ordered, values, side="left")
    upto = np.searchsorted(ordered, values, side="right")
    return [int(rank) for rank in below + upto + 1]


def _sum_masses(ranks: Sequence[int]) -> Floats:
    """The chance of each sum where every one of `ranks` counts or not with equal chance."""
    masses = np.zeros(sum(ranks) + 1)
    masses[0] = 1.0
    for rank in ranks:
        moved = np.zeros_like(masses)
        moved[rank:] = masses[: len(masses) - rank]
        masses = (masses + moved) / 2
    return masses


def _subset_masses(ranks: Sequence[int], size: int) -> Floats:
    """The chance of each sum of `size` of `ranks`, all subsets of that size being equally likely.

    Ranks are drawn one by one: of what is left after `drawn` of them with `chosen` in the subset,
    the next is in it with chance (size - chosen) / (number - drawn).
    """
    number = len(ranks)
    masses = np.zeros((size + 1, sum(ranks) + 1))
    masses[0, 0] = 1.0
    for drawn, rank in enumerate(ranks):
        chance = (size - np.arange(size + 1)) / (number - drawn)
        taken = masses * chance[:, None]
        masses = masses - taken
        masses[1:, rank:] += taken[:-1, : masses.shape[1] - rank]
    chosen: Floats = masses[size]
    return chosen


def _tail(masses: Floats, observed: int, side: Side) -> float:
    """The chance of a sum as far out as `observed`; both tails together never exceed 1."""
    less, greater = float(masses[: observed + 1].sum()), float(masses[observed:].sum())
    if side == "both":
        return min(1.0, 2 * min(less, greater))
    return min(1.0, less if side == "less" else greater)
