"""A recording and a capacity make a report: pure, and the same for live and foreign traces."""

from __future__ import annotations

import statistics
from collections import defaultdict

import numpy as np

import goodput.formulas.aten
import goodput.formulas.lax  # noqa: F401 - they register the formulas that reasons speak of
from goodput.capacity.profile import Capacity
from goodput.errors import NotMeasuredError
from goodput.formulas.conventions import EXACT
from goodput.formulas.registry import has_formula, is_unseen
from goodput.report import counts, limits
from goodput.report.bare import BareStep
from goodput.report.beyond import beyond
from goodput.report.costs import Bound, Costs, costs_of, group_of
from goodput.report.device_rows import device_rows
from goodput.report.groups import module_tree, rows_by, view_columns
from goodput.report.ladder import absent_rungs, ladder
from goodput.report.model import (
    NO_ROOF,
    Beyond,
    CountedReport,
    Coverage,
    Report,
    UnmodelledOperator,
)
from goodput.report.needs import shape_rates
from goodput.report.stated import stated
from goodput.report.totals import modelled_calls_share, step_of, totals_of, untimed
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
    if recording.trace.steps and recording.wall_seconds:
        return _timed(recording, capacity, convention, by)
    if recording.work.entries or recording.wall_seconds:
        return _counted(recording, capacity, convention, by)
    raise NotMeasuredError(
        f"no whole step was measured in {recording.program or 'this recording'}: let it run "
        "for more steps, or mark them with goodput.record() and .step()"
    )


def _timed(recording: Recording, capacity: Capacity | None, convention: str, by: str) -> Report:
    """The whole report, of a recording with profiled steps."""
    trace = recording.trace
    steps = len(trace.steps)
    costs = costs_of(trace, capacity, convention, shape_rates(recording, capacity))
    wall = recording.step_seconds
    assert wall is not None  # noqa: S101 - the caller saw undisturbed steps
    floor = capacity.floor_seconds if capacity else 0.0
    split = ladder(
        costs,
        trace.invocations.kind,
        wall,
        steps=steps,
        host_share=_host_share(trace, costs),
        floor_seconds=floor,
        absent=absent_rungs(costs, has_capacity=capacity is not None, floor_seconds=floor),
    )
    totals = totals_of(trace, costs, capacity, wall, recording.tokens_per_step)
    above = limits.suspects(trace, costs)
    return Report(
        device=trace.device,
        environment={**trace.environment, **recording.environment},
        convention=convention,
        capacity=capacity,
        step=step_of(recording),
        totals=totals,
        ladder=split.rungs,
        operators=rows_by(trace, costs, by, steps),
        modules=module_tree(trace, costs, steps),
        coverage=_coverage(recording, costs, wall, split.absent, split.scale),
        title=recording.program,
        beyond=_beyond(recording, convention),
        stated=stated(recording.work.entries),
        device_rows=device_rows(trace.shares, capacity, wall),
        warnings=_warnings(recording, capacity, split.scale)
        + tuple(suspect.sentence() for suspect in above if suspect.exempt),
        errors=limits.headline_error(totals.program_goodput, capacity)
        + tuple(suspect.sentence() for suspect in above if not suspect.exempt),
    )


def _counted(recording: Recording, capacity: Capacity | None, convention: str, by: str) -> Report:
    """What counts and step times say without profiled steps: no operator times and no ladder."""
    if capacity is None and recording.work.entries and not recording.wall_seconds:
        return _bare(recording, convention, by)
    trace, calls = counts.counted(recording), counts.calls_of(recording)
    trace, costs = counts.of_all_calls(trace, costs_of(trace, capacity, convention), calls)
    wall = recording.step_seconds
    totals = (
        totals_of(trace, costs, capacity, wall, recording.tokens_per_step)
        if recording.work.entries
        else untimed()
    )
    return Report(
        device=trace.device,
        environment={**trace.environment, **recording.environment},
        convention=convention,
        capacity=capacity,
        step=step_of(recording),
        totals=totals,
        ladder=(),
        operators=counts.rows_by(trace, costs, calls, by),
        modules=counts.module_tree(trace, costs, calls),
        coverage=counts.coverage(recording, trace, costs, calls),
        title=recording.program,
        beyond=_beyond(recording, convention),
        stated=stated(recording.work.entries),
        warnings=_warnings(recording, capacity, 1.0),
        errors=limits.headline_error(totals.program_goodput, capacity),
    )


def _bare(recording: Recording, convention: str, by: str) -> Report:
    """What counts say by themselves, without a roof and without a time."""
    step, trace = BareStep(recording.work, convention), recording.trace
    view_columns(by)  # raises where there is no such view
    report = CountedReport(
        device=trace.device,
        environment={**trace.environment, **recording.environment},
        convention=convention,
        capacity=None,
        step=step_of(recording),
        totals=step.totals,
        ladder=(),
        operators=(),
        modules=(),
        coverage=counts.bare_coverage(recording, step),
        title=recording.program,
        beyond=_beyond(recording, convention),
        stated=stated(recording.work.entries),
        warnings=_warnings(recording, None, 1.0),
    )
    report.make_later(operators=lambda: step.rows_by(by), modules=lambda: step.modules)
    return report


