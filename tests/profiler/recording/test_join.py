"""The join gives counted work to calls without shapes, and takes the profiler's cost off."""

import pytest

from goodput.device import DeviceIdentity
from goodput.recording.join import join
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.trace.table import Invocations, Phase, StepTime, Trace
from goodput.work import Work

STRINGS = ("", "aten::_foreach_add_", "aten::sdpa", "float32")


def trace_of(rows, kind="cuda", steps=2, wall=1.0, events=0):
    columns = {name: [row.get(name, 0) for row in rows] for name in Invocations.column_types()}
    times = tuple(StepTime(n, wall, 0.5, 0.5, 0.0, events) for n in range(steps))
    return Trace(DeviceIdentity(kind, "d"), "torch", times, Invocations.of(columns), STRINGS)


def entry(name, work, mode="float32"):
    return WorkEntry(name, "optimizer", "", "", mode, work)


def test_calls_without_shapes_take_their_work_by_order():
    rows = [{"step": s, "operator": 1} for s in (0, 0, 1, 1)]
    work = WorkPass(
        (
            entry("aten::_foreach_add_", Work(vector_flops=1)),
            entry("aten::_foreach_add_", Work(vector_flops=2)),
        )
    )
    joined = join(trace_of(rows), work, None)
    assert joined.invocations.vector_flops.tolist() == [1, 2, 1, 2]
    assert joined.invocations.modelled.all()
    assert joined.strings[joined.invocations.mode[0]] == "float32"


def test_another_number_of_calls_leaves_them_unmodelled_and_says_so():
    joined = join(
        trace_of([{"step": 0, "operator": 1}]),
        WorkPass((entry("aten::_foreach_add_", Work(vector_flops=1)),)),
        None,
    )
    assert not joined.invocations.modelled.any()
    assert any("aten::_foreach_add_" in warning for warning in joined.warnings)


def test_a_counted_mask_replaces_the_dense_shapes():
    rows = [
        {"step": s, "operator": 2, "modelled": True, "flops": 100, "dense_flops": 100}
        for s in (0, 1)
    ]
    joined = join(
        trace_of(rows), WorkPass((entry("aten::sdpa", Work(flops=60, dense_flops=100)),)), None
    )
    assert joined.invocations.flops.tolist() == [60, 60]
    assert joined.warnings == ()


def test_counts_that_disagree_name_the_operator():
    rows = [
        {"step": s, "operator": 2, "modelled": True, "flops": 100, "dense_flops": 100}
        for s in (0, 1)
    ]
    joined = join(
        trace_of(rows), WorkPass((entry("aten::sdpa", Work(flops=80, dense_flops=80)),)), None
    )
    assert joined.invocations.flops.tolist() == [100, 100]
    assert "aten::sdpa" in joined.warnings[0]


def test_recomputed_calls_that_early_stop_aborted_are_left_out():
    rows = [
        {"step": s, "operator": 2, "phase": Phase.RECOMPUTE, "device_seconds": t, "flops": 10}
        for s in (0, 1)
        for t in (0.2, 0.001, 0.3)
    ]
    again = WorkEntry("aten::sdpa", "recompute", "", "", "float32", Work(flops=10, dense_flops=10))
    joined = join(trace_of(rows), WorkPass((again, again)), None)
    assert sorted(joined.invocations.device_seconds.tolist()) == [0.2, 0.2, 0.3, 0.3]
    uncounted = join(trace_of(rows), WorkPass(), None)
    assert len(uncounted.invocations) == 6


def test_the_profilers_cost_is_taken_off_a_cpu_by_events():
    rows = [{"step": 0, "operator": 1, "device_seconds": 0.1, "events": 3, "modelled": True}]
    joined = join(trace_of(rows, kind="cpu", steps=1, wall=1.0, events=100), WorkPass(), 0.8)
    assert joined.invocations.device_seconds[0] == pytest.approx(0.1 - 0.2 / 100 * 3.5)
    on_gpu = join(trace_of(rows, kind="cuda", steps=1, wall=1.0, events=100), WorkPass(), 0.8)
    assert on_gpu.invocations.device_seconds[0] == 0.1
