"""The join gives counted work to calls without shapes, and takes the profiler's cost off."""

from dataclasses import replace

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
    joined = join(trace_of(rows), work)
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


def test_in_mixed_steps_counts_that_disagree_say_nothing():
    rows = [
        {"step": s, "operator": 2, "modelled": True, "flops": 100, "dense_flops": 100}
        for s in (0, 1)
    ]
    joined = join(
        trace_of(rows),
        WorkPass((entry("aten::sdpa", Work(flops=80, dense_flops=80)),)),
        (),
        mixed=True,
    )
    assert joined.invocations.flops.tolist() == [100, 100]
    assert joined.warnings == ()


def test_recomputed_calls_that_early_stop_aborted_are_left_out():
    rows = [
        {"step": s, "operator": 2, "phase": Phase.RECOMPUTE, "device_seconds": t, "flops": 10}
        for s in (0, 1)
        for t in (0.2, 0.001, 0.3)
    ]
    again = WorkEntry("aten::sdpa", "recompute", "", "", "float32", Work(flops=10, dense_flops=10))
    joined = join(trace_of(rows), WorkPass((again, again)))
    assert sorted(joined.invocations.device_seconds.tolist()) == [0.2, 0.2, 0.3, 0.3]
    uncounted = join(trace_of(rows), WorkPass())
    assert len(uncounted.invocations) == 6


def test_the_profilers_cost_is_taken_off_a_cpu_by_events():
    rows = [{"step": 0, "operator": 1, "device_seconds": 0.1, "events": 3, "modelled": True}]
    joined = join(trace_of(rows, kind="cpu", steps=1, events=100), WorkPass(), (0.8, 0.8))
    assert joined.invocations.device_seconds[0] == pytest.approx(0.1 - 0.2 / 100 * 3.5)
    on_gpu = join(trace_of(rows, kind="cuda", steps=1, events=100), WorkPass(), (0.8, 0.8))
    assert on_gpu.invocations.device_seconds[0] == 0.1


def test_no_operator_pays_more_than_it_took():
    rows = [
        {"step": 0, "operator": 1, "device_seconds": 0.1, "events": 3},
        {"step": 0, "operator": 2, "device_seconds": 0.0005, "events": 0},
    ]
    joined = join(trace_of(rows, kind="cpu", steps=1, events=100), WorkPass(), (0.5, 0.5))
    assert joined.invocations.device_seconds.tolist() == pytest.approx([0.1 - 0.001 * 3.5, 0.0])


def test_a_step_that_others_slowed_is_not_the_profilers_cost():
    rows = [{"step": s, "operator": 1, "device_seconds": 0.1} for s in range(20)]
    trace = trace_of(rows, kind="cpu", steps=20, wall=1.0, events=100)
    slow = tuple(replace(t, wall_seconds=9.0) if t.number == 3 else t for t in trace.steps)
    joined = join(replace(trace, steps=slow), WorkPass(), (1.0, 1.0, 8.0))
    assert joined.invocations.device_seconds.tolist() == [0.1] * 20
