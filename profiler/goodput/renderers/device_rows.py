"""The table of what each of several devices did in a step."""

from __future__ import annotations

from goodput.renderers.tables import Column, Table
from goodput.report.model import Report
from goodput.units import percent, seconds, si

_PARTS = "parts of one CPU: each goodput is of the whole CPU, and they sum to the program's"


def device_rows_table(report: Report) -> Table | None:
    """A row a device; None where the profile is of one."""
    rows = report.device_rows
    if not rows:
        return None
    columns = (
        Column("device", tuple(row.device for row in rows)),
        _number("useful", [si(row.useful_flops, "FLOP") for row in rows]),
        _number("goodput", [percent(row.goodput) for row in rows]),
        _number("compute", [seconds(row.compute_seconds) for row in rows]),
        _number("communication", [seconds(row.communication_seconds) for row in rows]),
        _number("collectives", [si(row.collective_bytes, "B") for row in rows]),
        _number("copies", [seconds(row.copy_seconds) for row in rows]),
    )
    parts = report.device is not None and report.device.kind == "cpu"
    return Table("Devices, each with what it did in a step", columns, (_PARTS,) if parts else ())


def _number(header: str, cells: list[str]) -> Column:
    return Column(header, tuple(cells), right=True)
