"""Arithmetic of stretches of time in whole nanoseconds: exact, and without a loop over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from goodput.ledger.sessions import Integers


@dataclass(frozen=True, slots=True)
class Union:
    """Stretches that are in order and do not meet."""

    start: Integers
    end: Integers

    @classmethod
    def empty(cls) -> Union:
        """No time."""
        none = np.empty(0, np.int64)
        return cls(none, none)

    @property
    def measure(self) -> int:
        """All of its time."""
        return int((self.end - self.start).sum())

    def within(self, start: Integers, end: Integers) -> Integers:
        """How much of it lies in each stretch from `start` to `end`."""
        if not len(start):
            return np.empty(0, np.int64)
        # Only what is near counts: of millions of stretches, a look at a few costs a few.
        low = int(np.searchsorted(self.end, start.min(), side="right"))
        high = int(np.searchsorted(self.start, end.max(), side="left"))
        if low >= high:
            return np.zeros(len(start), np.int64)
        near = Union(self.start[low:high], self.end[low:high])
        before = np.concatenate(([0], np.cumsum(near.end - near.start)))
        return near._until(end, before) - near._until(start, before)

    def _until(self, times: Integers, before: Integers) -> Integers:
        """How much of it lies before each of `times`."""
        place = np.searchsorted(self.start, times, side="right")
        inside = np.maximum(self.end[np.maximum(place - 1, 0)] - times, 0)
        result: Integers = before[place] - np.where(place > 0, inside, 0)
        return result


def first_owns(start: Integers, end: Integers) -> Integers:
    """Starts moved so that no two stretches share time: the one that began first keeps it.

    Args:
        start: in ascending order.
        end: of each; one that has no time left gets a start at or beyond it.
    """
    if not len(start):
        return start
    reached = np.maximum.accumulate(end)
    moved = start.copy()
    np.maximum(start[1:], reached[:-1], out=moved[1:])
    return moved


def union_of(start: Integers, end: Integers) -> Union:
    """The time that lies in any of the stretches, which are in order of their start."""
    has_time = end > start
    if not has_time.all():
        start, end = start[has_time], end[has_time]
    if not len(start):
        return Union.empty()
    reached = np.maximum.accumulate(end)
    begins = np.concatenate(([True], start[1:] > reached[:-1]))
    places = np.flatnonzero(begins)
    ends = reached[np.concatenate((places[1:] - 1, [len(start) - 1]))]
    return Union(start[places], ends)


def joined(one: Union, other: Union) -> Union:
    """The time that lies in either."""
    if not len(one.start) or not len(other.start):
        return one if len(one.start) else other
    start = np.concatenate((one.start, other.start))
    end = np.concatenate((one.end, other.end))
    order = np.argsort(start, kind="stable")
    return union_of(start[order], end[order])
