"""What moved between two recordings: the step, the operators, the causes; as text and JSON."""

from __future__ import annotations

import msgspec

from goodput.renderers.operators import short_name
from goodput.renderers.tables import Column, Table
from goodput.renderers.terminal import WIDTH, Paint, painter, sentences, table_lines
from goodput.report.difference import Headline, Moved, RecordingDifference
from goodput.units import UNKNOWN, percent, seconds, si

SCHEMA = "goodput.difference/1"
_SHOWN = 15


def render_recording_difference(
    found: RecordingDifference, *, width: int = WIDTH, colour: bool = False
) -> str:
    """The difference in lines of at most `width` characters."""
    bold = painter(colour, bold=True)
    blocks = [
        bold(f"goodput diff: {found.titles[0]} and {found.titles[1]}"),
        table_lines(_step(found.headlines), width, bold),
        _moved(found.operators, width, bold),
        sentences("cause", (f"{c}: {told}" for c, told in found.causes), width, bold),
        sentences("note", found.notes, width, painter(colour, fg="yellow")),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def difference_json(found: RecordingDifference) -> str:
    """The difference as indented JSON, in base units."""
    encoded = msgspec.json.encode({"schema": SCHEMA, **msgspec.to_builtins(found)})
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def _step(headlines: tuple[Headline, ...]) -> Table:
    columns = (
        Column("figure", tuple(one.name for one in headlines)),
        Column("A", tuple(_figure(one.before, one.unit) for one in headlines), right=True),
        Column("B", tuple(_figure(one.after, one.unit) for one in headlines), right=True),
        Column("change", tuple(_change(one) for one in headlines), right=True),
        Column("band", tuple(seconds(one.band) if one.band else "" for one in headlines)),
    )
    note = "cost: step x capacity, what the device could have done meanwhile"
    return Table("The step", columns, (note,))


def _figure(value: float | None, unit: str) -> str:
    return percent(value) if unit == "%" else si(value, unit)


def _change(one: Headline) -> str:
    return UNKNOWN if one.change is None else f"{100 * one.change:+.1f} %"


def _moved(moved: tuple[Moved, ...], width: int, bold: Paint) -> str:
    """The table of operators; a sentence alone where none is in it."""
    if any(one.shown for one in moved):
        return table_lines(_operators(moved), width, bold)
    return "no operator moved by more than its steps differ"


def _operators(moved: tuple[Moved, ...]) -> Table:
    shown = [one for one in moved if one.shown][:_SHOWN]
    columns = (
        Column("operator", tuple(short_name(one.operator) for one in shown), least=16),
        Column("phase", tuple(one.phase for one in shown), spare=1),
        Column("dtype", tuple(one.dtype for one in shown), spare=2),
        _number("A", [seconds(one.before) for one in shown]),
        _number("B", [seconds(one.after) for one in shown]),
        _number("moved", [_signed(one.after - one.before) for one in shown]),
        _number("count", [_signed(one.term.count) for one in shown]),
        _number("work", [_signed(one.term.work) for one in shown]),
        _number("efficiency", [_signed(one.term.efficiency) for one in shown]),
        _number("band", [seconds(one.band) for one in shown]),
    )
    quiet = sum(not one.shown for one in moved)
    notes = ["count, work and efficiency sum to what moved; work is in ideal seconds of a call"]
    if quiet:
        notes.append(f"{quiet} operators moved by less than their steps differ, and are not listed")
    return Table("What moved, by operator", columns, tuple(notes))


def _signed(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{'+' if value > 0 else ''}{seconds(value)}"


def _number(header: str, cells: list[str]) -> Column:
    return Column(header, tuple(cells), right=True)
