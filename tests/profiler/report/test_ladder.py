"""The ladder sums to the wall, and its useful rung is program goodput, for any recording."""

import random
from itertools import pairwise

import pytest

from goodput.capacity.profile import BandwidthPoint, Capacity, Datasheet, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.errors import UsageError
from goodput.report.build import build
from goodput.report.costs import costs_of
from goodput.report.ladder import absent_rungs, ladder
from goodput.trace.recording import Recording
from goodput.trace.table import Invocations, Kind, Phase, StepTime, Trace

HOW = Provenance("measured", "test")
DEVICE = DeviceIdentity("cuda", "test device")


def capacity(**changes):
    values = {
        "device": DEVICE,
        "flops_per_s": {"float32": Peak(1e9, HOW), "bfloat16": Peak(4e9, HOW)},
        "vector": Peak(5e8, HOW),
        "special": Peak(1e8, HOW),
        "bandwidth": {
            "copy": (BandwidthPoint(1000, Peak(4e9, HOW)), BandwidthPoint(10**6, Peak(1e9, HOW)))
        },
        "floor_seconds": 1e-4,
        "datasheet": Datasheet("test", {"float32": 2e9, "bfloat16": 8e9}, 2e9),
    }
    return Capacity(**{**values, **changes})


STRINGS = (
    "",
    "aten::mm",
    "aten::add_",
    "kernel",
    "f32[2,2]",
    "float32",
    "bfloat16",
    "blocks.0",
    "blocks.1",
)


def trace_of(rows, *, steps=1, wall=1.0, busy=0.5, host=0.3):
    columns = {name: [row.get(name, 0) for row in rows] for name in Invocations.column_types()}
    times = tuple(StepTime(n, wall, busy, host, wall - busy - host) for n in range(steps))
    return Trace(DEVICE, "torch", times, Invocations.of(columns), STRINGS)


def recording_of(trace, walls=(1.0,), basis="event"):
    return Recording("train.py", "2026-01-01", trace, tuple(walls), basis)


def owned(events):
    """Seconds of each event after overlap, by brute force over the instants between borders."""
    borders = sorted({t for start, end, _ in events for t in (start, end)})
    seconds = [0.0] * len(events)
    for low, high in pairwise(borders):
        live = [i for i, (start, end, _) in enumerate(events) if start <= low and end >= high]
        if live:
            top = min(events[i][2] for i in live)
            owners = [i for i in live if events[i][2] == top]
            for i in owners:
                seconds[i] += (high - low) / len(owners)
    return seconds


