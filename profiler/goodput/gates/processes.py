"""Runs a fresh process, at most for a while, and says how it ended. Knows no case."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goodput.errors import NotMeasuredError

_LAST_WORDS = 3
"""Lines of stderr that are told of a process that failed."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its status, what it said last, and whether it was stopped."""

    status: int
    said: str
    timed_out: bool = False

    def reason(self, seconds: float) -> str:
        """Why there is no result, in one line."""
        if self.timed_out:
            return f"it was still running after {seconds:.0f} s and was stopped"
        how = f"signal {-self.status}" if self.status < 0 else f"status {self.status}"
        early = "" if self.status else " before it answered"
        return f"it ended with {how}{early}{f': {self.said}' if self.said else ''}"


def run(
    command: Sequence[str], folder: Path, seconds: float, environment: Mapping[str, str]
) -> Ended:
    """Runs `command` in `folder`, for at most `seconds`; whatever it started ends with it.

    What it writes to stdout goes nowhere: a program's own words are not the report's.

    Raises:
        NotMeasuredError: it cannot be started.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise NotMeasuredError(f"cannot start {command[0]}: {error.strerror}") from error
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _stop(process)
        return Ended(process.returncode or -signal.SIGKILL, "", timed_out=True)
    except BaseException:
        _stop(process)
        raise
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return Ended(process.returncode, "; ".join(lines[-_LAST_WORDS:]))


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends the process and its children: they share a session of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.communicate()
