"""How far the ranks' times of the same steps lie apart: who the others wait for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from goodput.events.account import RankTimes, Spread
from goodput.ledger.lanes import RankTimeline
from goodput.ledger.sessions import Integers


def spread_of(ranks: Sequence[RankTimeline]) -> Spread:
    """The ranks' median step times, and how often each was the slowest."""
    timed = [rank for rank in ranks if len(rank.steps)]
    if not timed:
        return Spread((), 0, None)
    times = _shared(timed) if len(timed) > 1 else None
    slowest = None if times is None else np.bincount(times.argmax(axis=0), minlength=len(timed))
    rows = [
        RankTimes(
            rank=rank.rank,
            host=rank.host,
            median_ns=int(np.median(rank.steps.end - rank.steps.start)),
            slowest=None
            if slowest is None or times is None
            else float(slowest[place] / times.shape[1]),
        )
        for place, rank in enumerate(timed)
    ]
    rows.sort(key=lambda row: -row.median_ns)
    if times is None:
        return Spread(tuple(rows), 0, None)
    behind = times.max(axis=0) - np.median(times, axis=0)
    return Spread(tuple(rows), times.shape[1], int(behind.mean()))


def _shared(ranks: Sequence[RankTimeline]) -> Integers | None:
    """The times of the steps that all ranks did: [rank, step]; None without one.

    Of a step that was done more than once, the last time.
    """
    numbers, times = zip(*(_last_of_each(rank) for rank in ranks), strict=True)
    common = numbers[0]
    for own in numbers[1:]:
        common = np.intersect1d(common, own, assume_unique=True)
    if not len(common):
        return None
    rows = [
        own_times[np.searchsorted(own, common)]
        for own, own_times in zip(numbers, times, strict=True)
    ]
    result: Integers = np.stack(rows)
    return result


def _last_of_each(rank: RankTimeline) -> tuple[Integers, Integers]:
    """Each step number that was done, and how long it took last."""
    steps = rank.steps
    numbers, places = np.unique(steps.number[::-1], return_index=True)
    times = (steps.end - steps.start)[::-1]
    return numbers, times[places]
