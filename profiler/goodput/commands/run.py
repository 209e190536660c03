"""`goodput run`: record a script, get the device's capacity, build the report, write it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import click

from goodput.calibration.roofs import Needs, capacity_of, remeasure
from goodput.capacity.profile import Capacity
from goodput.commands.options import ReportOptions, report_options
from goodput.commands.output import publish, report_stream, tell
from goodput.commands.progress import progress
from goodput.commands.stored import capacity_for, read_capacity
from goodput.errors import GoodputError, NotMeasuredError
from goodput.readers import recording_file
from goodput.recording import ranks
from goodput.recording.run import RunOptions, RunOutcome, ScriptTarget, record_script
from goodput.report.build import build
from goodput.report.model import Report
from goodput.report.needs import largest_contractions, largest_convolutions, modes_of
from goodput.trace.recording import Recording

SUFFIX = ".goodput"
"""How the name of a recording ends."""


@dataclass(frozen=True, slots=True)
class Keep:
    """What the user wants of a recording.

    Attributes:
        path: the file for it.
        is_asked: whether the user named that file, so that it must be written.
        capacity: the roofs that the user gave.
    """

    path: Path
    is_asked: bool
    capacity: Capacity | None


@click.command(
    name="run",
    short_help="Run a script and report its goodput.",
    context_settings={"allow_interspersed_args": False},
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="Undisturbed steps to time.",
)
@click.option(
    "--warmup",
    type=click.IntRange(min=0),
    metavar="N",
    help="Steps to let pass first; without it, until their times settle.",
)
@click.option("--stop-after", is_flag=True, help="End the script when the passes are done.")
@click.option(
    "-o",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the recording goes; without it SCRIPT.goodput in the current directory.",
)
@report_options
@click.option("-m", "is_module", is_flag=True, help="SCRIPT is a module, as for python -m.")
@click.argument("script", metavar="(SCRIPT.py | -m MODULE)")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def command(  # noqa: PLR0913  # one argument an option, as click passes them
    *,
    script: str,
    arguments: tuple[str, ...],
    is_module: bool,
    steps: int,
    warmup: int | None,
    stop_after: bool,
    output: Path | None,
    by: str,
    convention: str,
    capacity: Path | None,
    json: str | None,
    markdown: str | None,
) -> int:
    """Run a script as plain python would, and report its goodput.

    Options of goodput come before the script; everything after it belongs to the script. The
    exit status is the script's own where that is not 0; else 3 where no whole step was measured
    or something could not be saved, and 5 where a result is above what the device can do.
    """
    options = ReportOptions(by, convention, capacity, json, markdown)
    # Read before the script runs: a wrong file is told at once, not after an hour.
    given = read_capacity(capacity) if capacity is not None else None
    # Absolute, since the script may change the directory.
    path = (output or default_path(script, is_module=is_module)).absolute()
    keep = Keep(path, output is not None, given)
    target = ScriptTarget(
        path=None if is_module else script,
        module=script if is_module else None,
        argv=arguments,
    )
    with report_stream(alone=options.alone_on_stdout) as stream:
        if options.alone_on_stdout and ranks.reports_here():
            tell("stdout is the report's alone, so what the script writes there goes to stderr")
        outcome = record_script(target, RunOptions(steps, warmup, stop_after))
        ours = _conclude(outcome, options, keep, stream)
    return outcome.exit_status or ours


def default_path(script: str, *, is_module: bool) -> Path:
    """Where a recording goes that was given no place: here, under the script's name."""
    stem = script.rsplit(".", 1)[-1] if is_module else Path(script).stem
    return Path(f"{stem}{SUFFIX}")


def _conclude(outcome: RunOutcome, options: ReportOptions, keep: Keep, stream: TextIO) -> int:
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
    gathered = ranks.gather(outcome.recording, place=place)
    if not place.reports:
        saved = _save(outcome.recording, path)
        return 0 if saved or not keep.is_asked else NotMeasuredError.exit_code
    recording, capacity = ranks.combined(gathered), None
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
