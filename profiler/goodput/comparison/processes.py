"""Fresh processes: one request each, its answers as they come, and how it ended.

A process that hangs is ended with its children; one that crashes says by its last answer whose
fault it was.
"""

from __future__ import annotations

import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec

import goodput_kernels
from goodput.comparison.wire import At, End, Message, Request, decoded

_WORKER = "goodput.commands.sample"
_GRACE_SECONDS = 5.0
_TAIL_BYTES = 2000


@dataclass(slots=True)
class Outcome:
    """What came of one process.

    Attributes:
        answers: all but `At`.
        last: what it was doing last.
        death: why it ended before its end; "" where it did not.
    """

    answers: list[Message] = field(default_factory=list)
    last: At | None = None
    death: str = ""


def nonce() -> str:
    """A word that no variant knows."""
    return secrets.token_hex(8)


def outcome_of(
    request: Request, timeout_seconds: float, tell: Callable[[At], None] = lambda _: None
) -> Outcome:
    """Runs one process to its end.

    Args:
        request: what it is to do.
        timeout_seconds: between two answers.
        tell: told what is being done.
    """
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as said, os.fdopen(reading, "rb", buffering=0) as stream:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", _WORKER, str(writing)],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                pass_fds=(writing,),
                env=_environment(),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        outcome = Outcome()
        try:
            _ask(process, request)
            quiet = _listen(stream, request.nonce, timeout_seconds, outcome, tell)
            _ended(process, outcome, quiet, timeout_seconds, said)
        finally:
            _kill(process)
    return outcome


def _environment() -> dict[str, str]:
    packages = (Path(__file__).parents[1], Path(goodput_kernels.__file__ or "").parent)
    roots = [str(package.parent) for package in packages]
    paths = [*roots, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def _ask(process: subprocess.Popen[bytes], request: Request) -> None:
    if process.stdin is None:
        return
    try:
        process.stdin.write(msgspec.json.encode(request))
        process.stdin.close()
    except BrokenPipeError:
        return  # it died at once: told by its status


def _listen(
    stream: IO[bytes],
    word: str,
    timeout_seconds: float,
    outcome: Outcome,
    tell: Callable[[At], None],
) -> bool:
    """Takes in answers until the end or until it is silent for too long: then True."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(timeout_seconds):
                return True
            piece = os.read(stream.fileno(), 2**16)
            if not piece:
                return False
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                answer = decoded(line, word)
                if isinstance(answer, At):
                    outcome.last = answer
                    tell(answer)
                elif answer is not None:
                    outcome.answers.append(answer)


def _ended(
    process: subprocess.Popen[bytes],
    outcome: Outcome,
    quiet: bool,
    timeout_seconds: float,
    said: IO[bytes],
) -> None:
    """Says in `outcome` how the process died, if it did."""
    if quiet:
        outcome.death = f"it hangs: no answer for {timeout_seconds:.0f} s"
        return
    if any(isinstance(answer, End) for answer in outcome.answers):
        return
    try:
        status = process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        outcome.death = "it closed its pipe and went on"
        return
    if status or outcome.last is None:
        outcome.death = _described(status, _tail(said))
    else:
        outcome.death = "its process ended by itself before it was done"


def _described(status: int, tail: str) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        memory = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{memory}"
    return f"its process ended with status {status}" + (f": {tail}" if tail else "")


def _tail(said: IO[bytes]) -> str:
    """The last line that a process wrote."""
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - _TAIL_BYTES))
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and its children, whatever they do."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
