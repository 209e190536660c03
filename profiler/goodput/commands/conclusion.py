"""What follows a recorded script: the roofs, the report, the file. Runs no script."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from goodput.calibration.roofs import Needs, capacity_of, remeasure
from goodput.capacity.profile import Capacity
from goodput.commands.given import capacity_for
from goodput.commands.options import Keep, ReportOptions
from goodput.commands.output import publish
from goodput.commands.progress import progress
from goodput.commands.streams import tell
from goodput.errors import GoodputError, NotMeasuredError
from goodput.readers import recording_file
from goodput.recording import combination, meeting, ranks
from goodput.recording.run import RunOutcome
from goodput.report.build import build
from goodput.report.model import Report
from goodput.report.needs import largest_contractions, largest_convolutions, modes_of
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
    if outcome.recording is None:
        raise NotMeasuredError(outcome.reason)
    place = ranks.here()
    path = ranks.path_of_rank(keep.path, place)
    # Gathered before the roofs are measured: by then the other ranks leave the device alone.
    gathered = meeting.gather(outcome.recording, place=place)
    if not place.reports:
        saved = _save(outcome.recording, path)
        return 0 if saved or not keep.is_asked else NotMeasuredError.exit_code
    recording, capacity = combination.combined(gathered), None
    try:
        capacity, report = _judged(recording, options, keep.capacity)
    finally:
        saved = _save(recording, path, capacity)
    status = publish(report, options, stream)
    return status if saved or not keep.is_asked else NotMeasuredError.exit_code


def _judged(
    recording: Recording, options: ReportOptions, given: Capacity | None
) -> tuple[Capacity | None, Report]:
    """The roofs, given or measured, and the report against them."""

    def against(capacity: Capacity | None) -> tuple[Capacity | None, Report]:
        return capacity, build(recording, capacity, options.convention, options.by)

    device = recording.trace.device
    if given is not None:
        return against(capacity_for(device, given))
    if device is None:
        return against(None)
    needs = Needs(
        modes_of(recording), largest_contractions(recording), largest_convolutions(recording)
    )
    with progress() as show:
        measured = capacity_of(device, needs, progress=show)
        capacity, report = against(measured)
        if report.errors:
            # Above the limit: a roof that was measured too low is the likeliest reason.
            capacity, report = against(remeasure(measured, needs, progress=show))
    return capacity, report


def _save(recording: Recording, path: Path, capacity: Capacity | None = None) -> bool:
    """Whether the recording could be saved; where not, one line says so and the report goes on."""
    try:
        recording_file.save(recording, path, capacity)
    except NotMeasuredError as error:
        tell(str(error))
        return False
    tell(f"the recording is in {path}; `goodput show {path}` reports it again")
    return True
