"""The instruments of the three passes for JAX: windows of steps, counts of jaxprs, a profile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax

from goodput.frontends.jax_command_buffers import CommandBuffers, device_has_them
from goodput.frontends.jax_private import start_profile, stop_profile
from goodput.frontends.step_instruments import WINDOW_BASIS, Clock
from goodput.readers.xplane_steps import BOUNDARY
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.work import Contraction

WINDOW = 2
"""Steps between two moments at which the device is waited for."""


class WindowTimer:
    """Clocks windows of steps, waiting for the device at their ends only.

    A step of JAX returns before it is done: waiting after each would take away what the program
    gains by that. Each step of a window gets its mean; before a step of another kind a window is
    closed though it is not full.

    Args:
        clock: the host's.
        wait: waits for all that was started.
    """

    basis = WINDOW_BASIS

    def __init__(self, clock: Clock, wait: Callable[[], None]) -> None:
        self._now, self._wait = clock.now, wait
        self._steps = self._end = 0
        self._marks: list[tuple[int, float]] = []

    def start(self) -> None:
        """Forgets earlier marks and begins the first window."""
        self._steps, self._marks = 0, []
        self._close()

    def mark(self) -> None:
        """Marks a boundary."""
        self._steps += 1
        if self._steps >= self._end:
            self._close()

    @property
    def open_steps(self) -> int:
        """The steps in the window so far."""
        return self._steps - self._marks[-1][0] if self._marks else 0

    def close_next(self) -> None:
        """The next boundary ends a window."""
        self._end = 0

    def seconds(self) -> list[float]:
        """The seconds of each step; those of a window are equal."""
        if self._marks and self._marks[-1][0] != self._steps:
            self._close()
        found: list[float] = []
        for (first, begin), (last, end) in zip(self._marks, self._marks[1:], strict=False):
            found += [(end - begin) / (last - first)] * (last - first)
        return found

    def _close(self) -> None:
        self._wait()
        self._marks.append((self._steps, self._now()))
        self._end = self._steps + WINDOW


class JaxCounter:
    """Adds up the counts of the jitted functions that one step calls.

    Args:
        count: the counts of one call, from its jaxpr.
    """

    def __init__(self, count: Callable[[Any, tuple[Any, ...], dict[str, Any]], WorkPass]) -> None:
        self._count = count
        self._passes: list[WorkPass] | None = None

    def start(self) -> bool:
        """Begins to count."""
        self._passes = []
        return True

    def can_stop(self) -> bool:
        """Counting can end anywhere."""
        return True

    def note(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A jitted function is called."""
        if self._passes is not None:
            self._passes.append(self._count(function, args, kwargs))

    def stop(self) -> WorkPass:
        """Ends counting and says what was counted."""
        passes, self._passes = self._passes or [], None
        entries: list[WorkEntry] = [entry for each in passes for entry in each.entries]
        products: dict[Contraction, None] = {p: None for each in passes for p in each.contractions}
        return WorkPass(
            entries=tuple(entries),
            contractions=tuple(products),
            failure=next((each.failure for each in passes if each.failure), ""),
            hand_written=tuple({name: None for each in passes for name in each.hand_written}),
        )


class JaxProfiler:
    """Profiles steps into a folder, waiting for the device at each boundary.

    Args:
        folder: for the profile.
        wait: waits for all that was started.
        functions: the jitted functions that a step calls.
    """

    def __init__(
        self, folder: Path, wait: Callable[[], None], functions: Callable[[], Iterable[Any]]
    ) -> None:
        self._folder, self._wait, self._functions = folder, wait, functions
        self._buffers = CommandBuffers()
        self.path: Path | None = None

    @property
    def on_device(self) -> bool:
        """Whether the program computes on a device that the host runs ahead of."""
        return jax.default_backend() != "cpu"

    def start(self) -> None:
        """Begins to record."""
        self._wait()
        if device_has_them():
            self._buffers.off(self._functions())
        start_profile(self._folder)

    def mark(self, number: int) -> None:
        """Marks boundary `number`."""
        self._wait()
        with jax.profiler.StepTraceAnnotation(BOUNDARY, step_num=number):
            pass

    def stop(self, *, keep: bool) -> None:
        """Ends recording; keeps the file where `keep`."""
        self._wait()
        stop_profile()
        self._buffers.on(self._functions())
        files = sorted(self._folder.rglob("*.xplane.pb"))
        self.path = files[-1] if keep and files else None
