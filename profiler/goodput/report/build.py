"""A recording and a capacity make a report: pure, and the same for live and foreign traces."""

from __future__ import annotations

import statistics

import numpy as np

import goodput.formulas.aten  # noqa: F401 - registers the formulas that reasons speak of
from goodput.capacity.profile import Capacity, Peak
from goodput.errors import NotMeasuredError
from goodput.formulas.registry import has_formula
from goodput.report import limits
from goodput.report.costs import Bound, Costs, costs_of, group_of
from goodput.report.groups import module_tree, rows_by
from goodput.report.ladder import absent_rungs, ladder
from goodput.report.model import (
    Coverage,
    Report,
    StepSummary,
    Totals,
    UnmodelledOperator,
)
from goodput.trace.recording import Recording
from goodput.trace.table import Invocations, Kind, Link, Trace

SKEWED = 1.03
"""A mean this many medians long is told: some steps were much slower than the others."""


def build(
    recording: Recording,
    capacity: Capacity | None,
    convention: str = "exact",
    by: str = "operator",
) -> Report:
    """The report of `recording` against `capacity` (None: no ratios, and a sentence says why).

    Raises:
        NotMeasuredError: the recording holds no whole step.
        UsageError: there is no such view, or no such convention.
    """
    trace = recording.trace
    if not recording.wall_seconds or not trace.steps:
        raise NotMeasuredError(
            f"no whole step was measured in {recording.program or 'this recording'}: let it run "
            "for more steps, or mark them with goodput.record() and .step()"
        )
    steps = len(trace.steps)
    costs = costs_of(trace, capacity, convention)
    wall = statistics.median(recording.wall_seconds)
    split = ladder(
        costs,
        trace.invocations.kind,
        wall,
        steps=steps,
        host_share=_host_share(trace, costs),
        floor_seconds=capacity.floor_seconds if capacity else 0.0,
        absent=absent_rungs(
            costs,
            has_capacity=capacity is not None,
            floor_seconds=capacity.floor_seconds if capacity else 0.0,
        ),
    )
    totals = _totals(recording, costs, capacity, wall)
    above = limits.suspects(trace, costs)
    return Report(
        device=trace.device,
        environment={**trace.environment, **recording.environment},
        convention=convention,
        capacity=capacity,
        step=_step(recording),
        totals=totals,
        ladder=split.rungs,
        operators=rows_by(trace, costs, by, steps),
        modules=module_tree(trace, costs, steps),
        coverage=_coverage(recording, costs, wall, split.absent, split.scale),
        title=recording.program,
        warnings=_warnings(recording, capacity, split.scale)
        + tuple(suspect.sentence() for suspect in above if suspect.exempt),
        errors=limits.headline_error(totals.program_goodput, capacity)
        + tuple(suspect.sentence() for suspect in above if not suspect.exempt),
    )


def _step(recording: Recording) -> StepSummary:
    walls = np.asarray(recording.wall_seconds)
    return StepSummary(
        count=len(walls),
        basis=recording.basis,
        median=float(np.median(walls)),
        p05=float(np.percentile(walls, 5)),
        p95=float(np.percentile(walls, 95)),
        mean=float(walls.mean()),
    )


def _host_share(trace: Trace, costs: Costs) -> float:
    """The part of the gaps in which the device waited for the host; preempted time is idle."""
    host = sum(step.host_gap_seconds for step in trace.steps)
    idle = sum(step.idle_gap_seconds for step in trace.steps) + float(costs.preempted.sum())
    return host / (host + idle) if host + idle > 0 else 0.0


def _totals(recording: Recording, costs: Costs, capacity: Capacity | None, wall: float) -> Totals:
    trace, steps = recording.trace, len(recording.trace.steps)
    table = trace.invocations
    by_mode = _by_mode(trace, costs, steps)
    useful_flops = float(costs.useful_flops.sum()) / steps
    executed_by_mode = _by_mode(trace, costs, steps, executed=True)
    known = costs.known
    useful_seconds = float(costs.useful[known].sum()) / steps if known.any() else None
    ideal = float(costs.ideal[known].sum()) / steps if known.any() else None
    modelled_seconds = float(costs.seconds[known].sum()) / steps
    datasheet = capacity.datasheet.flops_per_s if capacity and capacity.datasheet else {}
    return Totals(
        useful_flops=useful_flops,
        useful_flops_by_mode=by_mode,
        executed_flops=float(costs.executed_flops.sum()) / steps,
        vector_flops=float(table.vector_flops.sum()) / steps,
        special=float(table.special.sum()) / steps,
        bytes=float((table.bytes_read + table.bytes_written).sum()) / steps,
        useful_seconds=useful_seconds,
        ideal_seconds=ideal,
        program_goodput=useful_seconds / wall if useful_seconds is not None else None,
        program_goodput_sustained=_over(by_mode, _rates(capacity), wall),
        roofline_efficiency=(
            ideal / modelled_seconds if ideal is not None and modelled_seconds else None
        ),
        mfu=_over(by_mode, datasheet, wall),
        hfu=_over(executed_by_mode, datasheet, wall),
        useful_flops_per_s=useful_flops / wall,
        tokens_per_s=recording.tokens_per_step / wall if recording.tokens_per_step else None,
    )


