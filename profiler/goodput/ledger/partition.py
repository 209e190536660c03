"""The time of one rank, split without rest: who owns each nanosecond of it.

The order of `ORDER` decides where several claim the same time: the first one owns it. Of two spans
of one kind, the one that began first does. An asynchronous save owns none. What nobody claims is
`unattributed` while the process lives and `down` while it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from goodput.events import buckets as b
from goodput.events import wire
from goodput.ledger.intervals import Union, first_owns, joined, union_of
from goodput.ledger.sessions import Integers

ORDER = (
    wire.CHECKPOINT_LOAD,
    wire.CHECKPOINT_SAVE,
    wire.EVALUATION,
    wire.COMPILE,
    wire.DATA_WAIT,
    wire.CUSTOM,
    wire.STEP,
    wire.INITIALISATION,
    b.UNATTRIBUTED,
    wire.QUEUE,
    wire.ALLOCATION,
    wire.RESTART,
)
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Claims:
    """Spans of one kind on one rank, in the order of their start.

    `labels` is a number each, by which their time is told apart: the fate of a step, the name of a
    custom event.
    """

    start: Integers
    end: Integers
    labels: npt.NDArray[np.integer] | None = None


@dataclass(frozen=True, slots=True)
class _Class:
    event: str
    claims: Claims
    above: Union


class Timeline:
    """The time of one rank.

    Args:
        claims: by the kinds of `ORDER`; a kind that is not there claims nothing.
    """

    def __init__(self, claims: dict[str, Claims]) -> None:
        self._classes: list[_Class] = []
        above = Union.empty()
        for event in ORDER:
            if event not in claims:
                continue
            own = _disjoint(claims[event])
            self._classes.append(_Class(event, own, above))
            above = joined(above, union_of(own.start, own.end))

    def split(self, start: int, end: int) -> dict[tuple[str, int], int]:
        """The nanoseconds between `start` and `end` by owner and label; they sum exactly.

        What no class claims is under `down`. Spans without labels have label 0.
        """
        split: dict[tuple[str, int], int] = {}
        left = end - start
        for each in self._classes:
            for label, time in _owned(each, start, end).items():
                split[each.event, label] = split.get((each.event, label), 0) + time
                left -= time
        split[b.DOWN, 0] = left
        return split


def ordered(start: Integers, end: Integers, labels: npt.NDArray[np.integer] | None) -> Claims:
    """Spans put in the order of their start."""
    if len(start) > 1 and (start[1:] < start[:-1]).any():
        order = np.argsort(start, kind="stable")
        start, end = start[order], end[order]
        labels = None if labels is None else labels[order]
    return Claims(start, end, labels)


def _disjoint(claims: Claims) -> Claims:
    """The spans without the time that an earlier one of them claims already."""
    start, end, labels = claims.start, claims.end, claims.labels
    if len(start) > 1 and (end[:-1] > start[1:]).any():
        start = first_owns(start, end)
    has_time = end > start
    if has_time.all():
        return Claims(start, end, labels)
    return Claims(start[has_time], end[has_time], None if labels is None else labels[has_time])


def _owned(own: _Class, start: int, end: int) -> dict[int, int]:
    """The nanoseconds between `start` and `end` that a class owns, by label."""
    claims = own.claims
    low = int(np.searchsorted(claims.end, start, side="right"))
    high = int(np.searchsorted(claims.start, end, side="left"))
    owned: dict[int, int] = {}
    for begin in range(low, high, _CHUNK):
        # A part at a time, so that ten million steps need no more room than one.
        place = slice(begin, min(begin + _CHUNK, high))
        first = np.maximum(claims.start[place], start)
        last = np.minimum(claims.end[place], end)
        times = last - first - own.above.within(first, last)
        if claims.labels is None:
            owned[0] = owned.get(0, 0) + int(times.sum())
            continue
        labels = claims.labels[place]
        for label in np.unique(labels).tolist():
            owned[label] = owned.get(label, 0) + int(times[labels == label].sum())
    return owned
