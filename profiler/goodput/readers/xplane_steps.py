"""The steps of a JAX profile: as marked, as its main program ran, or as that was called."""

from __future__ import annotations

from collections import Counter

import numpy as np

from goodput.readers.kineto_steps import HostSteps
from goodput.readers.xplane_events import DeviceOps, HostMarks

BOUNDARY = "goodput boundary"
"""The name of a mark between two steps, which goodput itself sets."""


def _steps(starts: list[float], end: float, numbers: list[int] | None = None) -> HostSteps:
    """Steps that touch, each to the next one's begin, the last to `end`."""
    begin = np.asarray(starts)
    return HostSteps(
        number=np.asarray(numbers or range(len(starts)), np.int64),
        start=begin,
        end=np.append(begin[1:], max(end, np.nextafter(begin[-1], np.inf))),
        marked=True,
    )


def marked(marks: HostMarks) -> HostSteps | None:
    """The steps that the program marked with `StepTraceAnnotation`."""
    edges = [(number, start) for name, number, start, _ in marks.steps if name == BOUNDARY]
    if len(edges) > 1:
        steps = _steps([start for _, start in edges], 0.0, [number for number, _ in edges])
        return steps.select(np.arange(len(edges) - 1))
    if not marks.steps:
        return None
    starts = [start for _, _, start, _ in marks.steps]
    return _steps(starts, marks.steps[-1][3], [number for _, number, _, _ in marks.steps])


def runs_of(ops: DeviceOps) -> HostSteps | None:
    """The runs of the program that took most of the time; None where there is only one."""
    module = _dominating(ops)
    mine = np.asarray([op.module == module for op in ops.ops], np.bool_)[ops.op]
    runs, first = np.unique(ops.run[mine], return_index=True)
    if not module or len(runs) < 2:
        return None
    starts = np.sort(ops.start[mine][first])
    return _steps(starts.tolist(), float(ops.end[mine].max()))


def called(ops: DeviceOps, marks: HostMarks) -> HostSteps | None:
    """The calls of the function that took most of the time; None where there is only one."""
    name = _dominating(ops).rpartition("(")[0].removeprefix("jit_")
    outer: list[float] = []
    reach = -np.inf
    for start, end in sorted(marks.calls.get(name, [])):
        if start >= reach:  # else the call stands twice, the inner one for the dispatch
            outer.append(start)
        reach = max(reach, end)
    return _steps(outer, np.inf) if len(outer) > 1 else None


def _dominating(ops: DeviceOps) -> str:
    seconds = Counter[str]()
    for op, spent in zip(
        ops.ops, np.bincount(ops.op, ops.end - ops.start, len(ops.ops)).tolist(), strict=True
    ):
        seconds[op.module] += spent
    seconds.pop("", None)
    return seconds.most_common(1)[0][0] if seconds else ""


def window(ops: DeviceOps) -> HostSteps:
    """The whole window as one step."""
    begin, end = ops.start.min(), np.nextafter(ops.end.max(), np.inf)
    return HostSteps(np.zeros(1, np.int64), np.array([begin]), np.array([end]), marked=False)


def warnings_of(steps: HostSteps) -> tuple[str, ...]:
    """What is to be said where nothing told steps apart."""
    if steps.marked:
        return ()
    sentence = (
        "the profile marks no steps and no function was called twice, so its whole window counts "
        "as one; mark them with jax.profiler.StepTraceAnnotation"
    )
    return (sentence,)
