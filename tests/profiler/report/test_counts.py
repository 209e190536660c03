"""A counted step without profiled ones: work by operator, rates of the step, and no seconds."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.capacity.profile import BandwidthPoint, Capacity, Datasheet, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError, UsageError
from goodput.report.build import build
from goodput.report.model import RUNGS
from goodput.report.needs import modes_of
from goodput.trace.recording import Recording, WorkEntry, WorkPass
from goodput.trace.table import Invocations, Trace
from goodput.work import Work

HOW = Provenance("measured", "test")
DEVICE = DeviceIdentity("cuda", "test device")
TIMED = ("device_seconds", "lost_seconds", "goodput", "roofline_efficiency")

mm = Work(flops=10**8, dense_flops=2 * 10**8, bytes_read=1000, bytes_written=500)
add = Work(vector_flops=10**6, bytes_read=2000, bytes_written=1000)
ENTRIES = (
    WorkEntry("aten::mm", "forward", "blocks.0.up", "f32[2,2]", "float32", mm),
    WorkEntry("aten::add", "forward", "blocks.0", "f32[9]", "", add),
    WorkEntry("aten::mm", "forward", "blocks.1.up", "f32[2,2]", "float32", mm),
    WorkEntry("aten::mm", "recompute", "blocks.1.up", "f32[2,2]", "float32", mm),
    WorkEntry("aten::mm", "backward", "head", "f32[4,4]", "bfloat16", mm * 4),
    WorkEntry("mylib::mystery", "forward", "head", "f32[9]", "", None),
    WorkEntry("mylib::mystery", "forward", "", "f32[9]", "", None),
)
USEFUL = 6 * 10**8


def recording(entries=ENTRIES, walls=(), **other):
    empty = Trace(DEVICE, "torch", (), Invocations.of({}), ("",))
    values = {"steps_seen": 3, "work": WorkPass(tuple(entries)), "basis": "event", **other}
    return Recording("train.py", "2026-01-01", empty, tuple(walls), **values)


def capacity(**changes):
    values = {
        "device": DEVICE,
        "flops_per_s": {"float32": Peak(1e9, HOW), "bfloat16": Peak(4e9, HOW)},
        "vector": Peak(1e7, HOW),
        "bandwidth": {"copy": (BandwidthPoint(10**6, Peak(1e6, HOW)),)},
        "datasheet": Datasheet("test", {"float32": 2e9, "bfloat16": 8e9}, 2e9),
    }
    return Capacity(**{**values, **changes})


def row(report, operator, phase="forward"):
    found = [r for r in report.operators if (r.operator, r.phase) == (operator, phase)]
    assert len(found) == 1
    return found[0]


def test_counts_alone_have_totals_and_no_rate_and_no_time():
    report = build(recording(), None)
    assert report.totals.useful_flops == USEFUL
    assert report.totals.useful_flops_by_mode == {"float32": 2e8, "bfloat16": 4e8}
    assert report.totals.executed_flops == USEFUL + 10**8
    assert report.totals.vector_flops == 10**6
    assert report.totals.bytes == 7 * 1500 + 3000
    assert (report.step.count, report.step.basis, report.step.median) == (0, None, None)
    for name in ("useful_seconds", "ideal_seconds", "program_goodput", "mfu", "useful_flops_per_s"):
        assert getattr(report.totals, name) is None
    assert report.errors == ()


def test_operators_are_grouped_and_ranked_by_useful_flops_then_bytes():
    report = build(recording(), None)
    assert [(r.operator, r.phase, r.dtype, r.calls) for r in report.operators] == [
        ("aten::mm", "backward", "bfloat16", 1),
        ("aten::mm", "forward", "float32", 2),
        ("aten::add", "forward", "", 1),
        ("aten::mm", "recompute", "float32", 1),
        ("mylib::mystery", "forward", "", 2),
    ]
    assert row(report, "aten::mm").useful_flops == 2e8
    assert row(report, "aten::mm").shapes == "f32[2,2]"
    again = row(report, "aten::mm", "recompute")
    assert (again.useful_flops, again.executed_flops) == (0, 1e8)


def test_unknown_work_is_null_and_never_zero():
    report = build(recording(), capacity())
    mystery = row(report, "mylib::mystery")
    for name in ("useful_flops", "executed_flops", "vector_flops", "bytes", "ideal_seconds"):
        assert getattr(mystery, name) is None
    assert mystery.bound == "unmodelled"
    assert [(u.operator, u.seconds, u.calls, u.reason) for u in report.coverage.unmodelled] == [
        ("mylib::mystery", None, 2, "no formula")
    ]
    assert report.coverage.modelled_calls_share == pytest.approx(5 / 7)


@pytest.mark.parametrize("view", ["operator", "module", "phase", "kernel"])
@pytest.mark.parametrize("walls", [(), (1.0,)])
def test_no_view_has_times_and_every_view_has_all_the_work(view, walls):
    report = build(recording(walls=walls), capacity(), by=view)
    for found in (*report.operators, *report.modules):
        assert [getattr(found, name) for name in TIMED] == [None] * 4
        assert found.link == "none"
    assert sum(r.useful_flops or 0 for r in report.operators) == USEFUL
    assert sum(r.calls for r in report.operators) == len(ENTRIES)


def test_ideal_seconds_are_those_of_the_winning_roof():
    report = build(recording(), capacity())
    assert row(report, "aten::mm").ideal_seconds == pytest.approx(2 * 0.1)
    assert row(report, "aten::mm").bound == "compute"
    assert row(report, "aten::add").ideal_seconds == pytest.approx(0.1)
    assert row(report, "aten::add").bound == "vector"
    assert report.totals.useful_seconds == pytest.approx(0.2 + 0.1)
    assert report.totals.ideal_seconds == pytest.approx(0.2 + 0.1 + 0.1 + 0.1)


def test_with_timed_steps_the_ratios_of_the_step_are_known():
    report = build(recording(walls=(0.9, 1.0, 9.0), tokens_per_step=50.0), capacity())
    assert report.step.median == 1.0
    assert report.totals.program_goodput == pytest.approx(0.3)
    assert report.totals.mfu == pytest.approx(2e8 / 2e9 + 4e8 / 8e9)
    assert report.totals.hfu == pytest.approx(3e8 / 2e9 + 4e8 / 8e9)
    assert report.totals.useful_flops_per_s == pytest.approx(USEFUL)
    assert report.totals.tokens_per_s == 50.0
    assert report.totals.roofline_efficiency is None


@pytest.mark.parametrize("walls", [(), (1.0,)])
def test_the_ladder_is_not_invented(walls):
    report = build(recording(walls=walls), capacity())
    assert report.ladder == ()
    assert report.coverage.absent_rungs == RUNGS
    assert report.coverage.modelled_share is None


def test_above_the_limit_is_an_error_here_too():
    assert build(recording(walls=(1.0,)), capacity()).errors == ()
    report = build(recording(walls=(0.1,)), capacity())
    assert report.totals.program_goodput == pytest.approx(3.0)
    assert len(report.errors) == 1


def test_the_sentence_says_why_and_what_to_type():
    assert "3 steps were seen" in build(recording(), None).coverage.untimed
    assert "--steps" in build(recording(), None).coverage.untimed
    assert "1 step was seen" in build(recording(steps_seen=1), None).coverage.untimed
    assert "--count-only" in build(recording(count_only=True), None).coverage.untimed


def test_a_missing_capacity_is_told_only_where_it_would_have_given_a_ratio():
    assert not build(recording(), None).warnings
    assert "--capacity FILE" in build(recording(walls=(1.0,)), None).warnings[0]


def test_steps_that_were_timed_and_never_counted_have_no_work():
    report = build(recording(entries=(), walls=(0.5,)), capacity())
    assert report.step.median == 0.5
    for field in fields(report.totals):
        assert not getattr(report.totals, field.name)
        assert getattr(report.totals, field.name) != 0
    assert report.operators == report.modules == ()
    assert report.coverage.modelled_calls_share is None


def test_nothing_at_all_is_no_report():
    with pytest.raises(NotMeasuredError, match="no whole step"):
        build(recording(entries=()), capacity())


def test_modules_form_a_tree_with_inclusive_sums():
    modules = {r.module: r for r in build(recording(), capacity()).modules}
    assert list(modules) == [
        "",
        "blocks",
        "blocks.0",
        "blocks.0.up",
        "blocks.1",
        "blocks.1.up",
        "head",
    ]
    assert modules[""].useful_flops == USEFUL
    assert modules[""].calls == len(ENTRIES)
    assert modules["blocks"].useful_flops == 2e8
    assert modules["blocks"].ideal_seconds == pytest.approx(0.4)
    assert modules["blocks.0"].ideal_seconds == pytest.approx(0.2)
    # The calls without a formula are left out of the sum, as they are of the FLOPs.
    assert modules["head"].ideal_seconds == pytest.approx(0.1)


def test_a_module_whose_work_lacks_a_roof_has_no_ideal():
    only = capacity(flops_per_s={"float32": Peak(1e9, HOW)})
    report = build(recording(), only)
    modules = {r.module: r for r in report.modules}
    assert modules["head"].ideal_seconds is None
    assert modules[""].ideal_seconds is None
    assert modules["blocks"].ideal_seconds == pytest.approx(0.4)
    assert ("aten::mm", "no roof for its mode") in [
        (u.operator, u.reason) for u in report.coverage.unmodelled
    ]


def test_the_dense_convention_counts_every_pair():
    report = build(recording(), capacity(), "dense-attention")
    assert report.totals.useful_flops == 2 * USEFUL


def test_a_collective_is_communication_and_not_unmodelled():
    collective = WorkEntry("c10d::allreduce_", "backward", "", "f32[9]", "", None)
    report = build(recording((*ENTRIES, collective)), capacity())
    assert row(report, "c10d::allreduce_", "backward").bound == "communication"
    assert {u.operator for u in report.coverage.unmodelled} == {"mylib::mystery"}
    assert report.coverage.modelled_calls_share == pytest.approx(5 / 7)


def test_unknown_views_and_conventions_are_refused():
    with pytest.raises(UsageError, match="no view"):
        build(recording(), None, by="colour")
    with pytest.raises(UsageError, match="dense-attention"):
        build(recording(), None, "megatron")


def test_the_modes_that_need_a_roof_are_those_that_were_counted():
    assert modes_of(recording()) == ("bfloat16", "float32")


works = st.builds(
    Work,
    flops=st.integers(0, 10**15),
    recompute_flops=st.integers(0, 10**15),
    padding_flops=st.integers(0, 10**15),
    vector_flops=st.integers(0, 10**12),
    bytes_read=st.integers(0, 10**12),
    bytes_written=st.integers(0, 10**12),
)
entries = st.builds(
    WorkEntry,
    operator=st.sampled_from(["aten::mm", "aten::add", "mylib::x"]),
    phase=st.sampled_from(["forward", "backward", "recompute", "optimizer", "other"]),
    module=st.sampled_from(["", "a", "a.b", "a.c", "d"]),
    shapes=st.sampled_from(["f32[1]", "f32[2]"]),
    mode=st.sampled_from(["float32", "bfloat16", "int8", ""]),
    work=st.none() | works,
)


@given(st.lists(entries, min_size=1, max_size=30), st.sampled_from(["operator", "module", "phase"]))
def test_rows_and_the_root_module_sum_to_the_totals(found, view):
    report = build(recording(found, walls=(1e9,)), capacity(), by=view)
    for name in ("useful_flops", "executed_flops", "vector_flops", "bytes"):
        whole = sum(getattr(r, name) or 0.0 for r in report.operators)
        assert whole == pytest.approx(getattr(report.totals, name), rel=1e-9)
        for root in (r for r in report.modules if not r.module):
            assert (getattr(root, name) or 0.0) == pytest.approx(whole, rel=1e-9)
    ranks = [(r.useful_flops is None, -(r.useful_flops or 0.0)) for r in report.operators]
    assert ranks == sorted(ranks)
    # The expected totals, by plain integers.
    useful = sum(e.work.flops for e in found if e.work and e.phase != "recompute")
    assert report.totals.useful_flops == pytest.approx(useful, rel=1e-9)
