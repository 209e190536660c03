"""Who owns each instant of a device on which several things run at once. Knows no file format.

At each instant the highest class present (compute, then copies, then communication) owns the time,
shared equally by the intervals of that class that are running. Everything is one sorted sweep over
the interval ends, O(n log n) in numpy, so that millions of kernels are no matter.
"""

from __future__ import annotations

import numpy as np

from goodput.trace.table import Floats, Integers, Kind


def owned_seconds(start: Floats, end: Floats, kind: Integers) -> tuple[Floats, float]:
    """The seconds that each interval owns, and the length of the union of all.

    The owned seconds sum to the union. An interval that ends before it starts is empty.

    Args:
        start: begin of each interval, in seconds on any clock.
        end: end of each interval.
        kind: a value of `Kind` for each interval; the lowest one present owns an instant.
    """
    if not len(start):
        return np.zeros(0), 0.0
    origin = start.min()
    times = np.concatenate((start, np.maximum(start, end))) - origin
    order = np.argsort(times, kind="stable")
    lengths = np.diff(times[order], append=times[order[-1]])
    steps = np.where(order < len(start), 1, -1)
    classes = np.concatenate((kind, kind))[order]
    taken = np.zeros(len(order), dtype=np.bool_)
    owned = np.zeros(len(start))
    union = 0.0
    for value in Kind:
        mine = kind == value
        running = np.cumsum(np.where(classes == value, steps, 0))
        free = (running > 0) & ~taken
        taken |= running > 0
        union += float(lengths[free].sum())
        share = np.where(free, lengths / np.maximum(running, 1), 0.0)
        # The time that one interval of this class would have owned, had it run from the beginning.
        before = np.empty(len(order))
        before[order] = np.cumsum(share) - share
        owned[mine] = before[len(start) :][mine] - before[: len(start)][mine]
    return np.maximum(owned, 0.0), union


def busy_intervals(start: Floats, end: Floats) -> tuple[Floats, Floats]:
    """The union of the intervals: begins and ends of its pieces, in order of time."""
    if not len(start):
        return np.zeros(0), np.zeros(0)
    order = np.argsort(start, kind="stable")
    begins, reach = start[order], np.maximum.accumulate(np.maximum(start, end)[order])
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = begins[1:] > reach[:-1]
    last = np.append(first[1:], True)
    return begins[first], reach[last]
