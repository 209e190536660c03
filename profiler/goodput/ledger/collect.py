"""Entries into sessions: sorts them into columns, refuses what cannot be, and tells of it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from goodput.events import wire
from goodput.events.wire import Entry
from goodput.ledger.columns import Columns
from goodput.ledger.sessions import (
    BEFORE,
    NONE,
    Flags,
    Integers,
    Session,
    Span,
    Steps,
)
from goodput.units import seconds

_SECOND_NS = 1_000_000_000
_BACK_NS = 1_000_000
"""A clock that jumps back by less than this is not told: two threads may write so."""


class Collector:
    """Takes the entries of one file in their order; `sessions` has them in columns.

    Args:
        source: the file's name.
        job: the name of the job where no `open` line gives one.
    """

    def __init__(self, source: str, job: str) -> None:
        self._source, self._job = source, job
        self._columns = Columns()
        self._headless = False
        self._sessions: list[_Open] = []

    def add(self, entries: Sequence[Entry]) -> None:
        """Takes the next entries of the file."""
        begins = [place for place, entry in enumerate(entries) if entry.event == wire.OPEN]
        edges = [*begins, len(entries)]
        if edges[0] > 0:
            self._current().add(entries[: edges[0]])
        for low, high in pairwise(edges):
            self._begin(entries[low])
            self._current().add(entries[low + 1 : high])

    def note(self, sentence: str) -> None:
        """Something that is wrong with the file."""
        self._current().session.notes.append(sentence)

    def sessions(self) -> list[Session]:
        """The sessions, without those that hold nothing at all."""
        steps, waits = self._columns.steps(), self._columns.waits()
        # Each session's columns are a part of the file's: nothing is copied.
        ends = [(each.first_step, each.first_wait) for each in self._sessions[1:]]
        ends.append((self._columns.step_count, self._columns.wait_count))
        done = []
        for opened, (last_step, last_wait) in zip(self._sessions, ends, strict=False):
            place = slice(opened.first_wait, last_wait)
            own = steps.kept(slice(opened.first_step, last_step))
            done.append(opened.finished(own, (waits[0][place], waits[1][place])))
        if self._headless and len(done) > 1:
            # What a launcher wrote before the first process is of the job that follows.
            done[0].opening.job, done[0].opening.rank = done[1].job, done[1].rank
        return [each for each in done if each.first != NONE or each.says_something]

    def _begin(self, opening: Entry) -> None:
        if opening.schema:
            wire.check_schema(opening.schema, self._source)
        if not opening.job:
            opening.job = self._job
        self._sessions.append(_Open(Session(opening, self._source), self._columns))
        self._sessions[-1].session.seen(opening.time_ns)

    def _current(self) -> _Open:
        if not self._sessions:
            self._headless = True
            self._begin(Entry(wire.OPEN))
        return self._sessions[-1]


class _Open:
    """A session that is being read."""

    def __init__(self, session: Session, columns: Columns) -> None:
        self.session = session
        self._columns = columns
        self.first_step, self.first_wait = columns.step_count, columns.wait_count
        self._never: list[Span] = []
        self._unknown: Counter[str] = Counter()
        self._backwards = 0
        self._jump = 0

    def add(self, entries: Sequence[Entry]) -> None:
        """Takes entries: steps and waits by columns, the others one by one."""
        step, wait = wire.STEP, wire.DATA_WAIT
        # Every pass over the entries counts here: there may be ten million.
        places = [
            place
            for place, e in enumerate(entries)
            if e.event == step and e.end_ns is not None and e.start_ns is not None
        ]
        waits = [
            e
            for e in entries
            if e.event == wait and e.end_ns is not None and e.start_ns is not None
        ]
        if len(places) + len(waits) < len(entries):
            done = self._columns.step_count - self.first_step
            for place, entry in enumerate(entries):
                if entry.event not in _MANY or entry.end_ns is None or entry.start_ns is None:
                    self._add_other(entry, done + bisect_left(places, place))
        if places:
            self._clock(*self._columns.add_steps([entries[place] for place in places]))
        if waits:
            self._clock(*self._columns.add_waits(waits))

    def _clock(self, start: Integers, end: Integers) -> None:
        """Signs of life, and whether the ends of spans, which are written in turn, go back."""
        self.session.seen(int(start.min()), int(end.max()))
        back = end[:-1] - end[1:]
        jumps = back[back > _BACK_NS]
        self._backwards += len(jumps)
        self._jump = max(self._jump, int(jumps.max(initial=0)))

    def _add_other(self, entry: Entry, position: int) -> None:
        session = self.session
        if entry.event not in BEFORE and entry.event != wire.WINDOW:
            session.seen(entry.time_ns, entry.start_ns, entry.end_ns)
        if entry.event in wire.SPANS:
            self._add_span(entry, position)
        elif entry.event == wire.FAILURE:
            session.failures.append((entry.time_ns or session.last, entry.cause or "no cause"))
        elif entry.event == wire.JOB_END:
            session.clean = entry.clean is not False
        elif entry.event == wire.SIZE and entry.devices is not None:
            session.sizes.append((entry.time_ns or session.last, entry.devices))
        elif entry.event == wire.WINDOW:
            session.windows.append((entry.start_ns, entry.end_ns))
        elif entry.event == wire.GAP:
            session.notes.append(_gap(entry))
        elif entry.event not in wire.KNOWN:
            self._unknown[entry.event] += 1

    def _add_span(self, entry: Entry, position: int) -> None:
        if entry.start_ns is None:
            self.session.notes.append(f"a {entry.event} without a start is left out")
            return
        span = Span(
            entry.event,
            entry.start_ns,
            entry.end_ns,
            entry.step,
            entry.name,
            entry.ok,
            entry.blocking,
            entry.devices,
            position,
        )
        if span.end is None:
            self._never.append(span)
        elif span.end < span.start:
            self._told_negative(span.event, 1)
        else:
            self.session.spans.append(span)

    def _told_negative(self, event: str, count: int) -> None:
        self.session.notes.append(
            f"{count} {event} {'events end' if count > 1 else 'event ends'} before the start, and "
            f"{'are' if count > 1 else 'is'} left out: a clock was set back"
        )

    def finished(self, steps: Steps, waits: tuple[Integers, Integers]) -> Session:
        """The session with its columns, checked."""
        session = self.session
        session.steps = self._whole(steps)
        start, end = waits
        whole = end >= start
        if not whole.all():
            self._told_negative(wire.DATA_WAIT, int((~whole).sum()))
            start, end = start[whole], end[whole]
        session.waits = start, end
        closed = {(span.event, span.start) for span in session.spans}
        session.spans += [span for span in self._never if not self._is_closed(span, closed)]
        for event, count in self._unknown.items():
            session.notes.append(
                f"{count} events of the unknown kind {event!r} are kept and own no time"
            )
        if self._backwards:
            session.notes.append(
                f"the clock of rank {session.rank} jumped back {self._backwards} times, by up to "
                f"{seconds(self._jump / _SECOND_NS)}: time that two events claim has one owner"
            )
        return session

    def _is_closed(self, span: Span, closed: set[tuple[str, int]]) -> bool:
        """Whether a span that was once told as open has ended."""
        if span.event == wire.STEP:
            return bool((self.session.steps.start == span.start).any())
        if span.event == wire.DATA_WAIT:
            return bool((self.session.waits[0] == span.start).any())
        return (span.event, span.start) in closed

    def _whole(self, steps: Steps) -> Steps:
        """The steps without those that cannot be."""
        keep = steps.end >= steps.start
        negative = int((~keep).sum())
        twice = _again(steps)
        unnumbered = (steps.number == NONE) & keep
        if negative:
            self._told_negative(wire.STEP, negative)
        if twice.any():
            self.session.notes.append(
                f"{int(twice.sum())} steps were written twice with one start, and count once"
            )
        if unnumbered.any():
            self.session.notes.append(
                f"{int(unnumbered.sum())} steps have no number, and are left out"
            )
        keep &= ~twice & ~unnumbered
        return steps if keep.all() else steps.kept(keep)


_MANY = frozenset((wire.STEP, wire.DATA_WAIT))


def _again(steps: Steps) -> Flags:
    """The steps with the number and the start of one before."""
    again = np.zeros(len(steps), np.bool_)
    if len(steps) < 2:
        return again
    if (np.diff(steps.start) > 0).all():
        return again
    order = np.lexsort((steps.number, steps.start))
    start, number = steps.start[order], steps.number[order]
    same = (start[1:] == start[:-1]) & (number[1:] == number[:-1])
    again[order[1:][same]] = True
    return again


def _gap(entry: Entry) -> str:
    span = seconds(((entry.end_ns or 0) - (entry.start_ns or 0)) / _SECOND_NS)
    lost = f"{entry.lost} events are lost" if entry.lost else "no event is lost"
    return f"the ledger could not be written for {span}: {lost}"
