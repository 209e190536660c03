"""What one process wrote, as columns: steps and waits by the million, all else one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from goodput.events import wire
from goodput.events.wire import Entry

Integers: TypeAlias = npt.NDArray[np.int64]
Reals: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

NONE = np.iinfo(np.int64).min
"""Stands in a column for what was not said."""


def integers(values: Iterable[int], count: int = -1) -> Integers:
    """A column of whole numbers."""
    return np.fromiter(values, np.int64, count)


@dataclass(slots=True)
class Steps:
    """Steps in the order in which they were written, a column each.

    `flops` is None where no step tells its useful FLOPs, and NaN where one does not.
    """

    start: Integers
    end: Integers
    number: Integers
    tokens: Integers
    ok: Flags
    flops: Reals | None = None

    @classmethod
    def empty(cls) -> Steps:
        """None."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, none, np.empty(0, np.bool_))

    def __len__(self) -> int:
        """How many."""
        return len(self.start)

    def kept(self, keep: Flags | Integers | slice) -> Steps:
        """Those of a mask or a slice, or in another order."""
        return Steps(
            self.start[keep],
            self.end[keep],
            self.number[keep],
            self.tokens[keep],
            self.ok[keep],
            None if self.flops is None else self.flops[keep],
        )

    def moved(self, nanoseconds: int) -> None:
        """Puts all of them later by so much."""
        self.start = self.start + nanoseconds
        self.end = self.end + nanoseconds


def joined_steps(parts: list[Steps]) -> Steps:
    """The steps of `parts` in one."""
    if not parts:
        return Steps.empty()
    flops = None
    if any(part.flops is not None for part in parts):
        told = [np.full(len(p), np.nan) if p.flops is None else p.flops for p in parts]
        flops = np.concatenate(told)
    return Steps(
        joined_column([part.start for part in parts]),
        joined_column([part.end for part in parts]),
        joined_column([part.number for part in parts]),
        joined_column([part.tokens for part in parts]),
        np.concatenate([part.ok for part in parts]),
        flops,
    )


def joined_column(pieces: list[Integers]) -> Integers:
    """The pieces in a row; those that lie in a row already, as a file's do, are not copied."""
    pieces = [piece for piece in pieces if len(piece)]
    if not pieces:
        return np.empty(0, np.int64)
    base = pieces[0].base
    first, total = pieces[0].ctypes.data, sum(map(len, pieces))
    at = first
    for piece in pieces:
        if piece.base is not base or piece.ctypes.data != at or not piece.flags.c_contiguous:
            return np.concatenate(pieces)
        at += piece.nbytes
    if not isinstance(base, np.ndarray) or base.dtype != np.int64:
        return np.concatenate(pieces)
    offset = (first - base.ctypes.data) // base.itemsize
    row: Integers = base[offset : offset + total]
    return row


@dataclass(frozen=True, slots=True)
class Span:
    """A span that is no step and no data wait.

    Attributes:
        event, start, end, step, name: as in the ledger; `end` None where it never ended.
        ok: whether it did what it was for.
        blocking: of a save.
        devices: of an allocation.
        position: how many steps this process had written before.
    """

    event: str
    start: int
    end: int | None
    step: int | None
    name: str
    ok: bool
    blocking: bool
    devices: int | None
    position: int


@dataclass(slots=True)
class Session:
    """What one process wrote, from its `open` line to the next one of the file.

    Attributes:
        opening: its `open` line; a made up one where there is none.
        source: the file.
        steps: those that ended.
        waits: start and end of each data wait.
        spans: all other spans, and steps and waits that never ended.
        failures: time and cause.
        sizes: time and devices.
        clean: whether the program said that it came to its own end; None where it said nothing.
        first, last: when the first and last sign of life was.
        notes: what is wrong with it, in sentences.
    """

    opening: Entry
    source: str
    steps: Steps = field(default_factory=Steps.empty)
    waits: tuple[Integers, Integers] = field(
        default_factory=lambda: (np.empty(0, np.int64), np.empty(0, np.int64))
    )
    spans: list[Span] = field(default_factory=list)
    failures: list[tuple[int, str]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    windows: list[tuple[int | None, int | None]] = field(default_factory=list)
    clean: bool | None = None
    first: int = NONE
    last: int = NONE
    notes: list[str] = field(default_factory=list)

    @property
    def job(self) -> str:
        """The job that it is of."""
        return self.opening.job

    @property
    def rank(self) -> int:
        """The rank that it is."""
        return self.opening.rank

    @property
    def devices(self) -> int:
        """The devices that this rank drives."""
        return self.opening.devices or 1

    @property
    def says_something(self) -> bool:
        """Whether it tells of anything but a process that lived."""
        return bool(self.spans or self.windows or self.notes)

    def of(self, *events: str) -> list[Span]:
        """The spans of these kinds."""
        return [span for span in self.spans if span.event in events]

    def seen(self, *times: int | None) -> None:
        """It lived at these times."""
        for time in times:
            if time is not None:
                self.first = time if self.first == NONE else min(self.first, time)
                self.last = max(self.last, time)


BEFORE = frozenset((wire.QUEUE, wire.ALLOCATION, wire.RESTART))
"""Spans during which the process that tells of them was not there."""
