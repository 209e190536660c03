"""The operators, or whatever the report was grouped by, ranked by lost seconds."""

from __future__ import annotations

from goodput.renderers.ratios import BROKEN, FASTER, TOO_SHORT, efficiency, ratio
from goodput.renderers.tables import Column, Table, filled
from goodput.report.model import OperatorRow, Report
from goodput.units import percent, seconds

SHOWN = 15
"""Rows of the table; the rest is counted below it."""

_NAMES = ("operator", "phase", "module", "shapes", "dtype", "kernel")


def operators_table(report: Report, shown: int = SHOWN) -> Table:
    """The `shown` rows that lose most seconds of a step."""
    rows, left = report.operators[:shown], report.operators[shown:]
    columns = (*filled(_name_columns(rows)), *_number_columns(rows, whole_seconds(report)))
    return Table("Where to work next, by lost seconds", columns, _notes(columns, left, report))


def _name_columns(rows: tuple[OperatorRow, ...]) -> tuple[Column, ...]:
    grouped_by_module = any(row.module for row in rows)
    modules = tuple(row.module or "(root)" if grouped_by_module else "" for row in rows)
    return (
        Column("operator", tuple(short_name(row.operator) for row in rows), least=16),
        Column("phase", tuple(row.phase for row in rows)),
        Column("module", modules, least=20),
        Column("kernel", tuple(row.kernel for row in rows), least=20),
        Column("shapes", tuple(short_shapes(row.shapes) for row in rows), least=20, spare=2),
        Column("dtype", tuple(row.dtype for row in rows), spare=4),
    )


def _number_columns(rows: tuple[OperatorRow, ...], whole: float) -> tuple[Column, ...]:
    def column(header: str, cells: list[str], spare: int = 0) -> Column:
        return Column(header, tuple(cells), right=True, spare=spare)

    return (
        column("calls", [f"{row.calls:.4g}" for row in rows], spare=1),
        column("time", [seconds(row.device_seconds) for row in rows]),
        column("share", [share_of(row.device_seconds, whole) for row in rows]),
        column("goodput", [ratio(row.goodput) for row in rows]),
        column("roofline", [efficiency(row.roofline_efficiency, row.bound) for row in rows]),
        Column("bound", tuple(row.bound for row in rows), spare=3),
        column("lost", [seconds(row.lost_seconds) for row in rows]),
    )


def short_name(operator: str) -> str:
    """An operator without torch's own namespace, which nearly all of them share."""
    return operator.removeprefix("aten::")


def short_shapes(shapes: str) -> str:
    """Shapes with a dtype said once: `f32[8,64] f32[64,64]` -> `f32[8,64] [64,64]`."""
    words, last = [], ""
    for word in shapes.split(" "):
        dtype, bracket, sizes = word.partition("[")
        words.append(bracket + sizes if bracket and dtype == last else word)
        last = dtype if bracket else ""
    return " ".join(words)


def whole_seconds(report: Report) -> float:
    """What shares are of: the step; where profiled operators took longer than it, all of them."""
    return max(report.step.median, sum(row.device_seconds for row in report.operators))


def share_of(part: float, whole: float) -> str:
    """`part` as a percentage of `whole`; `n/a` of nothing."""
    return percent(part / whole if whole else None)


def _notes(
    columns: tuple[Column, ...], left: tuple[OperatorRow, ...], report: Report
) -> tuple[str, ...]:
    notes = []
    if left:
        time = sum(row.device_seconds for row in left)
        notes.append(
            f"… {len(left)} more with {seconds(time)} "
            f"({share_of(time, whole_seconds(report))} of the step); all of them with --json"
        )
    cells = {cell for column in columns for cell in column.cells}
    if FASTER in cells:
        notes.append(f"{FASTER}: a cache served it, or its roof was measured too low")
    if BROKEN in cells and not report.errors:
        notes.append(TOO_SHORT)
    return tuple(notes)
