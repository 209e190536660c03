"""`goodput run`: record a script, get the device's capacity, build the report, write it.

What the report needs is in `conclusion` and imported only after the script: numpy and the libraries
below it read their environment when they are first imported, and that moment is the script's.
"""

from __future__ import annotations

from pathlib import Path

import click

from goodput.commands.given import read_capacity
from goodput.commands.ledger import Ledger
from goodput.commands.options import Keep, ReportOptions, report_options
from goodput.commands.streams import report_stream, tell
from goodput.errors import GoodputError
from goodput.recording import namesakes, ranks
from goodput.recording.run import RunOptions, RunOutcome, ScriptTarget, record_script

SUFFIX = ".goodput"
"""How the name of a recording ends."""


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
    "--count-only", is_flag=True, help="Count one step, and measure no times and no roofs."
)
@click.option(
    "--measure-shapes",
    is_flag=True,
    help="Measure what the program's own shapes can reach: the rung `shape`.",
)
@click.option(
    "-o",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the recording goes; without it SCRIPT.goodput in the current directory.",
)
@click.option(
    "--ledger",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append the program's steps, data waits and saves to a ledger, for goodput job.",
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
    count_only: bool,
    measure_shapes: bool,
    output: Path | None,
    ledger: Path | None,
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
    keep = Keep(path, output is not None, given, measure_shapes)
    target = ScriptTarget(
        path=None if is_module else script,
        module=script if is_module else None,
        argv=arguments,
    )
    with report_stream(alone=options.alone_on_stdout) as stream:
        if options.alone_on_stdout and ranks.reports_here():
            tell("stdout is the report's alone, so what the script writes there goes to stderr")
        wanted = RunOptions(steps, warmup, stop_after, count_only)
        outcome = _recorded(target, wanted, ledger)
        with namesakes.libraries_first():
            from goodput.commands.conclusion import conclude

        ours = conclude(outcome, options, keep, stream)
    return outcome.exit_status or ours


def _recorded(target: ScriptTarget, options: RunOptions, ledger: Path | None) -> RunOutcome:
    """What became of the script; its ledger, where one is kept, is told how it ended."""
    if ledger is None:
        return record_script(target, options)
    book = Ledger(ledger)
    try:
        outcome = record_script(target, options, ledger=book)
    except GoodputError:
        book.close(clean=False)
        raise
    book.end_with(outcome.exit_status)
    if book.last_step is None:
        tell(
            f"{ledger} holds no step: --ledger finds the optimizer steps of PyTorch; a script says "
            "others itself, to goodput.Ledger"
        )
    return outcome


def default_path(script: str, *, is_module: bool) -> Path:
    """Where a recording goes that was given no place: here, under the script's name."""
    stem = script.rsplit(".", 1)[-1] if is_module else Path(script).stem
    return Path(f"{stem}{SUFFIX}")
