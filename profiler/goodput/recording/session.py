"""A program that marks its own steps: `with session: ... session.step()`. Saves nothing itself."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from goodput.errors import UsageError
from goodput.measure.clock import HostClock
from goodput.recording import assemble
from goodput.recording.imports import WhenImported, watching
from goodput.recording.scratch import scratch
from goodput.trace.recording import Recording

if TYPE_CHECKING:
    from goodput.frontends.measured import MeasuredProgram

_running: list[MeasuredProgram] = []
"""What is under `goodput run` in this process, one a framework: sessions inside mark its steps."""


def adopt(program: MeasuredProgram) -> None:
    """Makes sessions mark the steps of `program`, too, from now on."""
    _running.append(program)


def leave(program: MeasuredProgram) -> None:
    """Lets `program` be; where none is left, sessions measure for themselves."""
    if program in _running:
        _running.remove(program)


class Session:
    """Measures the steps between its entry and its exit.

    Nothing that goes wrong in the measurement ends the program: it is said on stderr.

    Args:
        steps: undisturbed steps to time.
        warmup: steps to let pass first; None to wait until their times settle.
        then: called at the exit with the recording, and with what the block raised or None; it
            raises no error of its own.
        tell: says a sentence.
        framework: `torch` or `jax`; "" for the one that this process uses.

    Attributes:
        recording: what was measured, after the session; None where nothing could be.
    """

    def __init__(
        self,
        steps: int,
        warmup: int | None,
        then: Callable[[Recording, BaseException | None], None],
        tell: Callable[[str], None],
        framework: str = "",
    ) -> None:
        self._framework = framework
        self._steps = steps
        self._warmup = warmup
        self._then = then
        self._tell = tell
        self._programs: list[MeasuredProgram] = []
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._imports: list[WhenImported] = []
        self.recording: Recording | None = None

    def __enter__(self) -> Self:
        """Starts to measure.

        Raises:
            NotMeasuredError: there is no place for temporary files.
        """
        if _running:
            self._programs = list(_running)
            return self
        self._scratch = scratch()
        program = self._own(Path(self._scratch.name))
        program.attach()
        self._imports = watching(program)
        program.expect_explicit_steps()
        self._programs = [program]
        return self

    def _own(self, place: Path) -> MeasuredProgram:
        """A program of the framework that this process uses: JAX, where torch is not there."""
        from goodput.frontends.step_instruments import PassOptions

        options = PassOptions(self._steps, self._warmup)
        used = "jax" if "jax" in sys.modules and "torch" not in sys.modules else "torch"
        if (self._framework or used) == "jax":
            from goodput.frontends.jax_program import JaxProgram

            return JaxProgram(options, HostClock(), place)
        from goodput.frontends.torch_program import TorchProgram

        return TorchProgram(options, HostClock(), place)

    def step(self) -> None:
        """Marks the end of a step.

        Raises:
            UsageError: the session is not open.
        """
        if not self._programs:
            raise UsageError("step() is called inside `with goodput.record(...) as r:` only")
        for program in self._programs:
            program.step()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends measuring; says on stderr where nothing could be measured."""
        programs, self._programs = self._programs, []
        place, self._scratch = self._scratch, None
        if place is None or not programs:
            return
        for watch in self._imports:
            watch.remove()
        with place:
            title = " ".join(sys.argv) or "session"
            self.recording, reason = assemble.ended(programs[0].finish, title, HostClock().date())
        if self.recording is None:
            self._tell(reason)
        else:
            self._then(self.recording, error)
