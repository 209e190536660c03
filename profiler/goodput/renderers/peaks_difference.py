"""What moved between two measurements of peaks, as a table and the possible reasons."""

from __future__ import annotations

from goodput.capacity.peaks_diff import SAME, Change, Difference
from goodput.renderers.tables import Column, Table, filled
from goodput.renderers.terminal import WIDTH, painter, sentences, table_lines
from goodput.units import UNKNOWN, percent, si


def render_difference(found: Difference, *, width: int = WIDTH, colour: bool = False) -> str:
    """The difference in lines of at most `width` characters."""
    bold = painter(colour, bold=True)
    moved = sum(change.verdict != SAME for change in found.changes)
    head = (
        f"goodput peak: {found.device.name}, A of {_when(found.measured_at[0])} and B of "
        f"{_when(found.measured_at[1])}: {moved} of {len(found.changes)} figures differ"
    )
    blocks = [
        bold(head),
        table_lines(_table(found.changes), width, bold),
        sentences("possible reason", found.reasons, width, painter(colour, fg="yellow")),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _table(changes: tuple[Change, ...]) -> Table:
    columns = (
        Column("unit", tuple(change.unit for change in changes)),
        Column("subject", tuple(change.subject for change in changes), least=16),
        Column("regime", tuple(change.regime for change in changes), spare=3),
        Column("size", tuple(_size(change) for change in changes), right=True, spare=2),
        Column("A", tuple(_rate(change.a, change) for change in changes), right=True),
        Column("B", tuple(_rate(change.b, change) for change in changes), right=True),
        Column("change", tuple(_signed(change.ratio) for change in changes), right=True),
        Column("scatter", tuple(percent(change.margin) for change in changes), right=True, spare=1),
        Column("verdict", tuple(change.verdict for change in changes)),
        Column("why", tuple("; ".join(change.reasons) for change in changes), least=16, spare=4),
    )
    note = "scatter: the change that the spread of both measurements explains"
    return Table("What moved from A to B", filled(columns), (note,))


def _size(change: Change) -> str:
    return si(change.size, "B") if change.size else ""


def _rate(rate: float | None, change: Change) -> str:
    return si(rate, f"{change.quantity}/s")


def _signed(ratio: float | None) -> str:
    return UNKNOWN if ratio is None else f"{100 * ratio:+.1f} %"


def _when(date: str) -> str:
    return date[:16].replace("T", " ")