def _unseen(recording: Recording) -> list[str]:
    """A sentence on operators whose formulas were never held against a run of them."""
    ran = {entry.operator for entry in recording.work.entries} | set(recording.trace.strings)
    names = sorted(name for name in ran if is_unseen(name))
    if not names:
        return []
    sentence = (
        f"{', '.join(names)}: counted by what their libraries document of their arguments; goodput "
        "was never tested on a run of them"
    )
    return [sentence]


def _beyond(recording: Recording, convention: str) -> tuple[Beyond, ...]:
    """What the counted step executes beyond its useful FLOPs, by the exact convention alone."""
    return beyond(recording.work.entries) if convention == EXACT else ()


def _host_share(trace: Trace, costs: Costs) -> float:
    """The part of the gaps in which the device waited for the host; preempted time is idle."""
    host = sum(step.host_gap_seconds for step in trace.steps)
    idle = sum(step.idle_gap_seconds for step in trace.steps) + float(costs.preempted.sum())
    return host / (host + idle) if host + idle > 0 else 0.0


def _coverage(
    recording: Recording, costs: Costs, wall: float, absent: tuple[str, ...], scale: float
) -> Coverage:
    trace, table = recording.trace, recording.trace.invocations
    whole = float(costs.seconds.sum())
    computing = float(costs.seconds[table.kind == Kind.COMPUTE].sum())
    steps = len(trace.steps)
    profiled = statistics.fmean(step.wall_seconds for step in trace.steps)
    exact = float(costs.seconds[table.link == Link.EXACT].sum())
    return Coverage(
        modelled_share=float(costs.seconds[costs.known].sum()) / computing if computing else None,
        exactly_linked_share=exact / whole if whole else None,
        edge_seconds=trace.edge_seconds,
        unmodelled=_unmodelled(trace, costs, steps),
        absent_rungs=absent,
        profiler_slowdown=None if recording.basis == "trace" else profiled / wall,
        scale=scale,
        preempted_seconds=float(costs.preempted.sum()) / steps,
        steps_left_out=recording.steps_left_out,
        unlinked_launches=trace.unlinked_launches,
        modelled_calls_share=modelled_calls_share(trace),
    )


def _unmodelled(trace: Trace, costs: Costs, steps: int) -> tuple[UnmodelledOperator, ...]:
    """Operators without ideal seconds, most time first, each with the reason."""
    rows = np.nonzero((costs.bound == Bound.UNMODELLED) & (trace.invocations.kind == Kind.COMPUTE))
    table, seconds = trace.invocations.select(rows[0]), costs.seconds[rows[0]]
    groups, first = group_of(table, "operator", "modelled", "link")
    times: dict[tuple[str, str], float] = defaultdict(float)
    calls: dict[tuple[str, str], float] = defaultdict(float)
    spent, called = np.bincount(groups, weights=seconds), np.bincount(groups)
    for row, time, count in zip(first, spent.tolist(), called.tolist(), strict=True):
        key = (trace.strings[int(table.operator[row])], _reason(trace, table, int(row)))
        times[key] += time / steps
        calls[key] += count / steps
    ranked = sorted(times, key=lambda key: (-times[key], key))
    return tuple(UnmodelledOperator(k[0], times[k], k[1], calls[k]) for k in ranked)


def _reason(trace: Trace, table: Invocations, row: int) -> str:
    if table.modelled[row]:
        return NO_ROOF
    if table.link[row] == Link.NONE:
        return "no operator launched it in the trace"
    # The formula exists and still says nothing: the trace lacks what it would count.
    known = has_formula(trace.strings[int(table.operator[row])])
    return "its shapes were not recorded" if known else "no formula"


def _warnings(recording: Recording, capacity: Capacity | None, scale: float) -> tuple[str, ...]:
    found = list(recording.warnings) + list(recording.trace.warnings)
    found += _unseen(recording)
    walls = recording.wall_seconds
    ratio = statistics.fmean(walls) / statistics.median(walls) if walls else 1.0
    if ratio > SKEWED:
        found.append(f"the mean step is {ratio:.2f} times the median: some steps were much slower")
    if recording.basis == "trace":
        found.append(
            "the step times were recorded under a profiler, which slows the host: a host-bound "
            "model's real step is shorter"
        )
    if capacity is None and walls:
        name = recording.trace.device.name if recording.trace.device else ""
        found.append(
            f"no capacity is known for {name or 'this device'}, so there are no ratios: give one "
            "with --capacity FILE"
        )
    if capacity is not None:
        found += capacity.warnings
    if scale != 1.0:
        found.append(
            f"operators took longer under the profiler than the undisturbed step: every rung but "
            f"`useful` is scaled by {scale:.3f}"
        )
    return tuple(dict.fromkeys(found))