def _by_mode(trace: Trace, costs: Costs, steps: int, *, executed: bool = False) -> dict[str, float]:
    flops = costs.executed_flops if executed else costs.useful_flops
    sums = np.bincount(trace.invocations.mode, weights=flops, minlength=len(trace.strings)) / steps
    return {trace.strings[int(mode)]: float(sums[mode]) for mode in np.nonzero(sums)[0]}


def _rates(capacity: Capacity | None) -> dict[str, float]:
    peaks: dict[str, Peak] = capacity.sustained_flops_per_s if capacity else {}
    return {mode: peak.rate for mode, peak in peaks.items()}


def _over(flops_by_mode: dict[str, float], rates: dict[str, float], wall: float) -> float | None:
    """Time over time, so that mixed precision is well defined; None where any mode has no rate."""
    if not flops_by_mode or any(mode not in rates for mode in flops_by_mode):
        return None
    return sum(flops / rates[mode] for mode, flops in flops_by_mode.items()) / wall


def _coverage(
    recording: Recording, costs: Costs, wall: float, absent: tuple[str, ...], scale: float
) -> Coverage:
    trace, table = recording.trace, recording.trace.invocations
    whole = float(costs.seconds.sum())
    steps = len(trace.steps)
    profiled = statistics.fmean(step.wall_seconds for step in trace.steps)
    exact = float(costs.seconds[table.link == Link.EXACT].sum())
    return Coverage(
        modelled_share=float(costs.seconds[costs.known].sum()) / whole if whole else None,
        exactly_linked_share=exact / whole if whole else None,
        edge_seconds=trace.edge_seconds,
        unmodelled=_unmodelled(trace, costs, steps),
        absent_rungs=absent,
        profiler_slowdown=None if recording.basis == "trace" else profiled / wall,
        scale=scale,
        preempted_seconds=float(costs.preempted.sum()) / steps,
        steps_left_out=recording.steps_left_out,
        unlinked_launches=trace.unlinked_launches,
    )


def _unmodelled(trace: Trace, costs: Costs, steps: int) -> tuple[UnmodelledOperator, ...]:
    """Operators without ideal seconds, most time first, each with the reason."""
    rows = np.nonzero((costs.bound == Bound.UNMODELLED) & (trace.invocations.kind == Kind.COMPUTE))
    table, seconds = trace.invocations.select(rows[0]), costs.seconds[rows[0]]
    groups, first = group_of(table, "operator", "modelled", "link")
    totals: dict[tuple[str, str], float] = {}
    for row, time in zip(first, np.bincount(groups, weights=seconds), strict=True):
        key = (trace.strings[int(table.operator[row])], _reason(trace, table, int(row)))
        totals[key] = totals.get(key, 0.0) + float(time) / steps
    ranked = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    return tuple(UnmodelledOperator(name, time, reason) for (name, reason), time in ranked)


def _reason(trace: Trace, table: Invocations, row: int) -> str:
    if table.modelled[row]:
        return "no roof for its mode"
    if table.link[row] == Link.NONE:
        return "no operator launched it in the trace"
    # The formula exists and still says nothing: the trace lacks what it would count.
    known = has_formula(trace.strings[int(table.operator[row])])
    return "its shapes were not recorded" if known else "no formula"


def _warnings(recording: Recording, capacity: Capacity | None, scale: float) -> tuple[str, ...]:
    found = list(recording.warnings) + list(recording.trace.warnings)
    walls = recording.wall_seconds
    ratio = statistics.fmean(walls) / statistics.median(walls)
    if ratio > SKEWED:
        found.append(f"the mean step is {ratio:.2f} times the median: some steps were much slower")
    if recording.basis == "trace":
        found.append(
            "the step times were recorded under a profiler, which slows the host: a host-bound "
            "model's real step is shorter"
        )
    if capacity is None:
        name = recording.trace.device.name if recording.trace.device else ""
        found.append(
            f"no capacity is known for {name or 'this device'}, so there are no ratios: give one "
            "with --capacity FILE"
        )
    else:
        found += capacity.warnings
    if scale != 1.0:
        found.append(
            f"operators took longer under the profiler than the undisturbed step: every rung but "
            f"`useful` is scaled by {scale:.3f}"
        )
    return tuple(dict.fromkeys(found))
