"""What `Peaks` says of each unit and dtype, laid side by side. Words come elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from goodput.capacity.datasheet import Row, full_row_of
from goodput.capacity.measurement import OK, STATUSES, SUSTAINED, UNITS, Measurement, Peaks

ARITHMETIC = ("matmul", "convolution", "attention", "vector", "special")
"""Units whose rates are of arithmetic."""

_ONE_LEVEL = math.sqrt(2)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table of rates.

    Attributes:
        unit, subject: as in `Measurement`.
        promised: the datasheet's dense rate; None where there is none.
        ceiling: the rate at the highest clock; None where not known.
        burst, sustained: the best measurement of each regime; None where there is none.
    """

    unit: str
    subject: str
    promised: float | None
    ceiling: float | None
    burst: Measurement | None
    sustained: Measurement | None

    @property
    def best(self) -> Measurement | None:
        """What the figure rests on: burst, else sustained."""
        return self.burst or self.sustained

    @property
    def share(self) -> float | None:
        """The burst rate over the datasheet's; None where one is not known."""
        rate = rate_of(self.burst)
        return rate / self.promised if rate is not None and self.promised else None


def rate_of(measurement: Measurement | None) -> float | None:
    """The rate, where it is true; a figure that failed a check of its truth has none."""
    return measurement.rate if measurement is not None and measurement.valid else None


def best_of(measurements: Iterable[Measurement]) -> Measurement | None:
    """The highest valid one; without one, the first, which says why."""
    ordered = sorted(measurements, key=lambda one: -(one.rate or 0.0) if one.valid else math.inf)
    return ordered[0] if ordered else None


def figures_of(peaks: Peaks) -> tuple[Figure, ...]:
    """A figure for each unit of arithmetic and subject, units in the order of `UNITS`."""
    row = _row_of(peaks)
    keys = dict.fromkeys(
        (one.unit, one.subject) for one in peaks.measurements if one.unit in ARITHMETIC
    )
    ordered = sorted(keys, key=lambda key: UNITS.index(key[0]))
    return tuple(_figure(peaks, row, unit, subject) for unit, subject in ordered)


def _figure(peaks: Peaks, row: Row | None, unit: str, subject: str) -> Figure:
    own = [one for one in peaks.measurements if (one.unit, one.subject) == (unit, subject)]
    return Figure(
        unit,
        subject,
        _promised(peaks, row, unit, subject),
        _ceiling(peaks, row, unit, subject),
        best_of(one for one in own if one.regime != SUSTAINED),
        best_of(one for one in own if one.regime == SUSTAINED),
    )


def _row_of(peaks: Peaks) -> Row | None:
    """The full row, where the peaks were held against it."""
    row = full_row_of(peaks.device.name)
    sheet = peaks.capacity.datasheet
    return row if row is not None and sheet is not None and row.name == sheet.name else None


def _mode(subject: str) -> str:
    """The math mode of a subject, e.g. of `bfloat16 forward`."""
    return subject.split(" ", 1)[0]


def _promised(peaks: Peaks, row: Row | None, unit: str, subject: str) -> float | None:
    if unit == "vector":
        return row.vector_flops_per_s if row is not None and _mode(subject) == "float32" else None
    if unit == "special" or peaks.capacity.datasheet is None:
        return None
    return peaks.capacity.datasheet.flops_per_s.get(_mode(subject))


def _ceiling(peaks: Peaks, row: Row | None, unit: str, subject: str) -> float | None:
    if unit == "special":
        return row.special_per_s if row is not None else None
    return None if unit == "vector" else peaks.ceilings.get(_mode(subject))


def levels_of(measurements: Iterable[Measurement], most: int) -> tuple[tuple[int, int], ...]:
    """At most `most` footprints, each as the least and the largest bytes that count as it.

    Footprints within a factor of the square root of two are one level: an operator that touches
    two arrays never hits the same number of bytes as one that touches three.
    """
    levels: list[tuple[int, int]] = []
    for size in sorted({one.size for one in measurements}):
        if levels and size <= levels[-1][0] * _ONE_LEVEL:
            levels[-1] = (levels[-1][0], size)
        else:
            levels.append((size, size))
    if len(levels) <= most:
        return tuple(levels)
    # Evenly spread, with the first and the last: both ends of the curve matter most.
    places = {round(n * (len(levels) - 1) / (most - 1)) for n in range(most)}
    return tuple(levels[place] for place in sorted(places))


def worst_status(measurements: Iterable[Measurement]) -> str:
    """The status that is furthest from `ok`."""
    found = {one.status for one in measurements}
    ordered = sorted(found, key=lambda one: STATUSES.index(one) if one in STATUSES else 0)
    return ordered[-1] if ordered else OK
