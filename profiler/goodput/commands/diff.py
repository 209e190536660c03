"""`goodput diff`: what moved between two recordings, operator by operator."""

from __future__ import annotations

from pathlib import Path

import click

from goodput.commands.streams import report_stream
from goodput.errors import NotMeasuredError


@click.command(name="diff", short_help="Say what moved between two recordings.")
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@click.option("--json", metavar="FILE|-", help="Write the difference as JSON; - is stdout, alone.")
def command(*, first: Path, second: Path, json: str | None) -> int:
    """Split the difference of the recordings A and B into calls, work and efficiency by operator.

    A and B are what goodput show reads. Nothing is run.
    """
    from goodput.commands.output import coloured, line_width, print_text, write_file
    from goodput.commands.stored import load
    from goodput.renderers.recording_difference import (
        difference_json,
        render_recording_difference,
    )
    from goodput.report.difference import difference

    with report_stream(alone=json == "-") as stream:
        a, b = load(first), load(second)
        found = difference((a.recording, a.capacity), (b.recording, b.capacity))
        if json == "-":
            return 0 if print_text(difference_json(found), stream) else NotMeasuredError.exit_code
        written = json is None or write_file(Path(json), difference_json(found))
        text = render_recording_difference(found, width=line_width(), colour=coloured(stream))
        printed = print_text(text, stream)
    return 0 if written and printed else NotMeasuredError.exit_code
