"""The rows of the datasheet: what vendors promise, dense, by exact runtime name."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from goodput.capacity.datasheet import Row
from goodput.renderers.tables import Column, Table
from goodput.renderers.terminal import WIDTH, painter, table_lines
from goodput.units import si

SCHEMA = "goodput.datasheet/1"
_MODES = ("bfloat16", "float16", "tf32", "float32", "float64", "float8_e4m3", "int8")


def render_datasheet(
    rows: Sequence[Row], modes: Sequence[str] = (), *, width: int = WIDTH, colour: bool = False
) -> str:
    """A line for each row, in lines of at most `width` characters.

    Args:
        rows: of the datasheet.
        modes: math modes to show; empty for the usual ones.
        width: characters of a line.
        colour: whether escape sequences may be used.
    """
    shown = tuple(modes) or _MODES
    columns = (
        Column("device", tuple(row.name for row in rows)),
        *(
            Column(
                mode,
                tuple(_rate(row.flops_per_s.get(mode)) for row in rows),
                right=True,
                spare=place,
            )
            for place, mode in enumerate(shown)
        ),
        Column("memory", tuple(si(row.bytes_per_s, "B/s") for row in rows), right=True),
        Column("units", tuple(str(row.units or "") for row in rows), right=True, spare=20),
        Column("names", tuple(str(len(row.aliases)) for row in rows), right=True, spare=21),
        Column("source", tuple(row.source for row in rows), least=20, spare=19),
    )
    note = (
        "FLOP/s, dense, as the vendor promises them. A device is found by one of its exact "
        "runtime names only; --json - lists those, the clocks and the sources"
    )
    title = f"{len(rows)} devices of the datasheet"
    return table_lines(Table(title, columns, (note,)), width, painter(colour, bold=True)) + "\n"


def datasheet_json(rows: Sequence[Row]) -> str:
    """Every row with all it holds, in base units."""
    encoded = msgspec.json.encode({"schema": SCHEMA, "devices": msgspec.to_builtins(list(rows))})
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


def _rate(rate: float | None) -> str:
    """A rate without its unit, `-` where the device lacks the mode or nobody says."""
    return "-" if rate is None else si(rate, "").strip()
