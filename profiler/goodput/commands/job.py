"""`goodput job`: the three layers of whole runs, from the ledgers that they wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import click

from goodput.commands.accounted import Fleet, accounted, nanoseconds
from goodput.commands.options import STDOUT
from goodput.commands.output import coloured, line_width, print_text, write_file
from goodput.commands.streams import report_stream
from goodput.errors import NotMeasuredError, UntrustworthyError, UsageError
from goodput.renderers.content import Content
from goodput.renderers.job import fleet_content, job_content
from goodput.renderers.job_json import job_json
from goodput.renderers.markdown import content_markdown
from goodput.renderers.text import content_text


@click.command(name="job", short_help="Account for a whole job, from its ledger.")
@click.argument(
    "ledger", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="LEDGER|DIR..."
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A recording, a trace or a report of one step: the ideal step time of the program layer.",
)
@click.option(
    "--capacity",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Hold the step of --report against the roofs in FILE.",
)
@click.option("--windows", metavar="TIME", help="Account for each stretch of TIME, too, e.g. 24h.")
@click.option("--json", metavar="FILE|-", help="Write the account as JSON; - is stdout, alone.")
@click.option("--markdown", metavar="FILE|-", help="Write it as Markdown; - is stdout, alone.")
def command(
    *,
    ledger: tuple[Path, ...],
    report: Path | None,
    capacity: Path | None,
    windows: str | None,
    json: str | None,
    markdown: str | None,
) -> int:
    """Account for the whole job that wrote LEDGER, or for all jobs of DIR."""
    if json == STDOUT and markdown == STDOUT:
        raise UsageError("only one of --json - and --markdown - can have stdout; name a file")
    fleet = accounted(ledger, report, capacity, None if windows is None else nanoseconds(windows))
    with report_stream(alone=STDOUT in {json, markdown}) as stream:
        return _publish(fleet, json, markdown, stream)


def _publish(fleet: Fleet, json: str | None, markdown: str | None, stream: TextIO) -> int:
    content = _content(fleet)
    forms = [
        (json, job_json(fleet.jobs, fleet.unread)),
        (markdown, content_markdown(content)),
    ]
    written = [
        write_file(Path(place), text)
        for place, text in forms
        if place not in {None, STDOUT} and place
    ]
    alone = [text for place, text in forms if place == STDOUT]
    text = content_text(content, width=line_width(), colour=coloured(stream))
    written.append(print_text(alone[0] if alone else text, stream))
    if not all(written):
        return NotMeasuredError.exit_code
    return UntrustworthyError.exit_code if any(job.errors for job in fleet.jobs) else 0


def _content(fleet: Fleet) -> Content:
    if len(fleet.jobs) == 1 and not fleet.is_directory:
        return job_content(fleet.jobs[0])
    return fleet_content(fleet.jobs, fleet.title, fleet.unread)
