"""The roofs that a recording is held against, given or measured, and the report that follows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from goodput.calibration.roofs import Needs, capacity_of, remeasure
from goodput.calibration.shape_peaks import measure_shapes as at_shapes
from goodput.capacity.profile import Capacity
from goodput.commands.given import capacity_for
from goodput.commands.progress import progress
from goodput.commands.stored import datasheet_of
from goodput.commands.streams import tell
from goodput.errors import first_line
from goodput.formulas.conventions import EXACT
from goodput.report.build import build
from goodput.report.model import Report
from goodput.report.needs import (
    heaviest_problems,
    largest_contractions,
    largest_convolutions,
    modes_of,
)
from goodput.trace.recording import Recording


def judged(
    recording: Recording,
    given: Capacity | None = None,
    convention: str = EXACT,
    by: str = "operator",
    *,
    measure_shapes: bool = False,
) -> tuple[Capacity | None, Report]:
    """The roofs, and the report of `recording` against them.

    Args:
        recording: of a program that ran in this process.
        given: the roofs that the user gave; None measures those of the device, or spot-checks
            them where they are in the cache.
        convention: which FLOPs are useful.
        by: what the report's rows are grouped by.
        measure_shapes: measure what the program's own heaviest problems can reach as well.

    Raises:
        UsageError: `given` is of another device.
        NotMeasuredError: the recording holds nothing to report.
    """

    def against(capacity: Capacity | None) -> tuple[Capacity | None, Report]:
        return capacity, build(recording, capacity, convention, by)

    device = recording.trace.device
    if given is not None:
        return against(capacity_for(device, given))
    if device is None or recording.count_only or not recording.wall_seconds:
        return against(datasheet_of(device))  # nothing is measured where nothing was timed
    needs = Needs(
        modes_of(recording), largest_contractions(recording), largest_convolutions(recording)
    )
    with progress() as show:
        first = partial(capacity_of, device, needs, progress=show)
        measured = _roofs(first, datasheet_of(device))
        if measure_shapes and measured is not None:
            products, convolutions = heaviest_problems(recording)
            shapes = partial(at_shapes, measured, products, convolutions, progress=show)
            measured = _roofs(shapes, measured)
        capacity, report = against(measured)
        if report.errors and measured is not None:
            # Above the limit: a roof that was measured too low is the likeliest reason.
            again = partial(remeasure, measured, needs, progress=show)
            capacity, report = against(_roofs(again, measured))
    return capacity, report


def _roofs(measure: Callable[[], Capacity], otherwise: Capacity | None) -> Capacity | None:
    """What `measure` finds; `otherwise`, and a line, where the device cannot be measured."""
    try:
        return measure()
    except RuntimeError as error:  # a device without memory left, or in a bad state
        tell(f"the roofs of the device could not be measured ({first_line(error)})")
        return otherwise
