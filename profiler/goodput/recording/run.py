"""Records a script: runs it as plain python would, measured from its import of torch on.

Imports no numpy before the script does: that reads its environment when it is first imported.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from goodput.errors import NotMeasuredError, UsageError
from goodput.measure.clock import Clock, HostClock
from goodput.recording import launchers, script
from goodput.recording.imports import WhenImported
from goodput.recording.options import RunOptions
from goodput.recording.scratch import scratch
from goodput.recording.script import ScriptTarget

if TYPE_CHECKING:
    from goodput.events.recorder import Recorder
    from goodput.recording.program_run import LedgerWatch, ProgramRun
    from goodput.trace.recording import Recording

_FRAMEWORKS = {"torch": "2.11 to 2.15", "jax": "0.10 and 0.11"}
_NOTHING = "{program} never imported torch or jax, so there was no step to see"

__all__ = ["RunOptions", "RunOutcome", "ScriptTarget", "record_script"]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of a script.

    Attributes:
        recording: None where nothing could be measured.
        exit_status: the script's own.
        reason: why there is no recording, and what to do; "" with one.
        others: the recordings of the other frameworks, of a script that has steps of several.
    """

    recording: Recording | None
    exit_status: int
    reason: str = ""
    others: tuple[Recording, ...] = ()


def record_script(
    target: ScriptTarget,
    options: RunOptions,
    clock: Clock | None = None,
    ledger: Recorder | None = None,
) -> RunOutcome:
    """Runs `target` to its end and returns what was measured on the way.

    A `ledger` is told the program's steps, waits and saves from its import of torch on.

    Raises:
        UsageError: the script, the options or the installation do not allow it; nothing ran.
        NotMeasuredError: there is no place for temporary files; nothing ran.
    """
    check(target, options)
    with scratch() as folder:
        watch = _Watch(options, clock or HostClock(), Path(folder), ledger)
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
    if not any(map(importlib.util.find_spec, _FRAMEWORKS)):
        raise UsageError(
            "neither PyTorch nor JAX is installed here, and goodput measures programs of these: "
            "pip install 'goodput-profiler[torch]' or 'goodput-profiler[jax]'"
        )
    warning = script.clash(target)
    if warning:
        print(f"goodput: warning: {warning}", file=sys.stderr)  # noqa: T201 - before the script


def _of_several(recording: Recording, every: list[Recording]) -> Recording:
    """A recording that says that the program has others."""
    framework = recording.trace.framework
    names = (each.trace.framework for each in every)
    others = " and ".join(name for name in names if name != framework)
    told = (
        f"the program has steps of {others} too, which have a report of their own: this one is of "
        f"those of {framework}, and what else ran meanwhile is idle time in it"
    )
    return replace(recording, warnings=(*recording.warnings, told))


class _Watch:
    """Measures each framework from the moment that the script imports it; nothing big before."""

    def __init__(
        self, options: RunOptions, clock: Clock, scratch: Path, ledger: Recorder | None
    ) -> None:
        self._options = options
        self._ledger = ledger
        self._telling: LedgerWatch | None = None
        self._clock = clock
        self._scratch = scratch
        self._runs: dict[str, ProgramRun] = {}
        self._faults: list[str] = []
        self._imports = [
            WhenImported(name, partial(self._attach, name, known))
            for name, known in _FRAMEWORKS.items()
        ]

    def install(self) -> None:
        """Waits for the script to import a framework."""
        for watch in self._imports:
            watch.install()

    def remove(self) -> None:
        """Lets later imports and sessions be."""
        for watch in self._imports:
            watch.remove()
        for run in self._runs.values():
            run.let_sessions_be()
        if self._telling is not None:
            self._telling.remove()

    def is_end(self, error: BaseException) -> bool:
        """Whether `error` is our own, which ends a script that was asked to end early."""
        return any(run.is_end(error) for run in self._runs.values())

    def outcome(self, program: str, status: int) -> RunOutcome:
        """What was measured of `program`, which ended with `status`.

        Of a program of two frameworks, the one whose steps were seen; of both, torch's first.
        """
        if not self._runs:
            fault = "; ".join(self._faults) or _NOTHING.format(program=program)
            return RunOutcome(None, status, fault)
        runs = [self._runs[name] for name in _FRAMEWORKS if name in self._runs]
        found = [run.recording_of(program, status) for run in runs]
        recordings = [recording for recording, _ in found if recording is not None]
        timed = [each for each in recordings if each.wall_seconds] or recordings
        if not timed:
            return RunOutcome(None, status, "; ".join(reason for _, reason in found))
        if len(timed) > 1:
            timed = [_of_several(each, timed) for each in timed]
        return RunOutcome(timed[0], status, others=tuple(timed[1:]))

    def _attach(self, name: str, known: str) -> None:
        """An unknown version must not keep the script from running: then nothing is measured."""
        try:
            # By now the framework has imported numpy, and both have read their environment.
            from goodput.recording import program_run

            make = program_run.torch_run if name == "torch" else program_run.jax_run
            self._runs[name] = make(self._options, self._clock, self._scratch)
            if name == "torch" and self._ledger is not None:
                self._telling = program_run.torch_ledger(self._ledger)
        except (ImportError, AttributeError, NotMeasuredError) as error:
            self._faults.append(f"goodput cannot measure this {name} ({error}); it knows {known}")
