"""Time: the only module that reads a clock. Everything else is handed one, so tests never wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of time and a way to let it pass."""

    def now(self) -> float:
        """Seconds since some fixed moment; never runs backwards."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""

    def epoch(self) -> float:
        """Seconds since 1970, to compare moments between processes."""

    def date(self) -> str:
        """The present date and time in ISO form, UTC, whole seconds."""

    def cpu_seconds(self) -> float:
        """Seconds that all threads of this process have run."""


class Stopwatch(Protocol):
    """Times a train of calls on the device that they run on."""

    def seconds(self, train: Sequence[Callable[[], object]]) -> float:
        """Device seconds from the start of the first call to the end of the last."""


class HostClock:
    """The clock of this machine."""

    now = staticmethod(time.perf_counter)
    """Seconds of the performance counter: the builtin itself, for it is read in timed steps."""

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def epoch(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def date(self) -> str:
        """The date and time, e.g. `2026-01-31T12:00:00+00:00`."""
        return datetime.now(UTC).isoformat(timespec="seconds")

    def cpu_seconds(self) -> float:
        """User and system time of this process."""
        return time.process_time()


class HostStopwatch:
    """Times calls that end when they return: a CPU."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now

    def seconds(self, train: Sequence[Callable[[], object]]) -> float:
        """Seconds of the host's clock from before the first call to after the last."""
        start = self._now()
        for call in train:
            call()
        return self._now() - start


def moments() -> Callable[[], int]:
    """A clock of nanoseconds since 1970 that never runs backwards: anchored once, then counted.

    Setting the machine's clock meanwhile does not move it.
    """
    anchor, ticks = time.time_ns() - time.perf_counter_ns(), time.perf_counter_ns
    return lambda: anchor + ticks()
