"""What follows a recorded script: the roofs, the report, the file. Runs no script."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from goodput.capacity.profile import Capacity
from goodput.commands.judgement import judged
from goodput.commands.options import STDOUT, Keep, ReportOptions
from goodput.commands.output import publish
from goodput.commands.streams import tell
from goodput.errors import GoodputError, NotMeasuredError
from goodput.readers import recording_file
from goodput.recording import combination, meeting, ranks
from goodput.recording.ranks import Place
from goodput.recording.run import RunOutcome
from goodput.trace.recording import Recording


def conclude(outcome: RunOutcome, options: ReportOptions, keep: Keep, stream: TextIO) -> int:
    """The status that the measurement deserves.

    Errors end here and not in `cli.py`, since the script's own status outranks theirs.
    """
    try:
        return _report(outcome, options, keep, stream)
    except GoodputError as error:
        tell(str(error))
        return error.exit_code


def _report(outcome: RunOutcome, options: ReportOptions, keep: Keep, stream: TextIO) -> int:
    place = ranks.here()
    if not place.reports:
        _hand_over(outcome, keep, place)
        return 0
    # Gathered before the roofs are measured: by then the other ranks leave the device alone.
    gathered = meeting.gather(outcome.recording, place, keep.path)
    if outcome.recording is None:
        raise NotMeasuredError("; ".join([outcome.reason, *gathered.notes]))
    recording = combination.combined(gathered.recordings, gathered.notes)
    path = ranks.path_of_rank(keep.path, place)
    status = _judge(recording, path, options, keep, stream)
    for other in outcome.others:
        status = _judge_other(other, path, options, keep, stream) or status
    lost = keep.is_asked and not gathered.all_saved
    return NotMeasuredError.exit_code if lost else status


def _judge(
    recording: Recording, path: Path, options: ReportOptions, keep: Keep, stream: TextIO
) -> int:
    """Gets the roofs, saves the recording with them, and reports; the status that it deserves."""
    capacity = None
    try:
        capacity, report = judged(
            recording,
            keep.capacity,
            options.convention,
            options.by,
            measure_shapes=keep.measure_shapes,
        )
    finally:
        unsaved = _save(recording, path, capacity)
    status = publish(report, options, stream)
    return NotMeasuredError.exit_code if keep.is_asked and unsaved else status


def _judge_other(
    recording: Recording, path: Path, options: ReportOptions, keep: Keep, stream: TextIO
) -> int:
    """The same of a second framework, into files of its own: `run.jax.goodput`, `run.jax.json`.

    Where the first report is alone on stdout, nothing follows it there.
    """
    name = recording.trace.framework
    own = replace(
        options, json=_beside(options.json, name), markdown=_beside(options.markdown, name)
    )
    silent = options.alone_on_stdout
    with Path(os.devnull).open("w", encoding="utf-8") if silent else nullcontext(stream) as out:
        return _judge(recording, Path(str(_beside(str(path), name))), own, keep, out)


def _beside(place: str | None, name: str) -> str | None:
    """A file like `place` with `name` before its suffix; None for none and for stdout."""
    if place in {None, STDOUT} or place is None:
        return None
    path = Path(place)
    return str(path.with_name(f"{path.stem}.{name}{path.suffix}"))


def _hand_over(outcome: RunOutcome, keep: Keep, place: Place) -> None:
    """Saves what this rank recorded and tells rank 0 how it ended.

    Its status says nothing of the measurement: any but 0 makes a launcher end the other ranks, the
    one that reports among them. Rank 0 has the status.
    """
    unsaved = ""
    if outcome.recording is None:
        tell(f"rank {place.rank} recorded nothing: {outcome.reason}")
    else:
        unsaved = _save(outcome.recording, ranks.path_of_rank(keep.path, place))
    try:
        meeting.leave(meeting.End(outcome.recording, outcome.reason, unsaved), place)
    except NotMeasuredError as error:
        tell(str(error))


def _save(recording: Recording, path: Path, capacity: Capacity | None = None) -> str:
    """Why the recording could not be saved; one line says so and the report goes on. Else ""."""
    try:
        recording_file.save(recording, path, capacity)
    except NotMeasuredError as error:
        tell(f"{error} with -o FILE")
        return str(error)
    tell(f"the recording is in {path}; `goodput show {path}` reports it again")
    return ""
