"""The tables of a comparison, in words: variants by case, winners, means, Triton's resources."""

from __future__ import annotations

from collections.abc import Sequence

from goodput.renderers.tables import Column, Table, filled
from goodput.report.compared import CaseResult, Comparison, Interval, KernelResources, VariantRow
from goodput.report.compared_verdicts import FASTEST, SLOWER, TIE
from goodput.units import UNKNOWN, percent, seconds, si

_COMPARED = {FASTEST, TIE, SLOWER}


def tables_of(comparison: Comparison) -> tuple[Table, ...]:
    """All tables, in the order in which they are read; empty ones left out."""
    tables = (
        *(case_table(case, comparison) for case in comparison.cases if not comparison.compiled),
        winners_table(comparison),
        overall_table(comparison),
        resources_table(comparison),
    )
    return tuple(table for table in tables if table.rows)


def case_table(case: CaseResult, comparison: Comparison) -> Table:
    """One line a variant; what is not compared says why below."""
    rows = list(case.rows)
    columns = (
        Column("variant", tuple(row.variant for row in rows), least=12),
        Column("verdict", tuple(row.verdict for row in rows)),
        Column("time", tuple(_seconds(row.seconds) for row in rows), right=True),
        Column("interval", tuple(_seconds_range(row.seconds) for row in rows), spare=4),
        Column(f"vs {comparison.reference}", tuple(_ratio(row.ratio) for row in rows), right=True),
        Column("interval", tuple(_range(row.ratio) for row in rows), spare=1),
        Column("executed", tuple(_times(row.executed_ratio) for row in rows), right=True, spare=5),
        Column("capacity", tuple(_share(row.goodput) for row in rows), right=True),
        Column("roofline", tuple(_share(row.roofline) for row in rows), right=True, spare=2),
        Column("error", tuple(_error(row.error) for row in rows), right=True, spare=3),
        Column("first", tuple(_plain(row.first_seconds) for row in rows), right=True, spare=6),
        Column("tuning", tuple(_plain(row.tuning_seconds) for row in rows), right=True, spare=7),
        Column("memory", tuple(_bytes(row.peak_bytes) for row in rows), right=True, spare=7),
    )
    notes = (*_needs(case), *_held_back(case), *_memory(rows, comparison), *_reasons(rows))
    return Table(case.name, filled(columns), notes)


def _held_back(case: CaseResult) -> tuple[str, ...]:
    """On which other sizes all were checked, and what that took."""
    if case.held_back_seconds is None:
        return ()
    took = f"{seconds(case.held_back_seconds)} of all processes together"
    if not case.held_back:
        return (f"held-back sizes: none that the reference runs on ({took})",)
    return (f"held-back sizes: {'; '.join(case.held_back)} ({took})",)


def _memory(rows: Sequence[VariantRow], comparison: Comparison) -> tuple[str, ...]:
    """What the column of memory is, and who counted it."""
    if not any(row.peak_bytes is not None for row in rows):
        return ()
    by = (
        "the high-water mark of a process that is not timed"
        if comparison.device == "cpu"
        else "torch's allocator"
    )
    return (f"memory: at most in use during a call beyond what was before it, by {by}",)


def _needs(case: CaseResult) -> tuple[str, ...]:
    """What one call needs, of every variant."""
    parts = []
    if case.useful_flops:
        total = sum(case.useful_flops.values())
        modes = ", ".join(case.useful_flops)
        parts.append(f"{si(total, 'FLOP')} useful ({modes})")
    elif case.vector_flops:
        parts.append(f"{si(case.vector_flops, 'FLOP')} of vectors")
    if case.moved_bytes:
        parts.append(f"{si(case.moved_bytes, 'B')} of arguments and results")
    if case.ideal_seconds:
        parts.append(f"ideal {seconds(case.ideal_seconds)}, bound by {case.bound}")
    if case.native_error is not None:
        parts.append(f"the reference's own error {case.native_error:.1e}")
    return ("every call: " + "; ".join(parts),) if parts else ()


def _reasons(rows: list[VariantRow]) -> tuple[str, ...]:
    told = [f"{row.variant}: {row.reason}" for row in rows if row.reason]
    same = [row.variant for row in rows if row.same_operators and row.verdict in _COMPARED]
    if same:
        told.append(f"the same operators as the reference: {', '.join(same)}")
    unsteady = [row.variant for row in rows if row.deterministic is False]
    if unsteady:
        told.append(f"equal values gave different bits: {', '.join(unsteady)}")
    return tuple(told)


def winners_table(comparison: Comparison) -> Table:
    """The fastest of each case; no table for one case."""
    cases = [case for case in comparison.cases if case.winners]
    if len(cases) < 2:
        return Table("", (Column("", ()),))
    return Table(
        "Fastest by case",
        (
            Column("case", tuple(case.name for case in cases), least=16),
            Column("fastest", tuple(" = ".join(case.winners) for case in cases), least=16),
            Column("next", tuple(_next(case) for case in cases), least=16),
        ),
    )


