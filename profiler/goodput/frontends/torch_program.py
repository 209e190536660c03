"""A running torch program under measurement: its steps, its passes, and what they left behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from goodput.formulas import told
from goodput.frontends import torch_device
from goodput.frontends.measured import Measured
from goodput.frontends.step_instruments import (
    Clock,
    Instruments,
    PassOptions,
    ProgramEnd,
)
from goodput.frontends.step_passes import Passes, State
from goodput.frontends.torch_compile_events import CompileEvents
from goodput.frontends.torch_inductor import MODULE as COMPILER
from goodput.frontends.torch_inductor import InductorWatch
from goodput.frontends.torch_passes import TorchCounter, TorchTimer
from goodput.frontends.torch_profiler import ProfilerGuard, TorchProfiler, quiet_kineto
from goodput.frontends.torch_steps import StepFinder


class TorchProgram:
    """Measures the torch program in this process from `attach` to `finish`.

    Args:
        options: how long each pass is.
        clock: the host's clock.
        scratch: a directory for the trace file.
        stop_after: end the program when the passes are over.

    Attributes:
        inductor: to be installed when the program has imported torch's compiler.
    """

    def __init__(
        self, options: PassOptions, clock: Clock, scratch: Path, *, stop_after: bool = False
    ) -> None:
        self._stop_after = stop_after
        self._trace_path = scratch / "trace.json"
        self.inductor = InductorWatch()
        self._compile_events = CompileEvents()
        self._counter = TorchCounter(
            lambda: self._finder.optimizing_task, lambda: self._finder.forward_only, self.inductor
        )
        self._guard = ProfilerGuard(self._interrupt)
        self._profiler = TorchProfiler(self._trace_path, self._guard, self._counter.compiled)
        self._explicit = False
        self._failure = ""
        self._passes = Passes(
            options,
            Instruments(
                clock=clock,
                timer=TorchTimer(clock),
                counter=self._counter,
                profiler=self._profiler,
                elsewhere=self._guard.elsewhere,
                next_key=lambda: self._finder.next_key,
                undisturbed=self._undisturbed,
                disturbed=self._disturbed,
                done=self._done,
            ),
        )
        # The passes themselves are called at each boundary: nothing stands between in a step.
        self._finder = StepFinder(
            self._passes.boundary,
            self._restart,
            self._fault,
            self._counter,
            self._passes.quick_boundary,
        )

    @property
    def late_imports(self) -> Mapping[str, Callable[[], None]]:
        """The compiler is watched once the program has imported it: that takes a second."""
        return {COMPILER: self.inductor.install}

    def attach(self) -> None:
        """Starts to look for steps. Torch must be imported."""
        quiet_kineto()
        told.listen()
        self._finder.install()
        self._guard.install()
        # A forked worker is another program: nothing of it is measured or ended by us.
        os.register_at_fork(after_in_child=self._forked)

    def step(self) -> None:
        """The program says itself that a step ends here: from now on only that counts."""
        self.expect_explicit_steps()
        try:
            self._passes.boundary(self._finder.take_kind())
        except Exception as error:  # noqa: BLE001 - the border with the user's program
            self._fault(error)

    def expect_explicit_steps(self) -> None:
        """From now on only `step` makes boundaries; what was found before is forgotten."""
        if not self._explicit:
            self._explicit = True
            self._restart()
            self._finder.yield_to_explicit()

    def finish(self) -> Measured:
        """Takes everything off and says what was measured."""
        results = self._passes.finish()
        self._detach()
        told.forget()
        return Measured(
            results=results,
            trace_path=self._trace_path if self._profiler.written else None,
            device=torch_device.identity(),
            environment=torch_device.environment(),
            kind="explicit" if self._explicit else self._finder.kind,
            warnings=(
                *filter(None, [self._failure, self._counter.refusal, self.inductor.fault]),
                *self._counter.warnings,
                *self._counter.compiled.told(),
                *self._compile_events.told(),
            ),
        )

    def _undisturbed(self) -> None:
        self._finder.narrow()

    def _disturbed(self) -> None:
        self._finder.widen()

    def _restart(self) -> None:
        self._passes.restart()
        self._guard.install()

    def _interrupt(self) -> None:
        self._passes.interrupt()

    def _fault(self, error: Exception) -> None:
        """An error of ours ends the measuring, not the program."""
        self._failure = (
            f"goodput itself failed ({type(error).__name__}: {error}) and measured nothing more"
        )
        self._passes.restart()
        self._passes.state = State.DONE
        self._finder.retire()
        self._guard.remove()

    def _done(self) -> None:
        self._finder.retire()
        self._guard.remove()
        if self._stop_after:
            raise ProgramEnd

    def _forked(self) -> None:
        if self._passes.state is State.COUNT:
            self._counter.stop()
        self._detach()

    def _detach(self) -> None:
        self._passes.state = State.DONE
        self._finder.remove()
        self._guard.remove()
        self.inductor.remove()
