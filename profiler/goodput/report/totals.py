"""The figures of a whole step: its times, its work, and what one is of the other."""

from __future__ import annotations

import numpy as np

from goodput.capacity.profile import Capacity, Peak
from goodput.report.costs import Costs
from goodput.report.model import StepSummary, Totals
from goodput.trace.recording import Recording
from goodput.trace.table import Integers, Kind, Trace


def step_of(recording: Recording) -> StepSummary:
    """The steps that were timed, if any, and their spread."""
    if not recording.wall_seconds:
        return StepSummary(0, None, None, None, None, None)
    walls = np.asarray(recording.wall_seconds)
    return StepSummary(
        count=len(walls),
        basis=recording.basis,
        median=float(np.median(walls)),
        p05=float(np.percentile(walls, 5)),
        p95=float(np.percentile(walls, 95)),
        mean=float(walls.mean()),
    )


def totals_of(
    trace: Trace,
    costs: Costs,
    capacity: Capacity | None,
    wall: float | None,
    tokens_per_step: float | None = None,
) -> Totals:
    """The totals of one step.

    Args:
        trace: its calls; without steps they are those of one counted step, which took no time.
        costs: a row for each of them.
        capacity: the roofs, if any is known.
        wall: seconds of the undisturbed step; None where none was timed.
        tokens_per_step: where known.
    """
    steps, table = max(len(trace.steps), 1), trace.invocations
    by_mode = _by_mode(trace, costs, steps)
    useful_flops = float(costs.useful_flops.sum()) / steps
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
        program_goodput=rate_of(useful_seconds, wall),
        program_goodput_sustained=_over(by_mode, _sustained(capacity), wall),
        roofline_efficiency=(
            ideal / modelled_seconds if ideal is not None and modelled_seconds else None
        ),
        mfu=_over(by_mode, datasheet, wall),
        hfu=_over(_by_mode(trace, costs, steps, executed=True), datasheet, wall),
        useful_flops_per_s=rate_of(useful_flops, wall),
        tokens_per_s=rate_of(tokens_per_step, wall),
    )


def modelled_calls_share(trace: Trace, calls: Integers | None = None) -> float | None:
    """The share of computing calls with a formula; collectives and copies need none.

    `calls` is how many calls each row stands for, one without it.
    """
    computes = trace.invocations.kind == Kind.COMPUTE
    computing = trace.invocations.modelled[computes]
    weights = None if calls is None else calls[computes]
    return float(np.average(computing, weights=weights)) if len(computing) else None


def untimed(
    useful_flops: float | None = None,
    useful_flops_by_mode: dict[str, float] | None = None,
    executed_flops: float | None = None,
    vector_flops: float | None = None,
    special: float | None = None,
    moved: float | None = None,
) -> Totals:
    """The totals of a step without times; without counts either, nothing is known or zero."""
    return Totals(
        useful_flops=useful_flops,
        useful_flops_by_mode=useful_flops_by_mode or {},
        executed_flops=executed_flops,
        vector_flops=vector_flops,
        special=special,
        bytes=moved,
        useful_seconds=None,
        ideal_seconds=None,
        program_goodput=None,
        program_goodput_sustained=None,
        roofline_efficiency=None,
        mfu=None,
        hfu=None,
        useful_flops_per_s=None,
        tokens_per_s=None,
    )


def _by_mode(trace: Trace, costs: Costs, steps: int, *, executed: bool = False) -> dict[str, float]:
    flops = costs.executed_flops if executed else costs.useful_flops
    sums = np.bincount(trace.invocations.mode, weights=flops, minlength=len(trace.strings)) / steps
    return {trace.strings[int(mode)]: float(sums[mode]) for mode in np.nonzero(sums)[0]}


def _sustained(capacity: Capacity | None) -> dict[str, float]:
    peaks: dict[str, Peak] = capacity.sustained_flops_per_s if capacity else {}
    return {mode: peak.rate for mode, peak in peaks.items()}


def _over(
    flops_by_mode: dict[str, float], rates: dict[str, float], wall: float | None
) -> float | None:
    """Time over time, so that mixed precision is well defined; None where any mode has no rate."""
    if not flops_by_mode or any(mode not in rates for mode in flops_by_mode):
        return None
    return rate_of(sum(flops / rates[mode] for mode, flops in flops_by_mode.items()), wall)


def rate_of(amount: float | None, wall: float | None) -> float | None:
    """`amount` a second; None where one of the two is not known."""
    return amount / wall if amount is not None and wall else None
