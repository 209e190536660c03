"""What became of each step of a rank: kept, lost, unsaved or unfinished.

The state of a training is a head that moves: on with each step, back with each checkpoint that is
loaded. The steps on the way to where the head is at the end are the ones that live; of these a
checkpoint, or the clean end, keeps those before it. A step that is done twice lives at most once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from goodput.ledger.sessions import Steps

KEPT, LOST, UNSAVED, UNFINISHED = range(4)
_ROOT = -1


@dataclass(frozen=True, slots=True)
class Save:
    """A checkpoint that is whole.

    Attributes:
        at: how many steps the rank had done when it was whole.
        held: how many when it was begun: what it can hold at most.
        step: the last step that it holds; None for all of `held`.
        time: when it was whole.
    """

    at: int
    held: int
    step: int | None
    time: int


@dataclass(frozen=True, slots=True)
class Load:
    """A checkpoint that was loaded when the rank had done `at` steps, at `time`."""

    at: int
    step: int
    time: int


@dataclass(slots=True)
class _Run:
    """Steps `low` to `high` with rising numbers, done from the state (`parent`, `since`).

    `proven` is whether that state must have been on disk: a load, or a new process, began from it.
    """

    low: int
    high: int
    parent: int
    since: int
    proven: bool


class _History:
    """The runs of a rank and where the head is: in a run, before a place among the steps."""

    def __init__(self, steps: Steps) -> None:
        self._number = steps.number
        self.runs: list[_Run] = []
        self._lows: list[int] = []
        self.head = (_ROOT, 0)
        self.loaded = False
        self._stored: dict[int, tuple[int, int]] = {}
        self.saved: dict[int, int] = {}

    def load(self, step: int) -> None:
        """The head goes to the checkpoint of `step`: to where it was saved, where that is told."""
        stored = self._stored.get(step)
        self.head = self.truncated(self.head, step) if stored is None else stored
        self.loaded = True

    def save(self, save: Save, done: int) -> None:
        """Keeps what lies before the state that was saved."""
        state = self.head if save.held >= done else self._state_after(save.held)
        if save.step is not None:
            state = self.truncated(state, save.step)
            self._stored[save.step] = state
        run, place = state
        if run != _ROOT:
            self.saved[run] = max(self.saved.get(run, 0), place)

    def run(self, low: int, high: int, *, new_process: bool) -> None:
        """Steps `low` to `high` follow; where their numbers go back, so did the state."""
        first = int(self._number[low])
        since = self.truncated(self.head, first - 1)
        self.runs.append(_Run(low, high, *since, proven=self.loaded or new_process))
        self._lows.append(low)
        self.head = (len(self.runs) - 1, high)
        self.loaded = False

    def truncated(self, state: tuple[int, int], step: int) -> tuple[int, int]:
        """`state` without its steps beyond `step`."""
        run, place = state
        while run != _ROOT:
            low = self.runs[run].low
            within = int(np.searchsorted(self._number[low:place], step, side="right"))
            if within:
                return run, low + within
            run, place = self.runs[run].parent, self.runs[run].since
        return _ROOT, 0

    def _state_after(self, done: int) -> tuple[int, int]:
        """The state when `done` steps had been done."""
        run = int(np.searchsorted(self._lows, done, side="left")) - 1
        return (run, done) if run >= 0 else (_ROOT, 0)


def fates_of(
    steps: Steps, process_starts: list[int], saves: list[Save], loads: list[Load], *, clean: bool
) -> npt.NDArray[np.int8]:
    """What became of each of a rank's steps, in the order in which they were done.

    Args:
        steps: of all of its processes.
        process_starts: the place of each process's first step.
        saves: in any order.
        loads: likewise.
        clean: whether the last process came to its own end.
    """
    history = _told(steps, process_starts, saves, loads)
    fates = np.full(len(steps), LOST, np.int8)
    run, place = history.head
    kept = clean or history.loaded
    while run != _ROOT:
        own = history.runs[run]
        saved = place if kept else min(history.saved.get(run, own.low), place)
        fates[own.low : saved] = KEPT
        fates[saved:place] = UNSAVED
        kept = kept or saved > own.low or own.proven
        run, place = own.parent, own.since
    fates[~steps.ok] = UNFINISHED
    return fates


def _told(
    steps: Steps, process_starts: list[int], saves: list[Save], loads: list[Load]
) -> _History:
    """The history, one event after the other."""
    history = _History(steps)
    count = len(steps)
    back = np.flatnonzero(steps.number[1:] <= steps.number[:-1]) + 1 if count else ()
    fresh = set(process_starts)
    cuts = sorted({0, count, *fresh, *map(int, back), *(load.at for load in loads)})
    events: list[Save | Load] = sorted((*saves, *loads), key=lambda event: (event.at, event.time))
    at = 0
    for low, high in zip(cuts, [*cuts[1:], count], strict=True):
        while at < len(events) and events[at].at <= low:
            _tell(history, events[at], low)
            at += 1
        if low < high:
            history.run(low, high, new_process=low in fresh)
        # A checkpoint within the run: whole before the run ends.
        while at < len(events) and events[at].at < high:
            _tell(history, events[at], high)
            at += 1
    for event in events[at:]:
        _tell(history, event, count)
    return history


def _tell(history: _History, event: Save | Load, done: int) -> None:
    if isinstance(event, Load):
        history.load(event.step)
    else:
        history.save(event, done)
