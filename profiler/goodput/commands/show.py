"""`goodput show`: the report of a file, made again without the program and without a framework."""

from __future__ import annotations

from pathlib import Path

import click

from goodput.commands.options import ReportOptions, report_options
from goodput.commands.output import publish
from goodput.commands.stored import load
from goodput.commands.streams import report_stream


@click.command(name="show", short_help="Report on a recording or a torch.profiler trace.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@report_options
def command(
    *,
    file: Path,
    by: str,
    convention: str,
    capacity: Path | None,
    json: str | None,
    markdown: str | None,
) -> int:
    """Report on FILE: a recording, a torch.profiler trace.json[.gz], or a JAX profile.

    A trace is held against the datasheet row of its device, by exact name, unless --capacity
    gives measured roofs.
    """
    options = ReportOptions(by, convention, capacity, json, markdown)
    report = load(file).report(convention, capacity, by)
    with report_stream(alone=options.alone_on_stdout) as stream:
        return publish(report, options, stream)
