"""Joins the attribution pass with the work pass, and takes the profiler's cost off a CPU's times.

Pure: two recorded passes in, one trace out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from goodput.report.costs import group_of, median_by
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.trace.table import (
    WORK_COLUMNS,
    Floats,
    Integers,
    Invocations,
    Kind,
    Link,
    Phase,
    Trace,
)

# A trace records no element type for a list of tensors, so the counted call knows better.
_LIST = "tensors)"
# The percentile of steps that other processes left alone.
_QUIET = 10
_TRITON = "triton::"
"""Kernels that the program launches itself: in a trace they have their own names alone."""
_RECOMPUTE = Phase.RECOMPUTE.name.lower()
_PLACE_COLUMNS = ("phase", "module", "operator", "shapes", "link")

# Two counts of one operator that agree to this are the same: both are exact integers, but a step
# may differ from the next by a data-dependent row or two (a last partial batch, dropped tokens).
_AGREE = 1e-3


def join(
    trace: Trace, work: WorkPass, undisturbed: Sequence[float] = (), *, mixed: bool = False
) -> Trace:
    """`trace` with the counted work where the trace lacks it, and without the profiler's cost.

    Lists of more than 30 tensors are missing from a trace, and a mask's values always are: such
    calls take their work from the counted step, by order. Where both sides know a call's FLOPs and
    differ, a warning names the operator. On a CPU the profiler's cost for each event is taken off:
    what its steps are longer than the `undisturbed` ones (their seconds). In a program of `mixed`
    steps the counted one was of another shape than most, so that differences say nothing.
    """
    trace = _with_counted_work(_without_aborted(trace, work), work, compare=not mixed)
    if trace.device and trace.device.kind == "cpu":
        trace = _without_profiler_cost(trace, undisturbed)
    return trace


def _without_aborted(trace: Trace, work: WorkPass) -> Trace:
    """The trace without recomputed calls that a checkpoint's early stop aborted.

    A checkpoint that is not reentrant stops its recomputation at the last tensor that the backward
    pass needs, by an exception inside an operator. A CPU's trace holds that operator like any
    other, though nothing ran: of the recomputed calls of one shape in a step, those beyond the
    counted number are the shortest ones.
    """
    counted = Counter(
        (entry.operator, entry.shapes) for entry in work.entries if entry.phase == _RECOMPUTE
    )
    table = trace.invocations
    again = np.nonzero(table.phase == Phase.RECOMPUTE)[0]
    if not counted or not len(again):
        return trace
    groups: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for row in again[np.argsort(-table.device_seconds[again], kind="stable")].tolist():
        names = trace.strings[table.operator[row]], trace.strings[table.shapes[row]]
        groups[(*names, int(table.step[row]))].append(row)
    kept = np.ones(len(table), dtype=np.bool_)
    for (operator, shapes, _), rows in groups.items():
        kept[rows[counted[operator, shapes] :]] = False
    return replace(trace, invocations=table.select(kept))


def _with_counted_work(trace: Trace, work: WorkPass, *, compare: bool) -> Trace:
    counted = _counted(work.entries)
    columns = {
        name: getattr(trace.invocations, name).copy()
        for name in (*WORK_COLUMNS, "modelled", "mode", *_PLACE_COLUMNS)
    }
    strings = {text: index for index, text in enumerate(trace.strings)}
    warnings = list(trace.warnings)
    for operator, rows in _rows_of(trace, counted).items():
        entries = counted[operator]
        aligned = _aligned(trace, rows, entries)
        if aligned is None:
            if not trace.invocations.modelled[rows].all():
                warnings.append(
                    f"{operator} was called {len(entries)} times in the counted step and "
                    f"{len(rows) / max(len(trace.steps), 1):g} times a profiled step, so its "
                    "calls without shapes stay unmodelled"
                )
            continue
        disagreement = _disagreement(trace.invocations, rows, entries, aligned)
        if disagreement and compare:
            warnings.append(f"{operator}: {disagreement}")
        _take(columns, strings, rows, entries, aligned)
    table = replace(trace.invocations, **columns)
    return replace(trace, invocations=table, strings=tuple(strings), warnings=tuple(warnings))


def _counted(entries: Sequence[WorkEntry]) -> dict[str, list[WorkEntry]]:
    """The counted calls by what a trace calls them; kernels in Triton by both of their names."""
    found: dict[str, list[WorkEntry]] = defaultdict(list)
    for entry in entries:
        found[entry.kernel or entry.operator].append(entry)
        if entry.kernel and entry.operator.startswith(_TRITON):
            found[entry.operator].append(entry)
    return found


def _rows_of(trace: Trace, counted: Mapping[str, list[WorkEntry]]) -> dict[str, Integers]:
    """The rows of each name that was counted: of an operator, or of a kernel that is launched."""
    kernels = trace.invocations.kernel
    found: dict[str, list[Integers]] = defaultdict(list)
    for operator, rows in _rows_by_operator(trace).items():
        if operator in counted:
            found[operator].append(rows)
            continue
        for kernel in np.unique(kernels[rows]).tolist():
            name = f"{_TRITON}{trace.strings[kernel]}"
            if name in counted:
                found[name].append(rows[kernels[rows] == kernel])
    return {name: np.sort(np.concatenate(rows)) for name, rows in found.items()}


def _rows_by_operator(trace: Trace) -> dict[str, Integers]:
    """Rows of each operator name, in host order."""
    operators = trace.invocations.operator
    order = np.argsort(operators, kind="stable")
    names, starts = np.unique(operators[order], return_index=True)
    return {
        trace.strings[int(name)]: rows
        for name, rows in zip(names, np.split(order, starts[1:]), strict=True)
    }


def _aligned(trace: Trace, rows: Integers, entries: list[WorkEntry]) -> Integers | None:
    """The counted entry of each row by order in its step; None where a step has another number."""
    steps = trace.invocations.step[rows]
    if (np.bincount(steps, minlength=len(trace.steps)) != len(entries)).any():
        return None
    order = np.lexsort((rows, steps))
    position = np.empty(len(rows), dtype=np.int64)
    position[order] = np.tile(np.arange(len(entries)), len(trace.steps))
    return position


def _disagreement(
    table: Invocations, rows: Integers, entries: list[WorkEntry], aligned: Integers
) -> str:
    """A sentence where the trace's shapes and the counted step give different FLOPs.

    Dense FLOPs are compared: they do not depend on the mask, which only the counted step sees.
    """
    known = [entry.work for entry in entries]
    both = [
        i for i, row in enumerate(rows) if table.modelled[row] and known[aligned[i]] is not None
    ]
    recorded = sum(int(table.dense_flops[rows[i]]) for i in both)
    counted = sum(work.dense_flops for i in both if (work := known[aligned[i]]) is not None)
    if abs(recorded - counted) <= _AGREE * max(recorded, counted):
        return ""
    return f"the counted step says {counted} FLOP where the profiled shapes say {recorded}"


def _take(
    columns: dict[str, Integers],
    strings: dict[str, int],
    rows: Integers,
    entries: list[WorkEntry],
    aligned: Integers,
) -> None:
    """Writes the counted work over rows without any, and over rows whose shapes hide a mask."""
    for row, position in zip(rows.tolist(), aligned.tolist(), strict=True):
        entry = entries[position]
        alone = columns["link"][row] == Link.NONE and entry.operator.startswith(_TRITON)
        if entry.compiled or alone:
            _take_place(columns, strings, row, entry)
        if entry.work is None:
            continue
        blind = not columns["modelled"][row]
        masked = entry.work.dense_flops != entry.work.flops
        same = entry.work.dense_flops == columns["dense_flops"][row]
        listed = _LIST in entry.shapes
        if not blind and not listed and not (masked and same):
            continue
        for name in WORK_COLUMNS:
            columns[name][row] = getattr(entry.work, name)
        columns["modelled"][row] = True
        if blind and entry.mode:
            columns["mode"][row] = strings.setdefault(entry.mode, len(strings))


def _take_place(
    columns: dict[str, Integers], strings: dict[str, int], row: int, entry: WorkEntry
) -> None:
    """Writes what a trace does not tell of a kernel in compiled code: what it is, and of whom."""
    columns["phase"][row] = Phase[entry.phase.upper()]
    for name in ("module", "operator", "shapes"):
        text = getattr(entry, name)
        columns[name][row] = strings.setdefault(text, len(strings))
    if columns["link"][row] == Link.NONE:
        columns["link"][row] = Link.ORDER


def _without_profiler_cost(trace: Trace, undisturbed: Sequence[float]) -> Trace:
    """Takes `cost * (events inside + 1/2)` off each operator's recorded seconds.

    An operator pays for the events nested in it and for half of its own: the other half lies
    outside its span.
    """
    table = trace.invocations
    compute = np.nonzero(table.kind == Kind.COMPUTE)[0]
    paid = table.events[compute].astype(np.float64) + 0.5
    cost = min(_event_cost(trace, undisturbed), _cost_bound(table.select(compute), paid))
    if cost <= 0:
        return trace
    seconds = table.device_seconds.copy()
    seconds[compute] = np.maximum(seconds[compute] - cost * paid, 0.0)
    return replace(trace, invocations=replace(table, device_seconds=seconds))


def _event_cost(trace: Trace, undisturbed: Sequence[float]) -> float:
    """What a profiled step is longer than an undisturbed one, over the events of a step.

    Both at their 10th percentile: what other processes took from single steps is not the
    profiler's.
    """
    events = float(np.median([step.events for step in trace.steps] or [0]))
    if not events or not undisturbed:
        return 0.0
    profiled = np.percentile([step.wall_seconds for step in trace.steps], _QUIET)
    return max(float(profiled - np.percentile(undisturbed, _QUIET)), 0.0) / events


def _cost_bound(table: Invocations, paid: Floats) -> float:
    """The most that an event can have cost: no operator paid more than it took, by its median."""
    if not len(table):
        return 0.0
    groups, _ = group_of(table, "operator", "shapes", "mode", "phase")
    return float((median_by(groups, table.device_seconds) / paid).min())
