"""What threads of XLA:CPU did for an instruction after its event had ended.

XLA:CPU hands the parts of a large instruction to a pool of threads and goes on: the event ends when
they were handed over. The pool marks when each thread takes up work and is done with it, but not
whose. The thread that did the last part runs at once whatever waited for it, all the way, and only
then marks the instruction's own end, `end: NAME`; so it was done when that thread began the first
of what waited, or, where nothing did, at the mark. An instruction that was done with its event has
the mark inside of it.

Work of a thread is taken to be of the instruction that was under way and done first: the pool takes
up the parts of one after those of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from goodput.readers.xevents import Events
from goodput.trace.table import Flags, Floats, Integers

_END = "end: "
_BUSY, _IDLE = "ThreadpoolListener::StartRegion", "ThreadpoolListener::StopRegion"
_WAITING = "(wait for completion)"
_NONE = -1
_TRIES = 16
"""How many instructions that are done first are asked whether they had begun."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Work that the event of its instruction does not span.

    Attributes:
        row: of the instruction among all events, by begin.
        start, end: seconds.
    """

    row: Integers
    start: Floats
    end: Floats

    @classmethod
    def none(cls) -> Parts:
        """Where nothing is known."""
        return cls(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


@dataclass(frozen=True, slots=True, eq=False)
class Thunks:
    """The events of instructions, by begin.

    Attributes:
        names: of the distinct ones.
        op: index into `names`.
        start, end: seconds.
        line: of the thread.
    """

    names: Sequence[str]
    op: Integers
    start: Floats
    end: Floats
    line: Integers


class Completions:
    """The marks of one plane.

    Args:
        event_names: of the plane, by number.
        names: of all instructions.

    Attributes:
        wanted: the numbers of the events that are marks; none where no instruction has an end.
    """

    def __init__(self, event_names: Mapping[int, str], names: AbstractSet[str]) -> None:
        ended = {
            number: name.removeprefix(_END)
            for number, name in event_names.items()
            if name.startswith(_END) and name.removeprefix(_END) in names
        }
        self._names = tuple(dict.fromkeys(ended.values()))
        places = {name: place for place, name in enumerate(self._names)}
        turns = {_BUSY: 1, _IDLE: -1}
        self._marks = _Columns({number: places[name] for number, name in ended.items()})
        self._pool = _Columns({n: turns[name] for n, name in event_names.items() if name in turns})
        self._waits = _Columns({n: 0 for n, name in event_names.items() if _WAITING in name})
        self._columns = (self._marks, self._pool, self._waits) if self._names else ()
        self.wanted = frozenset(n for columns in self._columns for n in columns.numbers)

    def read(self, line: int, events: Events, start: Floats, end: Floats) -> None:
        """Takes the marks among the events of a line."""
        for columns in self._columns:
            columns.take(line, events, start, end)

    def parts(self, thunks: Thunks) -> Parts:
        """What was done for the instructions after their events had ended."""
        if not self._names:
            return Parts.none()
        done = self._done(thunks)
        late = np.flatnonzero(np.isfinite(done))
        late = late[np.argsort(done[late], kind="stable")]
        nothing = np.zeros(0), np.zeros(0)
        lines = np.unique(self._pool.whole()[3]).tolist()
        found = [nothing, *(self._worked(line, thunks) for line in lines)]
        start, end = (np.concatenate(times) for times in zip(*found, strict=True))
        owner = _first_done(start, thunks.start[late], done[late])
        known = owner != _NONE
        return Parts(late[owner[known]], start[known], end[known])

    def _done(self, thunks: Thunks) -> Floats:
        """When each was done whose event had ended before; infinity for the others."""
        what, time, _, thread = self._marks.whole()
        reached = self._reached(time, thread, thunks)
        places = {text: place for place, text in enumerate(self._names)}
        place = np.array([places.get(name, _NONE) for name in thunks.names], np.int64)[thunks.op]
        order = np.argsort(place, kind="stable")  # by begin within each name
        bounds = np.searchsorted(place[order], np.arange(len(self._names) + 1))
        found = np.full(len(place), np.inf)
        for which in np.unique(what).tolist():
            rows, mine = order[bounds[which] : bounds[which + 1]], what == which
            if not len(rows):
                continue  # its event was before the profile
            inside = _inside(time[mine], thunks.start[rows], thunks.end[rows])
            rows, times = np.delete(rows, inside[inside != _NONE]), reached[mine][inside == _NONE]
            of = np.searchsorted(thunks.start[rows], times) - 1  # the last that had begun
            np.minimum.at(found, rows[of[of >= 0]], times[of >= 0])
        return np.where(found > thunks.end, found, np.inf)

    def _reached(self, time: Floats, thread: Integers, thunks: Thunks) -> Floats:
        """What each mark says: the begin of what its thread went on with, else its own time."""
        reached = time.copy()
        change, turned, _, turning = self._pool.whole()
        for each in np.unique(thread).tolist():
            mine, of = thread == each, turning == each
            began = _began(time[mine], turned[of], change[of])
            starts = np.append(thunks.start[thunks.line == each], np.inf)
            reached[mine] = np.minimum(starts[np.searchsorted(starts, began)], time[mine])
        return reached

    def _worked(self, line: int, thunks: Thunks) -> tuple[Floats, Floats]:
        """When a thread of the pool did work that no event of an instruction spans."""
        change, turned, _, turning = self._pool.whole()
        mine = turning == line
        _, waited, waited_end, waiting = self._waits.whole()
        spans = [
            (thunks.start[thunks.line == line], thunks.end[thunks.line == line]),
            (waited[waiting == line], waited_end[waiting == line]),
        ]
        starts, ends = (np.concatenate(times) for times in zip(*spans, strict=True))
        time = np.concatenate((turned[mine], starts, ends))
        none = np.zeros(len(starts), np.int64)
        order = np.argsort(time, kind="stable")
        working = np.cumsum(np.concatenate((change[mine], none, none))[order])
        spanned = np.cumsum(
            np.concatenate((np.zeros(mine.sum(), np.int64), none + 1, none - 1))[order]
        )
        # A profile that begins amid work has its end only.
        working -= min(0, working.min(initial=0))
        free = np.flatnonzero((working[:-1] > 0) & (spanned[:-1] == 0))
        time = time[order]
        free = free[time[free + 1] > time[free]]
        return time[free], time[free + 1]


class _Columns:
    """A number, begin, end and line of each event that was taken.

    Args:
        numbers: the number of each metadata that is taken.
    """

    def __init__(self, numbers: Mapping[int, int]) -> None:
        self.numbers = numbers
        self._keys = np.array(sorted(numbers), np.int64)
        self._values = np.array([numbers[key] for key in sorted(numbers)], np.int64)
        self._parts: list[tuple[Integers, Floats, Floats, Integers]] = []

    def take(self, line: int, events: Events, start: Floats, end: Floats) -> None:
        """Adds those that are wanted."""
        chosen = np.flatnonzero(np.isin(events.metadata, self._keys))
        if len(chosen):
            number = self._values[np.searchsorted(self._keys, events.metadata[chosen])]
            lines = np.full(len(chosen), line)
            self._parts.append((number, start[chosen], end[chosen], lines))

    def whole(self) -> tuple[Integers, Floats, Floats, Integers]:
        """All of them by begin."""
        if len(self._parts) != 1:
            empty = np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0, np.int64)
            number, start, end, line = zip(empty, *self._parts, strict=True)
            begin = np.concatenate(start)
            order = np.argsort(begin, kind="stable")
            self._parts = [
                (
                    np.concatenate(number)[order],
                    begin[order],
                    np.concatenate(end)[order],
                    np.concatenate(line)[order],
                )
            ]
        return self._parts[0]


def _inside(time: Floats, start: Floats, end: Floats) -> Integers:
    """The event that each mark stands in, whose instruction was done with it; -1 where none is."""
    last = np.searchsorted(start, time, side="right") - 1
    return np.where((last >= 0) & (time <= end[last]), last, _NONE)


def _began(time: Floats, turned: Floats, change: Integers) -> Floats:
    """When the work that is open at each `time` was begun; minus infinity where none is.

    Args:
        time: seconds.
        turned: when the thread took up work or was done with some, in order; work may be in work.
        change: 1 where it took some up, else -1.
    """
    began = np.full(len(time), -np.inf)
    depth = np.cumsum(change)
    before = np.searchsorted(turned, time) - 1
    for level in np.unique(depth[before[before >= 0]]).tolist():
        opened = np.flatnonzero((change == 1) & (depth == level))
        at = np.flatnonzero((before >= 0) & (depth[before] == level))
        last = np.searchsorted(opened, before[at], side="right") - 1
        began[at[last >= 0]] = turned[opened[last[last >= 0]]]
    return began


def _first_done(time: Floats, begun: Floats, done: Floats) -> Integers:
    """Of what was under way at each `time`, the one that was done first; -1 where nothing was.

    Args:
        time: seconds.
        begun: when each was begun.
        done: when it was done, in order.
    """
    owner = np.full(len(time), _NONE)
    if not len(done):
        return owner
    next_done = np.searchsorted(done, time, side="right")
    for ahead in range(_TRIES):
        place = np.minimum(next_done + ahead, len(done) - 1)
        fits: Flags = (owner == _NONE) & (next_done + ahead < len(done)) & (begun[place] <= time)
        owner[fits] = place[fits]
    return owner
