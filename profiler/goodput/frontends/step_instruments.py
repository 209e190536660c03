"""What the passes start, stop and leave behind: plain protocols and data, free of any framework."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

from goodput.trace.recording import WorkPass

WINDOW_BASIS = "window"
"""What clocks steps in windows, at whose ends alone it waits: the host runs ahead inside of one."""


class ProgramEnd(BaseException):
    """The passes are over and the user asked for the program to end there.

    Not an `Exception`: a program that catches those must end all the same.
    """


class Clock(Protocol):
    """What the passes need of a clock."""

    def now(self) -> float:
        """Seconds since some fixed moment."""


class StepTimer(Protocol):
    """Clocks undisturbed steps."""

    basis: str

    @property
    def mark(self) -> Callable[[], None]:
        """What marks a boundary; another after each start."""

    def start(self) -> None:
        """Forgets earlier marks and marks the first boundary."""

    def seconds(self) -> list[float]:
        """The seconds between consecutive marks; waits for the device."""


class StepCounter(Protocol):
    """Counts one step."""

    def start(self) -> bool:
        """Begins to count; False where this program cannot be counted now."""

    def can_stop(self) -> bool:
        """Whether counting can end here; if not, it goes on to the next boundary."""

    def stop(self) -> WorkPass:
        """Ends counting and says what was counted."""


class StepProfiler(Protocol):
    """Profiles steps into a trace file."""

    @property
    def on_device(self) -> bool:
        """Whether the program computes on a device that the host runs ahead of."""

    def start(self) -> None:
        """Begins to record."""

    def mark(self, number: int) -> None:
        """Marks boundary `number`."""

    def stop(self, *, keep: bool) -> None:
        """Ends recording; writes the trace file where `keep`."""


@dataclass(frozen=True, slots=True)
class Instruments:
    """All that the passes start and stop.

    Attributes:
        clock: the host's clock.
        timer, counter, profiler: one for each pass.
        elsewhere: whether the program's own profiler runs, which ours would spoil.
        next_key: the key of the interval that begins now, None where only its end will tell.
        undisturbed: called before the undisturbed steps: takes off every hook they do not need.
        disturbed: called after them: what the other passes need is put back.
        done: called when the passes are over.
    """

    clock: Clock
    timer: StepTimer
    counter: StepCounter
    profiler: StepProfiler
    elsewhere: Callable[[], bool]
    next_key: Callable[[], Hashable]
    undisturbed: Callable[[], None]
    disturbed: Callable[[], None]
    done: Callable[[], None]


@dataclass(frozen=True, slots=True)
class PassOptions:
    """How long each pass is.

    Attributes:
        steps: undisturbed steps to time.
        warmup: steps to let pass first; None to wait until their times settle.
        count_only: stop after the counted step.
    """

    steps: int = 10
    warmup: int | None = None
    count_only: bool = False


@dataclass(frozen=True, slots=True)
class PassResults:
    """What the passes measured.

    Attributes:
        wall_seconds: the undisturbed steps of the covered kind.
        basis: what clocked them.
        work: the counted step.
        profiled: numbers of the profiled steps of the covered kind; step n ends at boundary n + 1.
        steps_seen: all boundaries seen.
        steps_left_out: undisturbed and profiled steps of another kind, or disturbed.
        mixed: whether no kind was usual, so that steps of all kinds are covered together.
        warnings: sentences for the report.
    """

    wall_seconds: tuple[float, ...] = ()
    basis: str = "host"
    work: WorkPass = field(default_factory=WorkPass)
    profiled: tuple[int, ...] = ()
    steps_seen: int = 0
    steps_left_out: int = 0
    mixed: bool = False
    warnings: tuple[str, ...] = ()
