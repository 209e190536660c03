"""What moved between two measurements of peaks, as a table and the possible reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from goodput.capacity.measurement import BURST
from goodput.capacity.peaks_diff import ONLY_A, ONLY_B, SAME, Change, Difference
from goodput.renderers.tables import Column, Table
from goodput.renderers.terminal import WIDTH, painter, sentences, table_lines, wrapped
from goodput.units import UNKNOWN, percent, seconds, si

_MANY = 8
"""More figures than that in one measurement only are counted, not listed: levels differ a lot."""


def render_difference(found: Difference, *, width: int = WIDTH, colour: bool = False) -> str:
    """The difference in lines of at most `width` characters; figures that agree are counted."""
    bold, faint = painter(colour, bold=True), painter(colour, fg="yellow")
    alone = {v: [c for c in found.changes if c.verdict == v] for v in (ONLY_A, ONLY_B)}
    many = {verdict: own for verdict, own in alone.items() if len(own) > _MANY}
    listed = [c for c in found.changes if c.verdict != SAME and c.verdict not in many]
    same = sum(change.verdict == SAME for change in found.changes)
    blocks = [
        bold(f"goodput peak: {found.device.name}"),
        "\n".join(
            f"{name}  measured {date[:16].replace('T', ' ')}"
            for name, date in zip("AB", found.measured_at, strict=True)
        ),
        table_lines(_table(listed), width, bold) if listed else "",
        "\n".join(wrapped(line, width) for line in _counted(many, same, len(found.changes))),
        sentences("note", _why(listed), width, faint),
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


def _counted(many: Mapping[str, Sequence[Change]], same: int, of: int) -> list[str]:
    """What the table does not list, in numbers."""
    lines = []
    for verdict, own in many.items():
        units = Counter(change.unit for change in own)
        told = ", ".join(f"{unit} {count}" for unit, count in units.items())
        lines.append(f"{len(own)} of {of} figures {verdict}: {told}")
    if same:
        which = f"all {of}" if same == of else f"{same} of {of}"
        lines.append(f"{which} figures agree within their scatter")
    return lines


def _what(change: Change) -> str:
    """The subject, with its size and its regime where it is not the usual one."""
    regime = change.regime if change.regime != BURST else ""
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