def random_recording(draw):
    events = []
    for _ in range(draw.randint(1, 8)):
        start = draw.random()
        kind = draw.choice([0, 0, 0, 0, 1, 2])
        events.append((start, start + draw.random() * 0.3, kind))
    rows = []
    for (_, _, kind), seconds in zip(events, owned(events), strict=True):
        row = {
            "kind": kind,
            "device_seconds": seconds,
            "operator": draw.choice([1, 2, 3]),
            "phase": draw.randint(0, 4),
            "mode": draw.choice([5, 6]),
            "shapes": 4,
        }
        if kind == Kind.COMPUTE and draw.random() > 0.15:
            flops = int(draw.random() * 5e8)
            row |= {
                "modelled": True,
                "flops": flops,
                "dense_flops": flops + draw.choice([0, flops]),
                "padding_flops": draw.choice([0, 1000, flops]),
                "recompute_flops": draw.choice([0, flops // 2]),
                "vector_flops": int(draw.random() * 1e8),
                "special": int(draw.random() * 1e7),
                "bytes_read": int(draw.random() * 2e8),
                "bytes_written": int(draw.random() * 2e8),
            }
        rows.append(row)
    wall = draw.choice([0.5, 1.0, 2.0])
    host = draw.random() * 0.2
    return recording_of(trace_of(rows, wall=1.0, busy=0.5, host=host), [wall])


@pytest.mark.parametrize("convention", ["exact", "dense-attention"])
def test_10000_random_overlapping_recordings_sum_to_the_wall(convention):
    draw = random.Random(20261124)  # noqa: S311 - seeded on purpose
    for _ in range(5000):
        recording, wall = random_recording(draw), draw.choice([0.5, 1.0, 2.0])
        costs = costs_of(recording.trace, capacity(), convention)
        absent = absent_rungs(costs, has_capacity=True, floor_seconds=1e-4)
        kind, host = recording.trace.invocations.kind, draw.random()
        split = ladder(
            costs, kind, wall, steps=1, host_share=host, floor_seconds=1e-4, absent=absent
        )
        assert sum(rung.seconds for rung in split.rungs) == pytest.approx(wall, rel=1e-9)
        assert sum(rung.share for rung in split.rungs) == pytest.approx(1.0, rel=1e-9)


def test_the_useful_rung_is_program_goodput():
    draw = random.Random(7)  # noqa: S311 - seeded on purpose
    for _ in range(300):
        report = build(random_recording(draw), capacity())
        rungs = {rung.rung: rung for rung in report.ladder}
        if report.totals.program_goodput is None:
            assert "useful" in report.coverage.absent_rungs
        else:
            assert rungs["useful"].share == pytest.approx(report.totals.program_goodput, abs=1e-12)


def test_a_matmul_at_half_its_roof_is_half_useful_half_kernel():
    trace = trace_of(
        [
            {
                "operator": 1,
                "mode": 5,
                "modelled": True,
                "flops": 10**8,
                "dense_flops": 10**8,
                "device_seconds": 0.2,
            }
        ]
    )
    report = build(recording_of(trace), capacity())
    rungs = {rung.rung: rung.seconds for rung in report.ladder}
    assert rungs["useful"] == pytest.approx(0.1)
    assert rungs["kernel"] == pytest.approx(0.1)
    assert rungs["host"] == pytest.approx(0.8 * 0.3 / 0.5)
    assert rungs["idle"] == pytest.approx(0.8 * 0.2 / 0.5)
    assert report.operators[0].bound == "compute"
    assert report.operators[0].goodput == pytest.approx(0.5)
    assert report.totals.mfu == pytest.approx(0.05)


def test_a_recomputed_matmul_is_not_useful_and_counts_for_hfu():
    rows = [
        {
            "operator": 1,
            "mode": 5,
            "modelled": True,
            "flops": 10**8,
            "dense_flops": 10**8,
            "device_seconds": 0.1,
            "phase": phase,
        }
        for phase in (Phase.FORWARD, Phase.RECOMPUTE)
    ]
    report = build(recording_of(trace_of(rows)), capacity())
    rungs = {rung.rung: rung.seconds for rung in report.ladder}
    assert (rungs["useful"], rungs["recompute"]) == (pytest.approx(0.1), pytest.approx(0.1))
    assert report.totals.hfu == pytest.approx(2 * report.totals.mfu)


def test_a_memory_bound_operator_loses_to_memory_at_its_own_footprint():
    row = {
        "operator": 2,
        "modelled": True,
        "bytes_read": 10**6,
        "bytes_written": 10**6,
        "device_seconds": 0.01,
    }
    report = build(recording_of(trace_of([row])), capacity())
    rungs = {rung.rung: rung.seconds for rung in report.ladder}
    assert rungs["memory"] == pytest.approx(2e6 / 1e9)
    assert report.operators[0].bound == "memory"


def test_a_short_kernel_is_latency():
    row = {
        "operator": 2,
        "modelled": True,
        "bytes_read": 10,
        "bytes_written": 10,
        "device_seconds": 1e-4,
    }
    report = build(recording_of(trace_of([row])), capacity())
    assert report.operators[0].bound == "latency"
    assert {r.rung: r.seconds for r in report.ladder}["latency"] == pytest.approx(1e-4, rel=1e-3)


def test_busy_beyond_the_wall_scales_all_but_useful_and_says_so():
    row = {
        "operator": 1,
        "mode": 5,
        "modelled": True,
        "flops": 10**8,
        "dense_flops": 10**8,
        "device_seconds": 2.0,
    }
    report = build(recording_of(trace_of([row])), capacity())
    assert report.coverage.scale == pytest.approx(0.9 / 1.9)
    assert {r.rung: r.seconds for r in report.ladder}["useful"] == pytest.approx(0.1)
    assert any("scaled by" in warning for warning in report.warnings)


def test_without_capacity_there_are_no_ratios_and_a_sentence_says_why():
    row = {
        "operator": 1,
        "mode": 5,
        "modelled": True,
        "flops": 10**8,
        "dense_flops": 10**8,
        "device_seconds": 0.2,
    }
    report = build(recording_of(trace_of([row])), None)
    assert report.totals.program_goodput is None
    assert report.totals.mfu is None
    assert report.totals.useful_flops == 10**8
    assert "useful" in report.coverage.absent_rungs
    assert sum(rung.seconds for rung in report.ladder) == pytest.approx(1.0)
    assert any("--capacity FILE" in warning for warning in report.warnings)


def test_an_unknown_mode_is_unmodelled_and_mfu_is_unknown():
    rows = [
        {
            "operator": 1,
            "mode": mode,
            "modelled": True,
            "flops": 10**8,
            "dense_flops": 10**8,
            "device_seconds": 0.2,
        }
        for mode in (5, 6)
    ]
    known = capacity(
        flops_per_s={"float32": Peak(1e9, HOW)}, datasheet=Datasheet("t", {"float32": 2e9}, None)
    )
    report = build(recording_of(trace_of(rows)), known)
    assert report.totals.mfu is None
    assert [(u.operator, u.reason) for u in report.coverage.unmodelled] == [
        ("aten::mm", "no roof for its mode")
    ]
    assert report.coverage.modelled_share == pytest.approx(0.5)


def test_collectives_and_copies_are_no_unmodelled_compute():
    known = {"operator": 1, "mode": 5, "modelled": True, "flops": 10**8, "device_seconds": 0.1}
    rows = [known, *({"operator": 1, "kind": k, "device_seconds": 0.2} for k in (1, 2))]
    roofs = capacity(flops_per_s={"float32": Peak(1e9, HOW)})
    report = build(recording_of(trace_of(rows)), roofs)
    assert report.coverage.modelled_share == 1
    rungs = {rung.rung: rung.seconds for rung in report.ladder}
    assert rungs["communication"] == rungs["copies"] == pytest.approx(0.2)
    assert rungs["unmodelled"] == 0


def test_a_step_above_the_limit_is_an_error():
    row = {
        "operator": 1,
        "mode": 5,
        "modelled": True,
        "flops": 2 * 10**9,
        "dense_flops": 2 * 10**9,
        "device_seconds": 0.9,
    }
    report = build(recording_of(trace_of([row])), capacity())
    assert report.totals.program_goodput == pytest.approx(2.0)
    assert len(report.errors) == 2
    fine = build(recording_of(trace_of([row | {"flops": 10**8, "dense_flops": 10**8}])), capacity())
    assert fine.errors == ()


def test_a_winograd_kernel_above_its_roof_is_noted_not_an_error():
    row = {
        "operator": 1,
        "mode": 5,
        "modelled": True,
        "flops": 10**9,
        "dense_flops": 10**9,
        "device_seconds": 0.5,
        "kernel": 3,
    }
    trace = trace_of([row])
    strings = tuple("winograd_fwd" if text == "kernel" else text for text in trace.strings)
    winograd = Trace(trace.device, "torch", trace.steps, trace.invocations, strings)
    report = build(recording_of(winograd, [2.0]), capacity())
    assert report.errors == ()
    assert any("fewer multiplications" in warning for warning in report.warnings)


def test_operator_seconds_are_calls_times_median_and_preempted_time_is_idle():
    rows = [
        {"operator": 2, "shapes": 4, "modelled": True, "bytes_read": 10**7, "device_seconds": s}
        for s in (0.01, 0.01, 0.31)
    ]
    report = build(recording_of(trace_of(rows, host=0.5)), capacity())
    assert report.operators[0].device_seconds == pytest.approx(0.03)
    assert report.coverage.preempted_seconds == pytest.approx(0.28)
    assert {r.rung: r.seconds for r in report.ladder}["idle"] == pytest.approx(0.97 * 0.28 / 0.78)


def test_seconds_are_per_step():
    rows = [
        {
            "operator": 1,
            "mode": 5,
            "step": s,
            "modelled": True,
            "flops": 10**8,
            "dense_flops": 10**8,
            "device_seconds": 0.2,
        }
        for s in (0, 1)
    ]
    report = build(recording_of(trace_of(rows, steps=2)), capacity())
    assert report.operators[0].calls == 1
    assert report.totals.useful_flops == 10**8


def test_modules_form_a_tree_with_inclusive_sums():
    rows = [
        {
            "operator": 1,
            "mode": 5,
            "module": m,
            "modelled": True,
            "flops": 10**8,
            "dense_flops": 10**8,
            "device_seconds": 0.2,
        }
        for m in (7, 8, 0)
    ]
    report = build(recording_of(trace_of(rows)), capacity())
    seconds = {row.module: row.device_seconds for row in report.modules}
    assert seconds == {
        "": pytest.approx(0.6),
        "blocks": pytest.approx(0.4),
        "blocks.0": pytest.approx(0.2),
        "blocks.1": pytest.approx(0.2),
    }


def test_every_view_has_the_same_device_seconds():
    recording = random_recording(random.Random(3))  # noqa: S311 - seeded on purpose
    whole = sum(recording.trace.invocations.device_seconds)
    for view in ("operator", "module", "phase", "kernel"):
        rows = build(recording, capacity(), by=view).operators
        medians = sum(row.device_seconds for row in rows)
        assert 0 < medians <= 3 * whole
        assert medians == pytest.approx(
            sum(r.device_seconds for r in build(recording, capacity()).operators)
        )


def test_an_unknown_convention_is_refused_and_never_a_label():
    row = {"operator": 1, "mode": 5, "modelled": True, "flops": 10**8, "device_seconds": 0.2}
    with pytest.raises(UsageError, match="dense-attention"):
        build(recording_of(trace_of([row])), capacity(), "megatron")


def products(seconds):
    """One product of 1e8 FLOP, 0.1 s at its roof, in each of `seconds`."""
    row = {"operator": 1, "shapes": 4, "mode": 5, "flops": 10**8, "modelled": True}
    return trace_of([{**row, "device_seconds": s, "phase": 0} for s in seconds], busy=0.5)


def rungs_at_shape(seconds, rate):
    rates = {("aten::mm", "f32[2,2]"): rate} if rate else {}
    costs = costs_of(products(seconds), capacity(floor_seconds=0.0), "exact", rates)
    found = ladder(
        costs,
        products(seconds).invocations.kind,
        1.0,
        steps=1,
        host_share=1.0,
        floor_seconds=0.0,
        absent=absent_rungs(costs, has_capacity=True, floor_seconds=1e-9),
    )
    assert sum(rung.seconds for rung in found.rungs) == pytest.approx(1.0, rel=1e-9)
    return {rung.rung: rung.seconds for rung in found.rungs}, found.absent


def test_what_the_shape_cannot_reach_is_told_from_a_slow_kernel():
    # 0.1 s at the roof, 0.16 s at the best rate of this shape, 0.4 s taken.
    rungs, absent = rungs_at_shape([0.4], 10**8 / 0.16)
    assert rungs["useful"] == pytest.approx(0.1)
    assert rungs["shape"] == pytest.approx(0.06)
    assert rungs["kernel"] == pytest.approx(0.24)
    assert absent == ()


def test_a_kernel_as_fast_as_its_shape_allows_has_no_kernel_rung():
    rungs, _ = rungs_at_shape([0.4], 10**8 / 0.5)
    assert rungs["shape"] == pytest.approx(0.3)
    assert rungs["kernel"] == pytest.approx(0.0)


def test_without_a_measurement_at_the_shape_the_rung_is_absent_and_never_zero():
    rungs, absent = rungs_at_shape([0.4], None)
    assert "shape" not in rungs
    assert absent == ("shape",)
    assert rungs["kernel"] == pytest.approx(0.3)


def test_a_shape_measured_faster_than_the_roof_leaves_nothing_to_the_shape():
    rungs, _ = rungs_at_shape([0.4], 10**8 / 0.05)
    assert rungs["shape"] == 0.0


@pytest.mark.parametrize("rate", [None, 10**8 / 0.16])
def test_a_call_that_beats_its_roof_has_nothing_negative_at_its_shape(rate):
    # 0.1 s at the roof, taken in half of that.
    rungs, absent = rungs_at_shape([0.05], rate)
    assert rungs.get("shape", 0.0) == 0.0
    assert absent == (() if rate else ("shape",))
