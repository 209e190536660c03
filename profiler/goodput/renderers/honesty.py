"""The honesty line: what the report could not know, so that nothing missing passes for zero."""

from __future__ import annotations

from datetime import datetime

from goodput.report.model import Coverage, Report, UnmodelledOperator
from goodput.units import UNKNOWN, percent, seconds

_UNMODELLED_SHOWN = 5


def honesty(report: Report, now: datetime | None = None) -> tuple[tuple[str, str], ...]:
    """Label and text of each line; `now` tells the capacity's age."""
    coverage = report.coverage
    lines = [
        *(_calls(coverage) if coverage.untimed else _times(coverage)),
        ("capacity", _capacity(report, now)),
        *_left_out(coverage),
    ]
    if coverage.unmodelled:
        lines.append(("unmodelled", _unmodelled(coverage)))
    return tuple(lines)


def _times(coverage: Coverage) -> list[tuple[str, str]]:
    modelled = percent(coverage.modelled_share)
    return [
        ("modelled", f"{modelled} of computing time has a formula and a roof"),
        ("linked", f"{percent(coverage.exactly_linked_share)} of device time is linked exactly"),
        ("profiler", _slowdown(coverage)),
    ]


def _calls(coverage: Coverage) -> list[tuple[str, str]]:
    """What stands there without operator times: shares of calls, and no ladder."""
    share = coverage.modelled_calls_share
    text = f"{UNKNOWN}: no step was counted"
    if share is not None:
        text = f"{percent(share)} of the counted calls that compute have a formula"
    return [("modelled", text), ("ladder", "not split: that takes operator times")]


def _slowdown(coverage: Coverage) -> str:
    if coverage.profiler_slowdown is None:
        return f"{UNKNOWN}: the step was not timed without the profiler"
    return f"the profiled step took {coverage.profiler_slowdown:.2f} x the undisturbed one"


def _left_out(coverage: Coverage) -> list[tuple[str, str]]:
    """What was seen and not counted; nothing is said of what did not happen."""
    lines = []
    if coverage.scale != 1.0:
        lines.append(("scaled", f"every rung but useful by {coverage.scale:.3f}, to fit the step"))
    if coverage.edge_seconds:
        edge = f"{seconds(coverage.edge_seconds)} of device time are in no whole step, left out"
        lines.append(("window edge", edge))
    if coverage.preempted_seconds:
        taken = f"{seconds(coverage.preempted_seconds)} a step beyond 3 medians of the same call"
        lines.append(("preempted", f"{taken}, counted as idle"))
    if coverage.steps_left_out:
        lines.append(("steps", f"{coverage.steps_left_out} left out: of another kind than most"))
    if coverage.unlinked_launches:
        lines.append(("launches", f"{coverage.unlinked_launches} without a kernel in the trace"))
    return lines


def _unmodelled(coverage: Coverage) -> str:
    shown = coverage.unmodelled[:_UNMODELLED_SHOWN]
    words = [f"{one.operator} {_amount(one)} ({one.reason})" for one in shown]
    left = len(coverage.unmodelled) - len(shown)
    return ", ".join(words + ([f"… {left} more"] if left else []))


def _amount(one: UnmodelledOperator) -> str:
    """How much of the step it is: its seconds where they are known, else its calls."""
    if one.seconds is None and one.calls is not None:
        return "1 call" if one.calls == 1 else f"{one.calls:g} calls"
    return seconds(one.seconds)


def _capacity(report: Report, now: datetime | None) -> str:
    capacity = report.capacity
    if capacity is None:
        return "none: every ratio that needs one is left out"
    if not capacity.measured_at:
        row = capacity.datasheet.name if capacity.datasheet else UNKNOWN
        return f"from the datasheet row {row}, not measured"
    when = capacity.measured_at[:16].replace("T", " ")
    return f"measured {when}{_age(capacity.measured_at, now)}"


def _age(measured_at: str, now: datetime | None) -> str:
    if now is None:
        return ""
    measured = datetime.fromisoformat(measured_at)
    if measured.tzinfo is None:
        measured = measured.replace(tzinfo=now.tzinfo)
    age = now - measured
    return f", {age.days} days ago" if age.days > 1 else ", within a day"
