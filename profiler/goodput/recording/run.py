"""Records a script: runs it as plain python would, measured from its import of torch on.

Imports no numpy before the script does: that reads its environment when it is first imported.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from goodput.errors import UsageError
from goodput.measure.clock import Clock, HostClock
from goodput.recording import launchers, script
from goodput.recording.imports import WhenImported
from goodput.recording.options import RunOptions
from goodput.recording.scratch import scratch
from goodput.recording.script import ScriptTarget

if TYPE_CHECKING:
    from goodput.recording.torch_run import TorchRun
    from goodput.trace.recording import Recording

__all__ = ["RunOptions", "RunOutcome", "ScriptTarget", "record_script"]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of a script.

    Attributes:
        recording: None where nothing could be measured.
        exit_status: the script's own.
        reason: why there is no recording, and what to do; "" with one.
    """

    recording: Recording | None
    exit_status: int
    reason: str = ""


def record_script(
    target: ScriptTarget, options: RunOptions, clock: Clock | None = None
) -> RunOutcome:
    """Runs `target` to its end and returns what was measured on the way.

    Raises:
        UsageError: the script, the options or the installation do not allow it; nothing ran.
        NotMeasuredError: there is no place for temporary files; nothing ran.
    """
    check(target, options)
    with scratch() as folder:
        watch = _Watch(options, clock or HostClock(), Path(folder))
        watch.install()
        process = os.getpid()
        try:
            status = script.run(target, ends_early=watch.is_end)
        finally:
            watch.remove()
        if os.getpid() != process:
            _leave_as_child(status)
        return watch.outcome(target.title, status)


def _leave_as_child(status: int) -> NoReturn:
    """Ends a child that the script forked and that came back to us: only the parent reports."""
    atexit._run_exitfuncs()  # noqa: SLF001 - what a plain end would run, without our clean-up
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def check(target: ScriptTarget, options: RunOptions) -> None:
    """Says at once what can be said before the script runs.

    Raises:
        UsageError: as its text says.
    """
    if options.steps < 1:
        raise UsageError(f"--steps is {options.steps}; give a number of steps of at least 1")
    if options.warmup is not None and options.warmup < 0:
        raise UsageError(f"--warmup is {options.warmup}; give 0 or more steps")
    advice = launchers.advice_for(target)
    if advice:
        raise UsageError(advice)
    script.check(target)
    if importlib.util.find_spec("torch") is None:
        raise UsageError(
            "PyTorch is not installed here, and goodput measures PyTorch programs: "
            "pip install 'goodput-profiler[torch]'"
        )
    warning = script.clash(target)
    if warning:
        print(f"goodput: warning: {warning}", file=sys.stderr)  # noqa: T201 - before the script


class _Watch:
    """Measures torch from the moment that the script imports it, and needs nothing big before."""

    def __init__(self, options: RunOptions, clock: Clock, scratch: Path) -> None:
        self._options = options
        self._clock = clock
        self._scratch = scratch
        self._torch: TorchRun | None = None
        self._fault = ""
        self._imports = WhenImported("torch", self._attach)

    def install(self) -> None:
        """Waits for the script to import torch."""
        self._imports.install()

    def remove(self) -> None:
        """Lets later imports and sessions be."""
        self._imports.remove()
        if self._torch is not None:
            self._torch.let_sessions_be()

    def is_end(self, error: BaseException) -> bool:
        """Whether `error` is our own, which ends a script that was asked to end early."""
        return self._torch is not None and self._torch.is_end(error)

    def outcome(self, program: str, status: int) -> RunOutcome:
        """What was measured of `program`, which ended with `status`."""
        if self._torch is None:
            fault = self._fault or f"{program} never imported torch, so there was no step to see"
            return RunOutcome(None, status, fault)
        recording, reason = self._torch.recording_of(program, status)
        return RunOutcome(recording, status, reason)

    def _attach(self) -> None:
        """An unknown torch must not keep the script from running: then nothing is measured."""
        try:
            # By now torch has imported numpy, and both have read their environment.
            from goodput.recording.torch_run import TorchRun

            self._torch = TorchRun(self._options, self._clock, self._scratch)
        except (ImportError, AttributeError) as error:
            self._fault = f"goodput cannot measure this torch ({error}); it knows 2.11 to 2.15"
