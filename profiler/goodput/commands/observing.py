"""What a fresh process of `goodput check` runs: one case, counted. The only part with a framework.

Started as `python -c`, with the request and the place of the answer as arguments. Never judges.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from goodput.errors import GoodputError, NotMeasuredError

if TYPE_CHECKING:
    from goodput.gates.figures import Observation
    from goodput.trace.recording import Recording


class Request(msgspec.Struct, frozen=True):
    """What a fresh process is asked.

    Attributes:
        target: `file.py:function`, or "".
        script: a script and its arguments, or ().
        batch, seq, train: as `goodput count` takes them.
        targets: GPU architectures that Triton kernels are compiled for.
    """

    target: str = ""
    script: tuple[str, ...] = ()
    batch: int | None = None
    seq: int | None = None
    train: bool | None = None
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """A counted case: its observation, and the counts themselves for a prediction."""

    observation: Observation
    recording: Recording


def main() -> None:
    """Answers the request in argv[1] into the folder in argv[2]."""
    request = msgspec.json.decode(sys.argv[1], type=Request)
    folder = Path(sys.argv[2])
    try:
        counted = observe(request)
    except GoodputError as error:
        answer = {"observation": None, "error": str(error), "status": error.exit_code}
        (folder / "answer.json").write_bytes(msgspec.json.encode(answer))
        return
    from goodput.readers import recording_file

    recording_file.save(counted.recording, folder / "counts.goodput")
    answer = {"observation": counted.observation, "error": "", "status": 0}
    (folder / "answer.json").write_bytes(msgspec.json.encode(answer))


def observe(request: Request) -> Counted:
    """Counts a case in this process.

    Raises:
        UsageError: it names nothing that can be counted, or it failed by itself.
        NotMeasuredError: it could not be counted.
    """
    recording = _of_script(request) if request.script else _of_target(request)
    from goodput.frontends import torch_compile_events as compiler
    from goodput.gates.figures import Place, observed

    places = (Place("graph_breaks", one.file, one.line, one.reason) for one in compiler.breaks())
    return Counted(observed(recording, compiler.figures(), tuple(places)), recording)


def _of_target(request: Request) -> Recording:
    from goodput.recording.counting import of_target

    return of_target(request.target, request.batch, request.seq, train=request.train)


def _of_script(request: Request) -> Recording:
    """The counts of one step of a script, which runs as under `goodput run --count-only`.

    Raises:
        NotMeasuredError: it failed, or no whole step was seen.
    """
    from goodput.recording.run import RunOptions, ScriptTarget, record_script

    path, *arguments = request.script
    options = RunOptions(steps=1, stop_after=True, count_only=True)
    outcome = record_script(ScriptTarget(path=path, module=None, argv=tuple(arguments)), options)
    if outcome.exit_status:
        raise NotMeasuredError(f"{path} ended with status {outcome.exit_status}")
    if outcome.recording is None:
        raise NotMeasuredError(outcome.reason)
    return outcome.recording
