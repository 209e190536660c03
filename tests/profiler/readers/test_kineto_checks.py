"""Traces that lie: what cannot be true is refused in one line, what is doubtful is told."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodput.commands.stored import load
from goodput.errors import GoodputError, TraceFormatError
from goodput.readers.kineto import read

OTHER = 200


def training(written, steps=3):
    """A few steps of one product each, launched and run in turn."""
    for index in range(steps):
        start = 100 * index + 10
        written.annotation(f"ProfilerStep#{index}", start, start + 60)
        written.op("aten::mm", start + 5, start + 30, [[64, 64], [64, 64]])
        written.run(index + 1, start + 8, start + 12, start + 32, "gemm")
    return written


def merged(written, **changes):
    """As if the events of a second process had been put behind, each changed by `changes`."""
    for event in list(written.events):
        other = {**event, "args": dict(event["args"])}
        if event["cat"] not in ("kernel", "gpu_memcpy"):
            other["pid"] = OTHER
        for key, change in changes.items():
            if key in other["args"]:
                other["args"][key] += change
        written.events.append(other)


def refusal(written):
    with pytest.raises(TraceFormatError) as caught:
        written.read()
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def warnings(written):
    return " | ".join(written.read().trace.warnings)


@pytest.mark.parametrize("key", ["ts", "dur"])
@pytest.mark.parametrize("value", [None, "absent"])
def test_a_kernel_without_a_time_is_refused(written, key, value):
    kernel = training(written).events[-1]
    if value is None:
        kernel[key] = None
    else:
        del kernel[key]
    assert "1 events without a time, the first of them gemm" in refusal(written)


def test_an_operator_without_a_begin_is_refused_and_one_without_an_end_takes_no_time(written):
    operator = next(e for e in training(written).events if e["name"] == "aten::mm")
    begin = operator.pop("ts")
    assert "1 events without a time, the first of them aten::mm" in refusal(written)
    operator["ts"] = begin
    del operator["dur"]
    assert written.read().rows.host_seconds.min() == 0


@pytest.mark.parametrize(("key", "value"), [("dur", 1e18), ("ts", 0), ("ts", 1e20)])
def test_a_time_far_from_all_others_is_a_broken_clock(written, key, value):
    training(written)
    for event in written.events:
        event["ts"] += 1e15
    assert len(written.read().trace.steps) == 3
    written.events[-1][key] = value
    assert "so a clock in it is broken" in refusal(written)


def test_backward_nodes_without_sequence_numbers_are_told(written):
    training(written)
    written.engine("MmBackward0", 75, 95, sequence=7)
    assert "sequence numbers" not in warnings(written)
    del written.events[-1]["args"]["Sequence number"]
    assert "what a checkpoint recomputes counts as useful" in warnings(written)


def test_launches_without_any_kernel_are_no_work_of_the_cpu(written):
    training(written)
    written.events = [event for event in written.events if event["cat"] != "kernel"]
    assert "3 kernel launches and no kernel" in refusal(written)


def test_processes_that_share_launch_ids_are_refused(written):
    merged(training(written))
    assert "several processes whose launches have the same ids (3 of them" in refusal(written)


def test_processes_with_ids_of_their_own_are_told(written):
    alone = training(written).read()
    merged(written, correlation=1000)
    both = written.read()
    assert len(both.trace.steps) == len(alone.trace.steps)
    assert "operators of 2 processes" in " ".join(both.trace.warnings)
    assert not any("processes" in sentence for sentence in alone.trace.warnings)


def test_the_same_events_twice_are_the_same_steps(written):
    def steps():
        return [(s.number, s.wall_seconds, s.busy_seconds) for s in written.read().trace.steps]

    training(written)
    once = steps()
    written.events *= 2
    assert steps() == once


def test_marks_that_stand_twice_begin_no_steps_of_no_time(written):
    for index in range(2):
        written.annotation(f"ProfilerStep#{index}", 50 * index, 50 * index + 50)
        written.op("aten::mm", 50 * index + 5, 50 * index + 30, [[64, 64], [64, 64]])
    written.events += [e for e in written.events if e["name"].startswith("ProfilerStep")]
    trace = written.read().trace
    assert [step.wall_seconds for step in trace.steps] == pytest.approx([50e-6, 50e-6])


def test_boundaries_that_stand_twice_too(written):
    for index in range(3):
        written.annotation(f"goodput::boundary#{index}", 50 * index, 50 * index)
        written.op("aten::mm", 50 * index + 5, 50 * index + 30, [[64, 64], [64, 64]])
    written.events += [e for e in written.events if e["name"].startswith("goodput")]
    trace = written.read().trace
    assert [step.wall_seconds for step in trace.steps] == pytest.approx([50e-6, 50e-6])


def test_the_steps_of_another_process_do_not_cut_ours(written):
    for index in range(2):
        written.annotation(f"ProfilerStep#{index}", 50 * index, 50 * index + 50)
        written.op("aten::mm", 50 * index + 5, 50 * index + 30, [[64, 64], [64, 64]])
    merged(written)
    for event in written.events:
        event["ts"] += 10 if event["pid"] == OTHER else 0
    trace = written.read().trace
    assert [step.wall_seconds for step in trace.steps] == pytest.approx([50e-6, 50e-6])
    assert "operators of 2 processes" in " ".join(trace.warnings)


@pytest.mark.parametrize("number", ["x", "²", "9" * 30, ""])
def test_a_step_without_a_number_gets_its_place(written, number):
    written.annotation(f"ProfilerStep#{number}", 0, 50)
    written.op("aten::mm", 5, 30, [[64, 64], [64, 64]])
    assert [step.number for step in written.read().trace.steps] == [0]


def test_events_that_end_before_they_begin_are_told(written):
    training(written).events[-1]["dur"] *= -1
    assert "1 events end before they begin" in warnings(written)


def test_kernels_before_their_launch_are_told(written):
    assert "clocks of host and device" not in warnings(training(written))
    for event in written.events:
        event["ts"] -= 1000 if event["cat"] == "kernel" else 0
    told = warnings(written)
    assert "3 kernels begin before the call that launched them, by up to 0.000996 s" in told


def test_steps_that_end_within_an_earlier_one_are_left_out_and_told(written):
    training(written)
    first = next(event for event in written.events if event["cat"] == "kernel")
    first["dur"] = 1000
    trace = written.read().trace
    assert [step.number for step in trace.steps] == [0]
    assert "2 steps are left out: their kernels end before" in " ".join(trace.warnings)
    assert trace.invocations.kernels.sum() == 1
    assert trace.steps[0].wall_seconds == pytest.approx(1000e-6)


def test_kernels_of_no_time_are_refused(written):
    training(written)
    for event in written.events:
        event["dur"] *= event["cat"] != "kernel"
    for event in written.events:
        event["ts"] = 5 if event["cat"] == "kernel" else event["ts"]
    assert "has time of its own on the device: its 3 kernels take none" in refusal(written)


def test_steps_behind_a_kernel_from_before_them_that_never_ends_are_refused(written):
    training(written)
    written.launch(99, 1)
    written.kernel(99, 2, 10**6)
    assert "those from before its steps run on past them" in refusal(written)


def test_text_that_is_no_utf8_is_no_type(written):
    path = training(written).path()
    path.write_bytes(path.read_bytes().replace(b'["float",', b'["fl\xe6at",'))
    trace = read(path)
    assert not trace.invocations.modelled.any()
    assert "aten::mm" in trace.strings


def test_kernels_without_ids_stand_for_themselves(written):
    training(written)
    for event in written.events:
        for key in ("correlation", "External id"):
            event["args"].pop(key, None)
    table = written.read()
    assert set(table.operators) == {"gemm"}
    assert not table.rows.modelled.any()
    assert len(table.trace.steps) == 1


def test_a_window_of_collectives_is_as_long_as_they_are(written):
    written.annotation("gloo:all_reduce", 0, 1000, thread=2)
    written.op("aten::empty", 100, 101)
    (step,) = written.read().trace.steps
    assert step.wall_seconds == pytest.approx(1000e-6)
    assert written.read().trace.edge_seconds == 0


@pytest.mark.parametrize("found", [None, "x", [1], {"rank": "x", "world_size": None}])
def test_a_head_of_another_tool_says_nothing(written, found):
    training(written)
    written.head = {"distributedInfo": found, "deviceProperties": found}
    trace = written.read().trace
    assert (trace.rank, trace.world_size, trace.device.name) == (0, 1, "")


def test_properties_without_numbers(written):
    training(written)
    written.head["deviceProperties"] = [{"id": 0, "name": None, "numSms": None}]
    device = written.read().trace.device
    assert (device.name, device.units, device.memory_bytes) == ("", 0, 0)


@pytest.mark.parametrize(
    "dims", [[[-1, 64], [64, 64]], [["x"], [64]], [None, 3], [[[2]], [[2]]], [[True, 2], [2, 2]]]
)
def test_sizes_that_are_none_leave_the_call_unmodelled(written, dims):
    training(written)
    for event in written.events:
        if event["name"] == "aten::mm":
            event["args"]["Input Dims"] = dims
    table = written.read()
    assert not table.rows.modelled.any()
    assert table.rows.flops.sum() == 0


def test_shapes_beyond_any_device_are_told_and_not_counted(written):
    training(written)
    for event in written.events:
        if event["name"] == "aten::mm":
            event["args"]["Input Dims"] = [[10**9, 10**9], [10**9, 10**9]]
    table = written.read()
    assert not table.rows.modelled.any()
    told = [s for s in table.trace.warnings if "more than any device can" in s]
    assert len(told) == 1


# What a disk, a network or a careless script may do to one event.
_DAMAGE = st.sampled_from(
    [
        ("ts", None),
        ("ts", -5.0),
        ("ts", 1e12),
        ("ts", 1e15),
        ("ts", "12"),
        ("dur", None),
        ("dur", -3.0),
        ("dur", 1e12),
        ("dur", 1e15),
        ("pid", None),
        ("tid", "7"),
        ("ph", "i"),
        ("cat", "kernel"),
        ("cat", ""),
        ("name", ""),
        ("name", "aten::bmm"),
        ("args", None),
        ("args", {}),
        ("args", {"Input Dims": [[1]], "Input type": [3], "correlation": 10**30}),
        ("args", {"Input Dims": 5, "Input type": None, "device": "0"}),
    ]
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 10**6), _DAMAGE), min_size=1, max_size=4), st.randoms())
def test_any_damage_is_refused_in_one_line_or_makes_a_ladder_that_sums(written, damage, order):
    written.events = []
    training(written)
    events = [json.loads(json.dumps(event)) for event in written.events]
    for place, (key, value) in damage:
        events[place % len(events)][key] = value
    order.shuffle(events)
    written.events = events
    try:
        report = load(written.path()).report()
    except GoodputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        return
    assert sum(r.seconds for r in report.ladder) == pytest.approx(report.step.median, rel=1e-9)
    assert report.step.median >= 0


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_cut_or_a_flipped_byte_is_refused_in_one_line_or_reads(written, data):
    written.events = []
    path = training(written).path()
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, 10**6)) % len(content)
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    try:
        report = load(path).report()
    except GoodputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        return
    assert sum(r.seconds for r in report.ladder) == pytest.approx(report.step.median, rel=1e-9)
