"""`goodput peak`: measure the device, or look at what is known of devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import click

from goodput.capacity import datasheet, peaks_diff, peaks_file
from goodput.commands.options import STDOUT
from goodput.commands.output import coloured, line_width, print_text, write_file
from goodput.commands.streams import report_stream
from goodput.errors import NotMeasuredError, UsageError
from goodput.renderers.datasheet_table import datasheet_json, render_datasheet
from goodput.renderers.peaks_difference import render_difference

_LEVELS = ("quick", "standard", "full")
_USUAL = "standard"


def _levels(function: Callable[..., int]) -> Callable[..., int]:
    """Adds a flag for each level."""
    helps = {
        "quick": "Two dtypes, memory and launches, in about 20 s.",
        "standard": "Every usual dtype, attention, convolution, sustained rates, in about 90 s.",
        "full": "Everything, in about 5 minutes.",
    }
    for level in reversed(_LEVELS):
        function = click.option(f"--{level}", is_flag=True, help=helps[level])(function)
    return function


@click.command(name="peak", short_help="Measure what this device can really deliver.")
@_levels
@click.option("--dtype", "dtypes", multiple=True, metavar="D", help="Only this math mode; repeat.")
@click.option("--list", "listed", is_flag=True, help="List the datasheet; measure nothing.")
@click.option(
    "--diff",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="A B",
    help="Say what moved between two files of --json; measure nothing.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw the roofline as SVG.",
)
@click.option("--json", metavar="FILE|-", help="Write everything as JSON; - is stdout, alone.")
def command(
    *,
    quick: bool,
    standard: bool,
    full: bool,
    dtypes: tuple[str, ...],
    listed: bool,
    diff: tuple[Path, Path] | None,
    plot: Path | None,
    json: str | None,
) -> int:
    """Measure what this device can really deliver, by kernels that are checked, and keep it.

    The profile is kept in the cache, and every report on this machine uses it. --standard is
    what runs without a level.
    """
    chosen = [name for name, on in zip(_LEVELS, (quick, standard, full), strict=True) if on]
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} exclude each other; give one of them")
    if chosen and (listed or diff):
        raise UsageError(f"--{chosen[0]} measures, which --list and --diff do not; leave it out")
    if listed and diff:
        raise UsageError("--list and --diff exclude each other; give one of them")
    if plot is not None and (listed or diff):
        raise UsageError("--plot draws what is measured; leave out --list and --diff")
    if dtypes and diff:
        raise UsageError("--diff compares all that both files have; leave out --dtype")
    with report_stream(alone=json == STDOUT) as stream:
        if listed:
            return _listed(dtypes, json, stream)
        if diff is not None:
            return _compared(diff, json, stream)
        return _measured(chosen[0] if chosen else _USUAL, dtypes, plot, json, stream)


def _listed(dtypes: tuple[str, ...], json: str | None, stream: TextIO) -> int:
    rows = [row for row in datasheet.rows() if all(mode in row.flops_per_s for mode in dtypes)]
    if not rows:
        known = ", ".join(sorted({mode for row in datasheet.rows() for mode in row.flops_per_s}))
        asked = " and ".join(dtypes)
        raise UsageError(f"no device of the datasheet has {asked}; it knows {known}")
    text = render_datasheet(rows, dtypes, width=line_width(), colour=coloured(stream))
    return _publish(text, datasheet_json(rows), json, stream)


def _compared(files: tuple[Path, Path], json: str | None, stream: TextIO) -> int:
    a, b = map(peaks_file.load, files)
    found = peaks_diff.difference(a, b)
    text = render_difference(found, width=line_width(), colour=coloured(stream))
    return _publish(text, peaks_diff.to_json(found), json, stream)


def _measured(
    level: str, dtypes: tuple[str, ...], plot: Path | None, json: str | None, stream: TextIO
) -> int:
    # Imported here: they bring numpy, which --help has to do without.
    from goodput.calibration.peak import measure_peaks
    from goodput.calibration.plan import SECONDS
    from goodput.commands.progress import progress
    from goodput.renderers.peaks_text import render_peaks_text
    from goodput.renderers.roofline_svg import render_roofline_svg

    with progress(SECONDS[level]) as show:
        peaks = measure_peaks(level, dtypes, progress=show)
    text = render_peaks_text(peaks, width=line_width(), colour=coloured(stream))
    status = _publish(text, peaks_file.to_json(peaks), json, stream)
    if plot is not None and not write_file(plot, render_roofline_svg(peaks)):
        return NotMeasuredError.exit_code
    return NotMeasuredError.exit_code if peaks.partial else status


def _publish(text: str, as_json: str, json: str | None, stream: TextIO) -> int:
    """Writes the text to stdout and the JSON where it is asked for; the status."""
    written = [json in {None, STDOUT} or write_file(Path(str(json)), as_json)]
    written.append(print_text(as_json if json == STDOUT else text, stream))
    return 0 if all(written) else NotMeasuredError.exit_code
