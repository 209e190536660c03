"""`goodput compare`: variants of an operator against a reference, trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from goodput.commands.options import STDOUT
from goodput.commands.streams import report_stream
from goodput.errors import NotMeasuredError, UntrustworthyError, UsageError

if TYPE_CHECKING:
    from goodput.report.compared import Comparison

_LEVELS = ("fast", "standard", "audit")
_TIMEOUT_SECONDS = 120.0


@click.command(name="compare", short_help="Compare variants of an operator with a reference.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-k", "variants", multiple=True, metavar="WORD", help="Only variants with WORD in their name."
)
@click.option(
    "--case", "cases", multiple=True, metavar="K=V", help="Only cases with this parameter; repeat."
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Fresh processes a case; without it, as many as a proof needs, at least 9.",
)
@click.option(
    "--trust",
    type=click.Choice(_LEVELS),
    default="standard",
    show_default=True,
    help="Which checks run.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="CHIP",
    help="Compile the Triton kernels for a chip (sm_90, gfx942); time nothing, need none; repeat.",
)
@click.option(
    "--capacity",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Hold variants against the roofs in FILE, a capacity file or a recording.",
)
@click.option(
    "--no-capacity", is_flag=True, help="Measure no roofs: no shares of capacity, no limit."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=_TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="A process that says nothing for so long hangs.",
)
@click.option("--seed", type=int, metavar="N", help="Of all values and orders; else a new one.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw the roofline with every variant on it as SVG.",
)
@click.option("--json", metavar="FILE|-", help="Write everything as JSON; - is stdout, alone.")
def command(  # noqa: PLR0913  # one argument an option, as click passes them
    *,
    file: Path,
    variants: tuple[str, ...],
    cases: tuple[str, ...],
    processes: int | None,
    trust: str,
    targets: tuple[str, ...],
    capacity: Path | None,
    no_capacity: bool,
    timeout: float,
    seed: int | None,
    plot: Path | None,
    json: str | None,
) -> int:
    """Compare the variants that FILE declares, on its cases, with its reference.

    FILE declares them by @goodput.reference, @goodput.variant and goodput.cases. Status 5 where a
    variant is incorrect, suspect or invalid, 3 where nothing could be measured.
    """
    if no_capacity and capacity is not None:
        raise UsageError("--capacity and --no-capacity exclude each other; give one of them")
    if plot is not None and (no_capacity or targets):
        raise UsageError(
            "--plot draws measured times and roofs; leave out --target and --no-capacity"
        )
    parameters = dict(_pair(text) for text in cases)
    with report_stream(alone=json == STDOUT) as stream:
        # Imported here: they bring numpy, which --help has to do without.
        from goodput.commands.compared import Choice, comparisons, place_of
        from goodput.commands.progress import progress

        choice = Choice(
            variants=variants,
            parameters=parameters,
            processes=processes,
            trust=trust,
            targets=targets,
            capacity=capacity if capacity is not None else not no_capacity,
            timeout_seconds=timeout,
            seed=seed,
        )
        place = place_of(file)
        with progress() as show:
            found = comparisons(place, choice, show)
        return _publish(found, plot, json, stream)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--case {text}: write a parameter and its value, e.g. --case M=4096")
    return name, value


def _publish(
    found: Sequence[Comparison], plot: Path | None, json: str | None, stream: TextIO
) -> int:
    """Writes the comparisons wherever they are asked for; the exit status that they deserve."""
    from goodput.commands.output import coloured, line_width, print_text, write_file
    from goodput.renderers.compared_json import render_comparisons_json
    from goodput.renderers.compared_svg import render_compared_svg
    from goodput.renderers.compared_text import render_comparison

    as_json = render_comparisons_json(found) if json is not None else ""
    text = "\n".join(
        render_comparison(one, width=line_width(), colour=coloured(stream)) for one in found
    )
    written = [json in {None, STDOUT} or write_file(Path(str(json)), as_json)]
    written.append(print_text(as_json if json == STDOUT else text, stream))
    if plot is not None:
        written.append(write_file(plot, render_compared_svg(found)))
    if not all(written) or not any(one.measured or one.compiled for one in found):
        return NotMeasuredError.exit_code
    return UntrustworthyError.exit_code if any(one.untrustworthy for one in found) else 0
