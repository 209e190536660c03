"""A framework's half of a recorded script, imported when the script has imported the framework."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goodput.frontends.measured import MeasuredProgram
from goodput.frontends.step_instruments import PassOptions, ProgramEnd
from goodput.measure.clock import Clock
from goodput.recording import assemble, session
from goodput.recording.imports import watching
from goodput.recording.options import RunOptions
from goodput.trace.recording import Recording

if TYPE_CHECKING:
    from goodput.events.recorder import Recorder
    from goodput.frontends.jax_program import JaxProgram
    from goodput.frontends.torch_program import TorchProgram


class ProgramRun:
    """Measures the program in this process from now on.

    Raises:
        AttributeError: this framework lacks what goodput knows of it.
    """

    def __init__(
        self,
        program: type[TorchProgram | JaxProgram],
        options: RunOptions,
        clock: Clock,
        scratch: Path,
    ) -> None:
        self._clock = clock
        self._count_only = options.count_only
        passes = PassOptions(options.steps, options.warmup, options.count_only)
        self._program: MeasuredProgram = program(
            passes, clock, scratch, stop_after=options.stop_after
        )
        self._program.attach()
        self._imports = watching(self._program)
        session.adopt(self._program)

    def let_sessions_be(self) -> None:
        """Sessions measure for themselves again, and later imports are let be."""
        for watch in self._imports:
            watch.remove()
        session.leave(self._program)

    def is_end(self, error: BaseException) -> bool:
        """Whether `error` is how the passes end a script early."""
        return isinstance(error, ProgramEnd)

    def recording_of(self, program: str, status: int) -> tuple[Recording | None, str]:
        """What was measured of `program`, which ended with `status`; or None and why."""
        return assemble.ended(
            self._program.finish, program, self._clock.date(), status, count_only=self._count_only
        )


class LedgerWatch:
    """Tells a ledger what the torch program in this process does, until `remove`."""

    def __init__(self, ledger: Recorder) -> None:
        from goodput.frontends.torch_ledger import TorchLedger

        self._program = TorchLedger(ledger)
        self._program.attach()
        self._imports = watching(self._program)

    def remove(self) -> None:
        """Lets the program be."""
        for watch in self._imports:
            watch.remove()
        self._program.remove()


def torch_ledger(ledger: Recorder) -> LedgerWatch:
    """Tells `ledger` of the torch program in this process."""
    return LedgerWatch(ledger)


def torch_run(options: RunOptions, clock: Clock, scratch: Path) -> ProgramRun:
    """The torch program in this process."""
    from goodput.frontends.torch_program import TorchProgram

    return ProgramRun(TorchProgram, options, clock, scratch)


def jax_run(options: RunOptions, clock: Clock, scratch: Path) -> ProgramRun:
    """The JAX program in this process."""
    from goodput.frontends.jax_program import JaxProgram

    return ProgramRun(JaxProgram, options, clock, scratch)
