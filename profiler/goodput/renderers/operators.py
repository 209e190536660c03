"""The operators, or whatever the report was grouped by, as ranked: by lost seconds or by work."""

from __future__ import annotations

from goodput.renderers.ratios import BROKEN, FASTER, TOO_SHORT, efficiency, ratio
from goodput.renderers.tables import Column, Table, filled
from goodput.report.model import OperatorRow, Report
from goodput.units import percent, seconds, si

SHOWN = 15
"""Rows of the table; the rest is counted below it."""

_NAMES = ("operator", "phase", "module", "shapes", "dtype", "kernel")


def operators_table(report: Report, shown: int = SHOWN) -> Table:
    """The `shown` rows that lose most seconds of a step; without times, that need most FLOPs."""
    rows, left = report.operators[:shown], report.operators[shown:]
    names = filled(_name_columns(rows))
    if report.coverage.untimed:
        columns = (*names, *_work_columns(rows, report))
        return Table("What a step needs, by useful FLOPs", columns, _work_notes(left, report))
    columns = (*names, *filled(_number_columns(rows, whole_seconds(report))))
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
    return (
        _number("calls", [f"{row.calls:.4g}" for row in rows], spare=1),
        _number("time", [seconds(row.device_seconds) for row in rows]),
        _number("share", [share_of(row.device_seconds, whole) for row in rows]),
        _number("goodput", [ratio(row.goodput) for row in rows]),
        _number("roofline", [efficiency(row.roofline_efficiency, row.bound) for row in rows]),
        _number("at shape", [_at_shape(row) for row in rows], spare=2),
        Column("bound", tuple(row.bound for row in rows), spare=3),
        _number("lost", [seconds(row.lost_seconds) for row in rows]),
    )


def _at_shape(row: OperatorRow) -> str:
    """How much of what its own shape allows; "" where that was not measured."""
    if row.shape_seconds is None or not row.device_seconds:
        return ""
    return efficiency(row.shape_seconds / row.device_seconds, row.bound)


def _work_columns(rows: tuple[OperatorRow, ...], report: Report) -> tuple[Column, ...]:
    whole = report.totals.useful_flops
    columns = (
        _number("calls", [f"{row.calls:.4g}" for row in rows]),
        _number("useful", [si(row.useful_flops, "FLOP") for row in rows]),
        _number("share", [share_of(row.useful_flops, whole) for row in rows]),
        _number("vector", [si(row.vector_flops, "FLOP") for row in rows], spare=1),
        _number("bytes", [si(row.bytes, "B") for row in rows]),
    )
    if report.capacity is None:
        return columns
    ideal = _number("ideal", [seconds(row.ideal_seconds) for row in rows])
    return (*columns, ideal, Column("bound", tuple(row.bound for row in rows), spare=3))


def _number(header: str, cells: list[str], spare: int = 0) -> Column:
    return Column(header, tuple(cells), right=True, spare=spare)


def short_name(operator: str) -> str:
    """An operator without the namespace that nearly all of its framework share."""
    return operator.removeprefix("aten::").removeprefix("lax::")


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
    return max(report.step.median or 0.0, _time(report.operators))


def _time(rows: tuple[OperatorRow, ...]) -> float:
    return sum(row.device_seconds or 0.0 for row in rows)


def share_of(part: float | None, whole: float | None) -> str:
    """`part` as a percentage of `whole`; `n/a` of nothing."""
    return percent(part / whole if part is not None and whole else None)


def _work_notes(left: tuple[OperatorRow, ...], report: Report) -> tuple[str, ...]:
    if not left:
        return ()
    useful = sum(row.useful_flops or 0.0 for row in left)
    share = share_of(useful, report.totals.useful_flops)
    note = f"… {len(left)} more with {si(useful, 'FLOP')} ({share}); all of them with --json"
    return (note,)


def _notes(
    columns: tuple[Column, ...], left: tuple[OperatorRow, ...], report: Report
) -> tuple[str, ...]:
    notes = []
    if left:
        time = _time(left)
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
