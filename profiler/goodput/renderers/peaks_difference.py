"""What moved between two measurements of peaks, as a table and the possible reasons."""

from __future__ import annotations

from collections.abc import Iterable

from goodput.capacity.peaks_diff import SAME, Change, Difference
from goodput.renderers.tables import Column, Table
from goodput.renderers.terminal import WIDTH, painter, sentences, table_lines
from goodput.units import UNKNOWN, percent, seconds, si

_BURST = "burst"


def render_difference(found: Difference, *, width: int = WIDTH, colour: bool = False) -> str:
    """The difference in lines of at most `width` characters; figures that agree are counted."""
    bold, faint = painter(colour, bold=True), painter(colour, fg="yellow")
    moved = [change for change in found.changes if change.verdict != SAME]
    blocks = [
        bold(f"goodput peak: {found.device.name}"),
        "\n".join(
            f"{name}  measured {date[:16].replace('T', ' ')}"
            for name, date in zip("AB", found.measured_at, strict=True)
        ),
        table_lines(_table(moved), width, bold) if moved else "",
        _same(len(found.changes) - len(moved), len(found.changes)),
        sentences("note", _why(moved), width, faint),
        sentences("possible reason", found.reasons, width, faint),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _table(changes: Iterable[Change]) -> Table:
    rows = tuple(changes)
    columns = (
        Column("unit", tuple(change.unit for change in rows)),
        Column("what", tuple(map(_what, rows)), least=24),
        Column("A", tuple(_figure(change.a, change) for change in rows), right=True),
        Column("B", tuple(_figure(change.b, change) for change in rows), right=True),
        Column("change", tuple(map(_changed, rows)), right=True),
        Column("scatter", tuple(map(_scatter, rows)), right=True, spare=1),
    )
    notes = (
        "change: of the rate, so + is faster",
        "scatter: the change that the spread of both explains; less is not listed",
    )
    return Table("What moved from A to B", columns, notes)


def _same(count: int, of: int) -> str:
    if count == 0:
        return ""
    which = f"all {of} figures" if count == of else f"{count} of {of} figures"
    return f"{which} agree within their scatter"


def _what(change: Change) -> str:
    """The subject, with its size and its regime where it is not the usual one."""
    regime = change.regime if change.regime != _BURST else ""
    size = f"at {si(change.size, 'B')}" if change.size else ""
    return " ".join(word for word in (change.subject, regime, size) if word)


def _why(changes: Iterable[Change]) -> list[str]:
    """What differs in how figures were measured; what holds for several is said once."""
    names: dict[str, list[str]] = {}
    for change in changes:
        for reason in change.reasons:
            names.setdefault(reason, []).append(f"{change.unit} {_what(change)}")
    return [f"{', '.join(own)}: {reason}" for reason, own in names.items()]


def _figure(rate: float | None, change: Change) -> str:
    """The rate, as a duration where the table of peaks has one."""
    if change.unit == "latency":
        return seconds(1 / rate if rate else None)
    return si(rate, f"{change.quantity}/s")


def _scatter(change: Change) -> str:
    return UNKNOWN if change.ratio is None else percent(change.margin)


def _changed(change: Change) -> str:
    """How far the rate moved, or who alone has one."""
    return change.verdict if change.ratio is None else f"{100 * change.ratio:+.1f} %"
