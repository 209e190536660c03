"""The rows of the datasheet: what vendors promise, dense, by exact runtime name."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from goodput.capacity.datasheet import Row
from goodput.renderers.tables import Column, Table
from goodput.renderers.terminal import WIDTH, labelled, painter, table_lines
from goodput.units import si

SCHEMA = "goodput.datasheet/1"
_MODES = ("bfloat16", "float16", "float8_e4m3", "int8", "tf32", "float32", "float64")
_NO_SUCH = "-"


def render_datasheet(
    rows: Sequence[Row], modes: Sequence[str] = (), *, width: int = WIDTH, colour: bool = False
) -> str:
    """A line for each row and for each source, in lines of at most `width` characters.

    Args:
        rows: of the datasheet.
        modes: math modes to show; empty for the usual ones.
        width: characters of a line.
        colour: whether escape sequences may be used.
    """
    shown = tuple(modes) or _MODES
    sources = list(dict.fromkeys(row.source for row in rows))
    columns = (
        Column("device", tuple(row.name for row in rows), least=28),
        *(
            # Float64 goes first where a terminal is narrow: few programs have any.
            Column(mode, tuple(_rate(row, mode) for row in rows), right=True, spare=1 + place)
            for place, mode in enumerate(shown)
        ),
        Column("memory", tuple(si(row.bytes_per_s, "B/s") for row in rows), right=True),
        Column("source", tuple(f"[{sources.index(row.source) + 1}]" for row in rows), right=True),
        Column("runtime names", tuple(map(_names, rows)), least=20, spare=2 + len(shown)),
    )
    notes = (
        f"FLOP/s, dense, as the vendor promises them; {_NO_SUCH}: no such units, or not known",
        "a device is found by its exact runtime names only; --json - lists all, with the clocks",
    )
    title = f"{len(rows)} devices of the datasheet"
    table = table_lines(Table(title, columns, notes), width, painter(colour, bold=True))
    return f"{table}\n\n{_listed(sources, width)}\n"


def datasheet_json(rows: Sequence[Row]) -> str:
    """Every row with all it holds, in base units."""
    encoded = msgspec.json.encode({"schema": SCHEMA, "devices": msgspec.to_builtins(list(rows))})
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


def _rate(row: Row, mode: str) -> str:
    rate = row.flops_per_s.get(mode)
    return _NO_SUCH if rate is None else si(rate, "").strip()


def _names(row: Row) -> str:
    """The first runtime name, and how many there are besides."""
    first, *others = row.aliases or ("none known",)
    return f"{first} +{len(others)}" if others else first


def _listed(sources: Sequence[str], width: int) -> str:
    return labelled(((f"[{n}]", source) for n, source in enumerate(sources, 1)), width)