def _next(case: CaseResult) -> str:
    slower = [
        (row.against_fastest.value, row.variant)
        for row in case.rows
        if row.verdict == SLOWER and row.against_fastest
    ]
    if not slower:
        return ""
    ratio, name = min(slower)
    return f"{name} at {ratio:.2f} of its time"


def overall_table(comparison: Comparison) -> Table:
    """The geometric mean of each variant over its cases, and what always taking it would cost."""
    overall = comparison.overall
    columns = (
        Column("variant", tuple(one.variant for one in overall), least=12),
        _right(f"vs {comparison.reference}", [_ratio(one.ratio) for one in overall]),
        Column("interval", tuple(_range(one.ratio) for one in overall)),
        _right("cases", [str(one.cases) for one in overall]),
        _right("regret", [percent(one.regret - 1) for one in overall]),
        _right("at worst", [percent(one.worst_regret - 1) for one in overall]),
    )
    note = "regret: time lost by always taking it instead of the fastest of each case"
    return Table("Over all cases", columns, (note,) if overall else ())


def resources_table(comparison: Comparison) -> Table:
    """What the Triton kernels of each variant take of a chip."""
    rows = [
        (case.name, row.variant, one)
        for case in comparison.cases
        for row in case.rows
        for one in row.resources
    ]
    found = [one for _, _, one in rows]
    configs = tuple(_config(one) for one in found)
    several = len({case for case, _, _ in rows}) > 1
    columns = (
        *([Column("case", tuple(case for case, _, _ in rows), least=12)] if several else []),
        Column("variant", tuple(name for _, name, _ in rows), least=12),
        Column("chip", tuple(one.architecture for one in found)),
        Column("kernel", tuple(one.kernel for one in found), least=12, spare=2),
        Column("configuration", configs, least=max(map(len, configs), default=0)),
        _right("registers", [str(one.registers) for one in found]),
        _right("spilled", [si(one.spilled_bytes, "B") for one in found]),
        _right("shared", [si(one.shared_bytes, "B") for one in found]),
        _right("matrix", [str(one.matrix_instructions) for one in found]),
        *(_bounds(found) if comparison.targets else ()),
    )
    told = _least_of(comparison) if comparison.targets else (_AS_LAUNCHED,)
    title = "Triton kernels" if several or not rows else f"Triton kernels, {rows[0][0]}"
    return Table(title, filled(columns), told if found else ())


_AS_LAUNCHED = (
    "as they were launched; what a tuner chose in the first process was given to all others"
)


_SAYS_NOTHING = {"num_ctas: 1", "maxnreg: None"}
"""What Triton writes of every configuration, though few set it."""


def _config(kernel: KernelResources) -> str:
    """The configuration, short enough for a table: JSON has it as Triton writes it."""
    parts = [part for part in kernel.config.split(", ") if part not in _SAYS_NOTHING]
    return " ".join(part.removeprefix("num_").replace(": ", "=") for part in parts)


def _bounds(found: Sequence[KernelResources]) -> tuple[Column, ...]:
    """What a launch needs of a chip that is not here."""
    return (
        _right("at least", [_bound(one) for one in found]),
        Column("by", tuple(one.bound or UNKNOWN for one in found), spare=1),
    )


def _bound(kernel: KernelResources) -> str:
    return seconds(kernel.least_seconds) if kernel.least_seconds else UNKNOWN


def _least_of(comparison: Comparison) -> tuple[str, ...]:
    """What each case needs of a chip: the roofline that the kernels are held against."""
    told = [
        f"{case.name}: every variant needs {seconds(one.least_seconds)} at least of "
        f"{one.chip} ({one.architecture}), bound by {one.bound}"
        for case in comparison.cases
        for one in case.predicted
    ]
    sheets = "at least: a bound from the datasheet for what one launch does; no time was measured"
    return (sheets, *told)


def _right(header: str, cells: list[str]) -> Column:
    return Column(header, tuple(cells), right=True)


def _seconds(interval: Interval | None) -> str:
    return seconds(interval.value) if interval else UNKNOWN


def _seconds_range(interval: Interval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"{seconds(interval.low)} to {seconds(interval.high)}"


def _ratio(interval: Interval | None) -> str:
    return f"{interval.value:.3f}" if interval else UNKNOWN


def _range(interval: Interval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"{interval.low:.3f} to {interval.high:.3f}"


def _times(ratio: float | None) -> str:
    return f"{ratio:.2f}x" if ratio is not None else ""


def _share(ratio: float | None) -> str:
    return percent(ratio) if ratio else ""


def _error(error: float | None) -> str:
    return f"{error:.1e}" if error is not None else ""


def _plain(value: float | None) -> str:
    return seconds(value) if value is not None else ""


def _bytes(value: int | None) -> str:
    return si(value, "B") if value is not None else ""
