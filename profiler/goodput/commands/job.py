"""`goodput job`: the three layers of whole runs, from the ledgers that they wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO

import click

from goodput.commands import what_if
from goodput.commands.accounted import Asked, Fleet, accounted, nanoseconds
from goodput.commands.options import STDOUT
from goodput.commands.output import coloured, line_width, print_text, write_file
from goodput.commands.streams import report_stream
from goodput.errors import NotMeasuredError, UntrustworthyError, UsageError
from goodput.ledger.importers.detect import SOURCES
from goodput.renderers.content import Content
from goodput.renderers.job import fleet_content, job_content
from goodput.renderers.job_json import job_json
from goodput.renderers.job_svg import PARTS, render_timeline_svg
from goodput.renderers.markdown import content_markdown
from goodput.renderers.openmetrics import openmetrics
from goodput.renderers.text import content_text
from goodput.renderers.vocabularies import VOCABULARIES, in_words_of

WHAT_IF = "what-if"


class Job(click.Command):
    """The command, and the one below it that needs no ledger."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Reads the arguments; after `what-if` they are that command's."""
        if args[:1] == [WHAT_IF]:
            name = f"{info_name} {WHAT_IF}"
            return what_if.command.make_context(name, args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(name="job", cls=Job, short_help="Account for a whole job, from its ledger.")
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
    help="Hold the step of --report, or the FLOPs that the steps tell, against the roofs in FILE.",
)
@click.option("--dtype", metavar="D", help="The math mode of the FLOPs that the steps tell.")
@click.option("--windows", metavar="TIME", help="Account for each stretch of TIME, too, e.g. 24h.")
@click.option(
    "--rolling",
    multiple=True,
    metavar="TIME",
    help="Account for the last TIME of the job, too; may be given again.",
)
@click.option(
    "--as",
    "vocabulary",
    type=click.Choice(VOCABULARIES),
    help="Say it in the words of Google's ML Productivity Goodput, or as ETTR.",
)
@click.option(
    "--from",
    "source",
    type=click.Choice(SOURCES),
    help="What LEDGER is of; without it, what its content shows.",
)
@click.option(
    "--pattern",
    metavar="REGEX",
    help="LEDGER is a log; REGEX finds a step: (?P<step>..), and (?P<seconds>..) or (?P<time>..).",
)
@click.option(
    "--price",
    type=click.FloatRange(min=0),
    metavar="P",
    help="What a device costs for an hour: what was lost costs, and each lost point.",
)
@click.option("--json", metavar="FILE|-", help="Write the account as JSON; - is stdout, alone.")
@click.option("--markdown", metavar="FILE|-", help="Write it as Markdown; - is stdout, alone.")
@click.option(
    "--openmetrics", "metrics", metavar="FILE", help="Write the figures as OpenMetrics text."
)
@click.option("--timeline", metavar="FILE", help="Draw the job's time as SVG.")
def command(  # noqa: PLR0913  # one argument an option, as click passes them
    *,
    ledger: tuple[Path, ...],
    report: Path | None,
    capacity: Path | None,
    dtype: str | None,
    windows: str | None,
    rolling: tuple[str, ...],
    vocabulary: str | None,
    source: str | None,
    pattern: str | None,
    price: float | None,
    json: str | None,
    markdown: str | None,
    metrics: str | None,
    timeline: str | None,
) -> int:
    """Account for the whole job that wrote LEDGER, or for all jobs of DIR.

    goodput job what-if says how often a job should save; see goodput job what-if --help.
    """
    if json == STDOUT and markdown == STDOUT:
        raise UsageError("only one of --json - and --markdown - can have stdout; name a file")
    asked = Asked(
        report=report,
        capacity=capacity,
        dtype=dtype,
        source=source,
        pattern=pattern,
        window_ns=None if windows is None else nanoseconds(windows),
        rolling_ns=tuple(map(nanoseconds, rolling)),
        parts=PARTS if timeline else 0,
    )
    fleet = accounted(ledger, asked)
    if timeline and len(fleet.jobs) > 1:
        raise UsageError(f"--timeline draws one job, and these are {len(fleet.jobs)}; name one")
    with report_stream(alone=STDOUT in {json, markdown}) as stream:
        content = _content(fleet, vocabulary, price)
        forms = {
            json: job_json(fleet.jobs, fleet.unread),
            markdown: content_markdown(content),
            metrics: openmetrics(fleet.jobs),
            timeline: render_timeline_svg(fleet.jobs[0]) if timeline else "",
        }
        return _publish(fleet, content, forms, stream)


def _publish(fleet: Fleet, content: Content, forms: dict[str | None, str], stream: TextIO) -> int:
    """Writes the forms where they were asked for, and says the rest on stdout."""
    written = [
        write_file(Path(place), text)
        for place, text in forms.items()
        if place not in {None, STDOUT} and place
    ]
    text = content_text(content, width=line_width(), colour=coloured(stream))
    written.append(print_text(forms.get(STDOUT, text), stream))
    if not all(written):
        return NotMeasuredError.exit_code
    return UntrustworthyError.exit_code if any(job.errors for job in fleet.jobs) else 0


def _content(fleet: Fleet, vocabulary: str | None, price: float | None) -> Content:
    if fleet.is_directory:
        if vocabulary is not None:
            raise UsageError("--as is for one job, and these are many; name one")
        return fleet_content(fleet.jobs, fleet.title, fleet.unread)
    if vocabulary is not None:
        return in_words_of(vocabulary, fleet.jobs[0])
    return job_content(fleet.jobs[0], price)
