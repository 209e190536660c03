"""The explicit API: `with goodput.record("name.goodput") as r: ... r.step()`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from goodput.errors import UsageError
from goodput.measure.clock import HostClock
from goodput.readers import recording_file
from goodput.recording import assemble, ranks
from goodput.trace.recording import Recording

if TYPE_CHECKING:
    from goodput.frontends.torch_program import TorchProgram

_running: list[TorchProgram] = []
"""The program under `goodput run` in this process, if any: sessions inside it mark its steps."""


def adopt(program: TorchProgram | None) -> None:
    """Makes sessions mark the steps of `program` from now on; None: sessions measure themselves."""
    _running[:] = [program] if program is not None else []


def record(path: str | os.PathLike[str], *, steps: int = 10, warmup: int | None = None) -> Session:
    """A session that measures the steps marked with its `step()` and saves the recording to `path`.

    Under `goodput run` it only marks the steps: the run saves and reports them.

    Args:
        path: the recording's file; with several ranks each rank's number goes into its name.
        steps: undisturbed steps to time.
        warmup: steps to let pass first; None to wait until their times settle.

    Raises:
        UsageError: `steps` or `warmup` is too small.
    """
    if steps < 1 or (warmup is not None and warmup < 0):
        raise UsageError(
            f"steps={steps}, warmup={warmup}: give at least 1 step and 0 or more to warm up"
        )
    return Session(Path(path), steps, warmup)


class Session:
    """Measures the steps between its entry and its exit.

    Attributes:
        recording: what was measured, after the session; None where nothing could be.
    """

    def __init__(self, path: Path, steps: int, warmup: int | None) -> None:
        self._path = path
        self._steps = steps
        self._warmup = warmup
        self._program: TorchProgram | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self.recording: Recording | None = None

    def __enter__(self) -> Self:
        """Starts to measure."""
        if _running:
            self._program = _running[0]
            return self
        from goodput.frontends.step_instruments import PassOptions
        from goodput.frontends.torch_program import TorchProgram

        self._scratch = tempfile.TemporaryDirectory(prefix="goodput-")
        options = PassOptions(self._steps, self._warmup)
        self._program = TorchProgram(options, HostClock(), Path(self._scratch.name))
        self._program.attach()
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
        """Ends measuring and saves; says on stderr where nothing could be measured."""
        program, self._program = self._program, None
        if self._scratch is None or program is None:
            return
        with self._scratch:
            title = " ".join(sys.argv) or "session"
            created = HostClock().date()
            self.recording, reason = assemble.recording_of(program.finish(), title, created)
        if self.recording is None:
            print(f"goodput: {reason}", file=sys.stderr)  # noqa: T201 - no command line is here to
            return
        recording_file.save(self.recording, ranks.path_of_rank(self._path, ranks.here()))
