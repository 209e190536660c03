"""The torch half of a recorded script, imported when the script has imported torch."""

from __future__ import annotations

from pathlib import Path

from goodput.frontends import torch_inductor
from goodput.frontends.step_instruments import PassOptions, ProgramEnd
from goodput.frontends.torch_program import TorchProgram
from goodput.measure.clock import Clock
from goodput.recording import assemble, session
from goodput.recording.imports import WhenImported
from goodput.recording.options import RunOptions
from goodput.trace.recording import Recording


class TorchRun:
    """Measures the torch program in this process from now on.

    Raises:
        AttributeError: this torch lacks what goodput knows of it.
    """

    def __init__(self, options: RunOptions, clock: Clock, scratch: Path) -> None:
        self._clock = clock
        self._count_only = options.count_only
        passes = PassOptions(options.steps, options.warmup, options.count_only)
        self._program = TorchProgram(passes, clock, scratch, stop_after=options.stop_after)
        self._program.attach()
        self._compiler = WhenImported(torch_inductor.MODULE, self._program.inductor.install)
        self._compiler.install()
        session.adopt(self._program)

    def let_sessions_be(self) -> None:
        """Sessions measure for themselves again, and later imports are let be."""
        self._compiler.remove()
        session.adopt(None)

    def is_end(self, error: BaseException) -> bool:
        """Whether `error` is how the passes end a script early."""
        return isinstance(error, ProgramEnd)

    def recording_of(self, program: str, status: int) -> tuple[Recording | None, str]:
        """What was measured of `program`, which ended with `status`; or None and why."""
        return assemble.ended(
            self._program.finish, program, self._clock.date(), status, count_only=self._count_only
        )
