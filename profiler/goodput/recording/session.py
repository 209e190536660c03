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
from goodput.recording.imports import WhenImported
from goodput.recording.scratch import scratch
from goodput.trace.recording import Recording

if TYPE_CHECKING:
    from goodput.frontends.torch_program import TorchProgram

_running: list[TorchProgram] = []
"""The program under `goodput run` in this process, if any: sessions inside it mark its steps."""


def adopt(program: TorchProgram | None) -> None:
    """Makes sessions mark the steps of `program` from now on; None: sessions measure themselves."""
    _running[:] = [program] if program is not None else []


class Session:
    """Measures the steps between its entry and its exit.

    Nothing that goes wrong in the measurement ends the program: it is said on stderr.

    Args:
        steps: undisturbed steps to time.
        warmup: steps to let pass first; None to wait until their times settle.
        then: called at the exit with the recording, and with what the block raised or None; it
            raises no error of its own.
        tell: says a sentence.

    Attributes:
        recording: what was measured, after the session; None where nothing could be.
    """

    def __init__(
        self,
        steps: int,
        warmup: int | None,
        then: Callable[[Recording, BaseException | None], None],
        tell: Callable[[str], None],
    ) -> None:
        self._steps = steps
        self._warmup = warmup
        self._then = then
        self._tell = tell
        self._program: TorchProgram | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._compiler: WhenImported | None = None
        self.recording: Recording | None = None

    def __enter__(self) -> Self:
        """Starts to measure.

        Raises:
            NotMeasuredError: there is no place for temporary files.
        """
        if _running:
            self._program = _running[0]
            return self
        from goodput.frontends.step_instruments import PassOptions
        from goodput.frontends.torch_inductor import MODULE as COMPILER
        from goodput.frontends.torch_program import TorchProgram

        self._scratch = scratch()
        options = PassOptions(self._steps, self._warmup)
        self._program = TorchProgram(options, HostClock(), Path(self._scratch.name))
        self._program.attach()
        self._compiler = WhenImported(COMPILER, self._program.inductor.install)
        self._compiler.install()
        self._program.expect_explicit_steps()
        return self

    def step(self) -> None:
        """Marks the end of a step.

        Raises:
            UsageError: the session is not open.
        """
        if self._program is None:
            raise UsageError("step() is called inside `with goodput.record(...) as r:` only")
        self._program.step()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends measuring; says on stderr where nothing could be measured."""
        program, self._program = self._program, None
        place, self._scratch = self._scratch, None
        if place is None or program is None:
            return
        if self._compiler is not None:
            self._compiler.remove()
        with place:
            title = " ".join(sys.argv) or "session"
            self.recording, reason = assemble.ended(program.finish, title, HostClock().date())
        if self.recording is None:
            self._tell(reason)
        else:
            self._then(self.recording, error)
