"""The steps and waits of a file as columns that grow in place: millions are never held twice."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import numpy as np

from goodput.events.wire import Entry
from goodput.ledger.sessions import NONE, Integers, Reals, Steps, integers

_STEP_COLUMNS = ("start", "end", "number", "tokens")


class Columns:
    """The columns of one file.

    Attributes:
        step_count, wait_count: how many there are.
    """

    def __init__(self) -> None:
        self._integers = {name: array("q") for name in (*_STEP_COLUMNS, "from", "until")}
        self._ok = array("b")
        self._flops: array[float] | None = None
        self.step_count = self.wait_count = 0

    def add_steps(self, entries: Sequence[Entry]) -> tuple[Integers, Integers]:
        """Appends steps that are whole; their starts and ends."""
        start = integers([e.start_ns for e in entries])  # type: ignore[misc]  # they are whole
        end = integers([e.end_ns for e in entries])  # type: ignore[misc]  # likewise
        self._put("start", start)
        self._put("end", end)
        self._put("number", integers([NONE if e.step is None else e.step for e in entries]))
        self._put("tokens", integers([NONE if e.tokens is None else e.tokens for e in entries]))
        self._ok.extend([e.ok for e in entries])
        self._add_flops(entries)
        self.step_count += len(entries)
        return start, end

    def _add_flops(self, entries: Sequence[Entry]) -> None:
        """Most ledgers tell none, and then there is no column."""
        if self._flops is None:
            if all(e.flops is None for e in entries):
                return
            self._flops = array("d", [math.nan]) * self.step_count
        self._flops.extend([math.nan if e.flops is None else e.flops for e in entries])

    def add_waits(self, entries: Sequence[Entry]) -> tuple[Integers, Integers]:
        """Appends data waits that are whole; their starts and ends."""
        start = integers([e.start_ns for e in entries])  # type: ignore[misc]  # they are whole
        end = integers([e.end_ns for e in entries])  # type: ignore[misc]  # likewise
        self._put("from", start)
        self._put("until", end)
        self.wait_count += len(entries)
        return start, end

    def _put(self, name: str, column: Integers) -> None:
        self._integers[name].frombytes(column.tobytes())

    def steps(self) -> Steps:
        """All steps; once this is asked for, none can be added."""
        start, end, number, tokens = (_view(self._integers[name]) for name in _STEP_COLUMNS)
        flops: Reals | None = None
        if self._flops is not None:
            missing = self.step_count - len(self._flops)
            flops = np.array(self._flops.tolist() + [math.nan] * missing)
        return Steps(start, end, number, tokens, np.array(self._ok, np.bool_), flops)

    def waits(self) -> tuple[Integers, Integers]:
        """All waits; once this is asked for, none can be added."""
        return _view(self._integers["from"]), _view(self._integers["until"])


def _view(column: array[int]) -> Integers:
    return np.frombuffer(column, np.int64) if column else np.empty(0, np.int64)
