"""A step that was counted and never profiled: its work by operator, without any seconds.

Pure. What needs an operator's time is None, and the ladder is not split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from goodput.report.bare import BareStep, communicates, no_work
from goodput.report.costs import Bound, Costs, group_of
from goodput.report.groups import ancestry, names_of, natural_key, view_columns
from goodput.report.model import NO_ROOF, RUNGS, Coverage, OperatorRow, UnmodelledOperator
from goodput.report.totals import modelled_calls_share
from goodput.trace.recording import COUNTED, Recording
from goodput.trace.table import (
    WORK_COLUMNS,
    Integers,
    Invocations,
    Kind,
    Link,
    Phase,
    Trace,
)
from goodput.work import Work

_PHASES = {phase.name.lower(): phase for phase in Phase}
_NO_WORK = Work()
_PER_CALL = (
    "useful_flops",
    "executed_flops",
    "useful",
    "recompute",
    "padding",
    "vector",
    "memory",
    "ideal",
    "at_shape",
)
"""The columns of `Costs` that are of one call."""
_TINY = float(np.finfo(np.float64).tiny)
_BOUNDS = tuple(bound.name.lower() for bound in Bound)
_SUMS = ("useful_flops", "executed_flops", "vector_flops", "special", "bytes")


def calls_of(recording: Recording) -> Integers:
    """How many calls each row of the counted step stands for."""
    return np.array([entry.calls for entry in recording.work.entries], dtype=np.int64)


def of_all_calls(trace: Trace, costs: Costs, calls: Integers) -> tuple[Trace, Costs]:
    """Rows of one call each, with their costs, as those of all the calls they stand for."""
    table = trace.invocations
    work = {column: getattr(table, column) * calls for column in WORK_COLUMNS}
    whole = {column: getattr(costs, column) * calls for column in _PER_CALL}
    return replace(trace, invocations=replace(table, **work)), replace(costs, **whole)


def counted(recording: Recording) -> Trace:
    """The counted step as a trace without steps: a row an entry, with the work of one call."""
    entries = recording.work.entries
    strings: dict[str, int] = {"": 0}
    names = {
        column: [strings.setdefault(getattr(entry, column), len(strings)) for entry in entries]
        for column in ("operator", "module", "shapes", "mode")
    }
    kinds = [
        Kind.COMMUNICATION if communicates(entry.operator) else Kind.COMPUTE for entry in entries
    ]
    work = {
        column: [getattr(entry.work or _NO_WORK, column) // entry.calls for entry in entries]
        for column in WORK_COLUMNS
    }
    table = Invocations.of(
        {
            **names,
            **work,
            "phase": [_PHASES.get(entry.phase, Phase.OTHER) for entry in entries],
            "kind": kinds,
            "link": [Link.NONE] * len(entries),
            "modelled": [entry.work is not None for entry in entries],
        }
    )
    return replace(recording.trace, steps=(), invocations=table, strings=tuple(strings))


def rows_by(trace: Trace, costs: Costs, calls: Integers, view: str) -> tuple[OperatorRow, ...]:
    """The rows of one view, most useful FLOPs first, then most bytes; those without work last.

    `calls` is how many calls each row of the trace stands for.

    Raises:
        UsageError: no such view.
    """
    keys = view_columns(view)
    groups, first = group_of(trace.invocations, *keys)
    rows = _rows(trace, costs, _Groups(groups, first, calls), keys)
    return tuple(sorted(rows, key=_rank))


def module_tree(trace: Trace, costs: Costs, calls: Integers) -> tuple[OperatorRow, ...]:
    """Every module with what ran inside it, itself and its submodules, in name order."""
    by_module = rows_by(trace, costs, calls, "module")
    if not any(row.module for row in by_module):
        return ()
    inside: dict[str, list[OperatorRow]] = {}
    for row in by_module:
        for path in ancestry(row.module):
            inside.setdefault(path, []).append(row)
    return tuple(_merged(path, inside[path]) for path in sorted(inside, key=natural_key))


def coverage(recording: Recording, trace: Trace, costs: Costs, calls: Integers) -> Coverage:
    """What is not known: every rung, every share of time, and the calls without a formula."""
    share = modelled_calls_share(trace, calls)
    return _coverage(recording, _unmodelled(trace, costs, calls), share)


def bare_coverage(recording: Recording, step: BareStep) -> Coverage:
    """The same of a step that is held against nothing."""
    return _coverage(recording, step.unmodelled, step.modelled_calls_share)


def _coverage(
    recording: Recording, unmodelled: tuple[UnmodelledOperator, ...], share: float | None
) -> Coverage:
    return Coverage(
        modelled_share=None,
        exactly_linked_share=None,
        edge_seconds=0.0,
        unmodelled=unmodelled,
        absent_rungs=RUNGS,
        profiler_slowdown=None,
        scale=1.0,
        preempted_seconds=0.0,
        steps_left_out=recording.steps_left_out,
        modelled_calls_share=share,
        untimed=_untimed(recording),
    )


def _untimed(recording: Recording) -> str:
    """Why no operator has a time, and what to type."""
    if recording.basis == COUNTED:
        return "nothing was run; goodput run measures times"
    if recording.count_only:
        return "only counts were asked for; run it without --count-only to get times"
    seen = "1 step was" if recording.steps_seen == 1 else f"{recording.steps_seen} steps were"
    return (
        f"{seen} seen and none was profiled; let the program run for more steps (about 30 are "
        "enough), or pass smaller --warmup and --steps"
    )


def _rank(row: OperatorRow) -> tuple[bool, float, float, str, str]:
    useful, moved = row.useful_flops, row.bytes
    return (useful is None, -(useful or 0.0), -(moved or 0.0), row.operator, row.shapes)


@dataclass(frozen=True, slots=True)
class _Groups:
    """The group of each row, a row of each group, and the calls that each row stands for."""

    of_row: Integers
    first: Integers
    calls: Integers


def _rows(trace: Trace, costs: Costs, grouped: _Groups, keys: tuple[str, ...]) -> list[OperatorRow]:
    table, groups, first = trace.invocations, grouped.of_row, grouped.first
    count = len(first)
    columns = (
        grouped.calls,
        table.modelled,
        np.isnan(costs.ideal) & table.modelled,
        np.where(np.isnan(costs.ideal), 0.0, costs.ideal),
        costs.useful_flops,
        costs.executed_flops,
        table.vector_flops,
        table.special,
        table.bytes_read + table.bytes_written,
    )
    # One call for all sums: a short table's time is that of starting numpy.
    totals = np.zeros((count, len(columns)))
    np.add.at(totals, groups, np.stack(columns, axis=1, dtype=np.float64))
    bounds = _bounds(grouped, costs).tolist()
    return [
        _row(
            names_of(trace, row, keys),
            dict(zip(_SUMS, sums, strict=True)) if modelled else dict.fromkeys(_SUMS),
            calls=calls,
            ideal=ideal if modelled and not roofless else None,
            bound=_BOUNDS[bound],
        )
        for row, bound, (calls, modelled, roofless, ideal, *sums) in zip(
            first.tolist(), bounds, totals.tolist(), strict=True
        )
    ]


def _row(
    names: Mapping[str, str],
    work: Mapping[str, float | None],
    *,
    calls: float,
    ideal: float | None,
    bound: str,
) -> OperatorRow:
    return OperatorRow(
        operator=names["operator"],
        phase=names["phase"],
        module=names["module"],
        dtype=names["dtype"],
        shapes=names["shapes"],
        kernel=names["kernel"],
        calls=calls,
        useful_flops=work["useful_flops"],
        executed_flops=work["executed_flops"],
        vector_flops=work["vector_flops"],
        special=work["special"],
        bytes=work["bytes"],
        device_seconds=None,
        ideal_seconds=ideal,
        lost_seconds=None,
        goodput=None,
        roofline_efficiency=None,
        bound=bound,
        link=Link.NONE.name.lower(),
    )


def _bounds(grouped: _Groups, costs: Costs) -> Integers:
    """The bound with most ideal seconds in each group; where none is known, that of most calls."""
    kinds, count = len(Bound), len(grouped.first)
    # The smallest number makes calls decide where nothing else does.
    weights = np.where(np.isnan(costs.ideal), 0.0, costs.ideal) + _TINY * grouped.calls
    heavy = np.bincount(
        grouped.of_row * kinds + costs.bound, weights=weights, minlength=count * kinds
    ).reshape(count, kinds)
    return heavy.argmax(axis=1) if count else np.zeros(0, dtype=np.int64)


def _merged(path: str, rows: list[OperatorRow]) -> OperatorRow:
    """The sums of `rows`, the calls without work left out as they are inside each row."""
    counted_rows = [row for row in rows if row.useful_flops is not None]
    ideals = [row.ideal_seconds for row in counted_rows]
    known = [ideal for ideal in ideals if ideal is not None]
    largest = max(rows, key=lambda row: (row.ideal_seconds or 0.0, row.calls))
    names = dict.fromkeys(("operator", "phase", "dtype", "shapes", "kernel"), "")
    work = {
        name: sum(getattr(row, name) for row in counted_rows) if counted_rows else None
        for name in _SUMS
    }
    return _row(
        {**names, "module": path},
        work,
        calls=sum(row.calls for row in rows),
        ideal=sum(known) if known and len(known) == len(ideals) else None,
        bound=largest.bound,
    )


def _unmodelled(trace: Trace, costs: Costs, calls: Integers) -> tuple[UnmodelledOperator, ...]:
    """Computing calls without work, or without a roof while others have one; most calls first."""
    table = trace.invocations
    blind = (table.kind == Kind.COMPUTE) & ~costs.known
    if not costs.known.any():
        # No roof is known at all, which the report says in a place of its own.
        blind &= ~table.modelled
    rows = np.nonzero(blind)[0]
    groups, first = group_of(table.select(rows), "operator", "modelled")
    found = [
        UnmodelledOperator(
            operator=(name := trace.strings[int(table.operator[rows[row]])]),
            seconds=None,
            reason=_reason(name, modelled=bool(table.modelled[rows[row]])),
            calls=float(called),
        )
        for row, called in zip(first, np.bincount(groups, calls[rows]), strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (-(one.calls or 0.0), one.operator)))


def _reason(operator: str, *, modelled: bool) -> str:
    return NO_ROOF if modelled else no_work(operator)
