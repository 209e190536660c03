"""Where a series changed for good: E-divisive change points with a permutation test. Pure.

Matteson and James, "A Nonparametric Approach for Multiple Change Point Analysis of Multivariate
Data" (2014): the split with the largest energy distance between both sides, kept where few random
orders of the same values have one as large, and looked for again in both sides. A single outlier
has no two sides, and is none.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from goodput.measure.statistics import median

Floats = npt.NDArray[np.float64]

PERMUTATIONS = 299
SIGNIFICANT = 0.01
FEWEST = 4
"""Values on either side of a change: fewer are outliers until more of them come."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A lasting change.

    Attributes:
        place: of the first value after it.
        before, after: medians of the values between this change and its neighbours.
        p: the share of random orders with as clear a split.
    """

    place: int
    before: float
    after: float
    p: float


def change_points(
    values: Sequence[float],
    effect: float = 0.01,
    *,
    significant: float = SIGNIFICANT,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> tuple[ChangePoint, ...]:
    """The lasting changes in `values`, in order.

    Args:
        values: in the order of time.
        effect: the least difference of medians that counts.
        significant: the highest p of a change.
        permutations: random orders that a split is held against.
        seed: of these orders.
    """
    series = np.asarray(values, dtype=np.float64)
    random = np.random.default_rng(seed)
    found: dict[int, float] = {}
    waiting = [(0, len(series))]
    while waiting:
        start, end = waiting.pop()
        split = _split(series[start:end], random, permutations, significant)
        if split is not None:
            place, p = start + split[0], split[1]
            found[place] = p
            waiting += [(start, place), (place, end)]
    return _lasting(series, found, effect)


def _lasting(series: Floats, found: dict[int, float], effect: float) -> tuple[ChangePoint, ...]:
    """The changes that are large enough; the smallest goes first, for its sides are then one."""
    places = sorted(found)
    while places:
        edges = [0, *places, len(series)]
        middles = [median(series[a:b].tolist()) for a, b in itertools.pairwise(edges)]
        steps = [abs(b - a) for a, b in itertools.pairwise(middles)]
        if min(steps) >= effect:
            return tuple(
                ChangePoint(place, middles[n], middles[n + 1], found[place])
                for n, place in enumerate(places)
            )
        places.pop(steps.index(min(steps)))
    return ()


def _split(
    series: Floats, random: np.random.Generator, permutations: int, significant: float
) -> tuple[int, float] | None:
    """The clearest split and its p; None where there is none that is significant."""
    if len(series) < 2 * FEWEST:
        return None
    distances = np.abs(series[:, None] - series[None, :])
    energies = _energies(distances)
    best = float(energies.max())
    if best <= 0:
        return None
    allowed = int(significant * (permutations + 1))
    larger = 1
    for _ in range(permutations):
        order = random.permutation(len(series))
        larger += float(_energies(distances[np.ix_(order, order)]).max()) >= best
        if larger > allowed:
            return None
    return FEWEST + int(energies.argmax()), larger / (permutations + 1)


def _energies(distances: Floats) -> Floats:
    """The scaled energy distance between both sides of each split that leaves enough on both."""
    count = len(distances)
    inside = np.concatenate([[0.0], np.cumsum(np.tril(distances, -1).sum(axis=1))])
    rows = np.concatenate([[0.0], np.cumsum(distances.sum(axis=1))])
    left = np.arange(FEWEST, count - FEWEST + 1)
    right = count - left
    within = inside[left]
    across = rows[left] - 2 * within
    beyond = inside[-1] - within - across
    energy: Floats = (
        2 * across / (left * right)
        - 2 * within / (left * (left - 1))
        - 2 * beyond / (right * (right - 1))
    )
    return energy * left * right / count
