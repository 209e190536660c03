"""The table of what a step would take at best on devices of the datasheet."""

from __future__ import annotations

from goodput.renderers.tables import Column, Table
from goodput.report.model import DeviceIdeal, Report
from goodput.units import percent, seconds, si

_NOTE = (
    "a what-if from counts and datasheet figures: a bound that no run can beat, not a forecast; "
    "useful: the useful FLOPs at the dense peak; ideal step: every operator at its own roof, one "
    "after the other, unfused"
)


def devices_table(report: Report) -> Table | None:
    """A row a device; None where no device was asked for."""
    rows = report.devices
    if not rows:
        return None
    columns = [
        Column("device", tuple(row.device for row in rows), least=16),
        _number("useful", [seconds(row.useful_seconds) for row in rows]),
        _number("ideal step", [seconds(row.ideal_seconds) for row in rows]),
        _number("goodput at most", [percent(_most(row)) for row in rows]),
    ]
    if any(row.tokens_per_s is not None for row in rows):
        rates = [si(row.tokens_per_s, "token/s") for row in rows]
        columns.append(_number("tokens at most", rates))
    return Table("What-if on devices of the datasheet: a bound", tuple(columns), (_NOTE,))


def _most(row: DeviceIdeal) -> float | None:
    if row.useful_seconds is None or not row.ideal_seconds:
        return None
    return row.useful_seconds / row.ideal_seconds


def _number(header: str, cells: list[str]) -> Column:
    return Column(header, tuple(cells), right=True)
