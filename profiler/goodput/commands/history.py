"""`goodput history`: where the figures of recorded checks changed for good."""

from __future__ import annotations

from pathlib import Path

import click

from goodput.commands.streams import report_stream
from goodput.errors import NotComparableError, NotMeasuredError


@click.command(name="history", short_help="Say where recorded figures changed for good.")
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option("--case", default="", metavar="NAME", help="Only this case.")
@click.option("--metric", default="", metavar="NAME", help="Only this figure, e.g. cost.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw the series and their changes as SVG.",
)
@click.option("--json", metavar="FILE|-", help="Write changes and values as JSON; - is stdout.")
def command(
    *, file: Path | None, case: str, metric: str, plot: Path | None, json: str | None
) -> int:
    """Find lasting changes in the history that goodput check --record writes.

    FILE is a history; without it the one that the project declares. A change has to stay for four
    checks, and an outlier is none.
    """
    from goodput.commands.output import coloured, line_width, print_text, write_file
    from goodput.gates import declarations
    from goodput.gates.history import indexed
    from goodput.renderers.history_plot import render_history_svg
    from goodput.renderers.history_text import history_json, render_history
    from goodput.report.steps import all_steps

    path = file or declarations.found_from(Path.cwd()).history
    with report_stream(alone=json == "-") as stream:
        index = indexed(path)
        series = tuple(index.series(case, metric))
        if not series:
            of = " ".join(filter(None, (case, metric)))
            raise NotComparableError(
                f"the history {path} holds nothing{f' of {of}' if of else ''} yet; goodput check "
                "--record adds to it"
            )
        steps = all_steps(series)
        told = (f"{index.skipped} lines of {path} could not be read",) if index.skipped else ()
        written = [plot is None or write_file(plot, render_history_svg(series, steps))]
        as_json = history_json(series, steps)
        written.append(json in {None, "-"} or write_file(Path(str(json)), as_json))
        text = render_history(series, steps, told, width=line_width(), colour=coloured(stream))
        written.append(print_text(as_json if json == "-" else text, stream))
    return 0 if all(written) else NotMeasuredError.exit_code
