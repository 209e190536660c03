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
    from goodput.recording.run import RunOutcome, ScriptTarget
    from goodput.trace.recording import Recording


class Request(msgspec.Struct, frozen=True):
    """What a fresh process is asked.

    Attributes:
        target: `file.py:function`, or "".
        script: a script and its arguments, or ().
        batch, seq, train: as `goodput count` takes them.
        targets: GPU architectures that Triton kernels are compiled for.
        anchor: `compute` or `memory`: the case is timed beside it; "": it is counted.
        mode: math mode of most of its products.
        seconds: measured time of one process, about.
    """

    target: str = ""
    script: tuple[str, ...] = ()
    batch: int | None = None
    seq: int | None = None
    train: bool | None = None
    targets: tuple[str, ...] = ()
    anchor: str = ""
    mode: str = "float32"
    seconds: float = 3.0


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
        answer = _timed(request) if request.anchor else _counted(request, folder)
    except GoodputError as error:
        answer = {"error": str(error), "status": error.exit_code}
    (folder / "answer.json").write_bytes(msgspec.json.encode(answer))


def _counted(request: Request, folder: Path) -> dict[str, object]:
    counted = observe(request)
    from goodput.readers import recording_file

    recording_file.save(counted.recording, folder / "counts.goodput")
    return {"observation": counted.observation}


def _timed(request: Request) -> dict[str, object]:
    from goodput.commands.timing import timed_script, timed_target

    plan = {"anchor": request.anchor, "mode": request.mode, "seconds": request.seconds}
    if request.script:
        return {"timed": timed_script(_script(request), **plan)}  # type: ignore[arg-type]  # by name
    sizes = request.batch, request.seq
    return {"timed": timed_target(request.target, sizes, request.train, **plan)}  # type: ignore[arg-type]  # by name


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
    from goodput.recording.run import RunOptions, record_script

    target = _script(request)
    outcome = record_script(target, RunOptions(steps=1, stop_after=True, count_only=True))
    return whole(outcome, target)


def _script(request: Request) -> ScriptTarget:
    from goodput.recording.run import ScriptTarget

    path, *arguments = request.script
    return ScriptTarget(path=path, module=None, argv=tuple(arguments))


def whole(outcome: RunOutcome, target: ScriptTarget) -> Recording:
    """The recording of a script that ended well.

    Raises:
        NotMeasuredError: it failed, or no whole step was seen.
    """
    if outcome.exit_status:
        raise NotMeasuredError(f"{target.title} ended with status {outcome.exit_status}")
    if outcome.recording is None:
        raise NotMeasuredError(outcome.reason)
    return outcome.recording
