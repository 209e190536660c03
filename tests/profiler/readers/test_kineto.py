"""A kernel goes to its operator, an operator to its step, and what has no place is told."""

import pytest

from goodput.errors import TraceFormatError
from goodput.trace.table import Kind, Link, Phase

MM = [(8, 16), (16, 4)]
BMM = [(2, 8, 16), (2, 16, 4)]
MM_FLOPS = 2 * 8 * 16 * 4


def column(table, name, kind=None):
    values = getattr(table.rows, name).tolist()
    return [kind(value) for value in values] if kind else values


# Who owns a kernel


def test_a_kernel_belongs_to_the_operator_that_launched_it_and_its_work_counts_once(written):
    written.op("aten::mm", 0, 20, MM)
    written.run(1, 2, 10, 14, name="split")
    written.run(2, 5, 14, 24, name="gemm")
    table = written.read()
    assert table.operators == ["aten::mm"]
    assert table.microseconds() == [14.0]
    assert column(table, "kernels") == [2]
    assert column(table, "flops") == [MM_FLOPS]
    assert column(table, "link", Link) == [Link.EXACT]
    assert column(table, "modelled") == [True]
    assert table.words("kernel") == ["gemm"]
    assert table.words("shapes") == ["f32[8,16] f32[16,4]"]
    assert table.words("mode") == ["float32"]
    assert column(table, "host_seconds") == pytest.approx([20e-6])
    assert column(table, "events") == [2]


def test_the_outermost_operator_with_a_formula_owns(written):
    written.op("aten::matmul", 0, 30, MM)
    written.op("aten::addmm", 1, 29, [(4,), (8, 16), (16, 4)])
    written.op("aten::mm", 2, 28, MM)
    written.run(1, 5, 10, 14)
    assert written.read().operators == ["aten::addmm"]


def test_owning_stops_at_annotations_and_backward_nodes(written):
    written.op("aten::bmm", 0, 100, BMM)
    written.engine("MmBackward0", 1, 40, 3)
    written.op("aten::mm", 2, 30, MM)
    written.run(1, 5, 10, 14)
    written.annotation("## mine ##", 50, 90)
    written.op("aten::dot", 51, 80, [(8,), (8,)])
    written.run(2, 55, 60, 64)
    assert written.read().operators == ["aten::mm", "aten::dot"]


def test_without_a_formula_the_innermost_that_is_no_composite_owns(written):
    written.op("mylib::outer", 0, 60, [(8,)])
    written.op("mylib::attention", 1, 50, [(8,)])
    written.op("aten::matmul", 2, 40, MM)
    written.run(1, 5, 10, 14)
    table = written.read()
    assert table.operators == ["mylib::attention"]
    assert column(table, "modelled") == [False]
    assert column(table, "link", Link) == [Link.EXACT]


def test_an_overload_is_no_part_of_the_operators_name(written):
    written.op("aten::mm.out", 0, 20, MM)
    written.run(1, 2, 10, 14)
    assert written.read().operators == ["aten::mm"]


def test_a_compiled_kernels_own_event_owns_it(written):
    written.host("triton_poi_fused_add_0", 0, 9, kernel_backend="triton")
    written.run(1, 2, 10, 14, name="triton_poi_fused_add_0")
    table = written.read()
    assert table.operators == ["triton_poi_fused_add_0"]
    assert column(table, "modelled") == [False]


def test_a_kernel_without_its_launch_goes_by_external_id(written):
    external = written.op("aten::mm", 0, 20, MM)
    written.launch(99, 1)
    written.kernel(1, 10, 14, **{"External id": external})
    table = written.read()
    assert table.operators == ["aten::mm"]
    assert column(table, "link", Link) == [Link.ORDER]


def test_a_launch_outside_of_any_operator_leaves_the_kernels_own_name(written):
    written.module("net", 0, 9)
    written.run(1, 2, 10, 14, name="my_kernel")
    table = written.read()
    assert table.operators == ["my_kernel"]
    assert column(table, "link", Link) == [Link.NONE]
    assert table.words("module") == ["net"]
    assert column(table, "phase", Phase) == [Phase.FORWARD]


def test_the_kernels_of_a_graph_replay_stand_for_themselves(written):
    written.op("aten::mm", 0, 9, MM)
    written.run(1, 2, 10, 14)
    written.launch(2, 20, name="cudaGraphLaunch")
    written.kernel(2, 30, 34, "first")
    written.kernel(2, 34, 36, "second")
    table = written.read()
    assert table.operators == ["aten::mm", "first", "second"]
    assert column(table, "link", Link)[1:] == [Link.NONE] * 2
    assert column(table, "phase", Phase)[1:] == [Phase.OTHER] * 2


def test_rows_are_in_host_start_order(written):
    written.op("aten::bmm", 100, 109, BMM)
    written.op("aten::mm", 0, 9, MM)
    written.run(2, 102, 210, 214)
    written.run(1, 2, 310, 314)
    assert written.read().operators == ["aten::mm", "aten::bmm"]


# Copies and communication


def test_copies_between_host_and_device_are_copies_whoever_made_them(written):
    written.op("aten::copy_", 0, 9, [(8,), (8,)])
    written.run(1, 2, 10, 14, "Memcpy HtoD (Pinned -> Device)", "gpu_memcpy")
    table = written.read()
    assert table.operators == ["aten::copy_"]
    assert column(table, "kind", Kind) == [Kind.COPIES]
    assert column(table, "phase", Phase) == [Phase.OTHER]


def test_a_copy_inside_the_device_is_its_operators_work(written):
    written.op("aten::copy_", 0, 9, [(8,), (8,)])
    written.run(1, 2, 10, 14, "Memcpy DtoD (Device -> Device)", "gpu_memcpy")
    table = written.read()
    assert column(table, "kind", Kind) == [Kind.COMPUTE]
    assert column(table, "bytes_written") == [32]


@pytest.mark.parametrize(("owned", "kind"), [(True, Kind.COMPUTE), (False, Kind.COPIES)])
def test_a_fill_is_its_operators_work_or_else_a_copy(written, owned, kind):
    if owned:
        written.op("aten::mm", 0, 9, MM)
    written.run(1, 2, 10, 14, "Memset (Device)", "gpu_memset")
    assert column(written.read(), "kind", Kind) == [kind]


def test_an_operator_with_kernels_and_a_copy_has_two_rows_and_its_work_once(written):
    written.op("aten::mm", 0, 20, MM)
    written.run(1, 2, 10, 14, "Memcpy DtoH (Device -> Pageable)", "gpu_memcpy")
    written.run(2, 5, 14, 24)
    table = written.read()
    assert sorted(zip(column(table, "kind", Kind), column(table, "flops"), strict=True)) == [
        (Kind.COMPUTE, MM_FLOPS),
        (Kind.COPIES, 0),
    ]


@pytest.mark.parametrize(
    ("operator", "kernel"),
    [
        ("c10d::allreduce_", "ncclDevKernel_AllReduce_Sum_bf16_RING_LL"),
        ("record_param_comms", "ncclKernel_AllGather"),
        ("vllm::all_reduce", "void (anonymous namespace)::multimem_all_reduce_kernel<float>"),
        ("c10d::send", "some_kernel"),
    ],
)
def test_communication(written, operator, kernel):
    written.op(operator, 0, 9)
    written.run(1, 2, 10, 14, kernel)
    written.op("aten::mm", 20, 29, MM)
    written.run(2, 22, 12, 18)
    table = written.read()
    assert column(table, "kind", Kind) == [Kind.COMMUNICATION, Kind.COMPUTE]
    # Compute owns the instants that both run in.
    assert table.microseconds() == [2.0, 6.0]
    assert column(table, "phase", Phase) == [Phase.OTHER, Phase.FORWARD]


# Steps and gaps


def step(written, number, begin, finish, kernels):
    """One step with a kernel for each (launched, start, end)."""
    written.annotation(f"ProfilerStep#{number}", begin, finish)
    for launched, start, end in kernels:
        written.op("aten::mm", launched - 1, launched + 1.5, MM)
        written.run(1000 * number + launched, launched, start, end)


def seconds(table, name):
    return [round(getattr(each, name) * 1e6, 3) for each in table.trace.steps]


def test_a_kernel_belongs_to_the_step_that_launched_it(written):
    step(written, 4, 0, 100, [(10, 50, 140)])
    step(written, 5, 101, 200, [(110, 145, 260), (120, 260, 300)])
    table = written.read()
    assert [each.number for each in table.trace.steps] == [4, 5]
    assert column(table, "step") == [0, 1, 1]
    # The first begins with its own first kernel, the second where the first ended.
    assert seconds(table, "wall_seconds") == [90.0, 160.0]
    assert seconds(table, "busy_seconds") == [90.0, 155.0]
    assert seconds(table, "idle_gap_seconds") == [0.0, 5.0]
    assert seconds(table, "host_gap_seconds") == [0.0, 0.0]
    assert [each.events for each in table.trace.steps] == [3, 5]


def test_a_gap_is_the_hosts_where_the_next_launch_came_after_the_device_went_idle(written):
    step(written, 0, 0, 200, [(10, 20, 40), (30, 50, 60), (100, 110, 130)])
    table = written.read()
    assert seconds(table, "wall_seconds") == [110.0]
    assert seconds(table, "idle_gap_seconds") == [10.0]
    assert seconds(table, "host_gap_seconds") == [50.0]


def test_host_time_between_touching_steps_is_not_lost(written):
    step(written, 0, 0, 100, [(10, 20, 40)])
    step(written, 1, 101, 200, [(110, 120, 140)])
    table = written.read()
    assert seconds(table, "wall_seconds") == [20.0, 100.0]
    assert seconds(table, "host_gap_seconds") == [0.0, 80.0]


def test_a_step_after_a_pause_begins_with_its_own_host_span(written):
    step(written, 0, 0, 100, [(10, 20, 40)])
    step(written, 1, 1000, 1100, [(1010, 1020, 1040)])
    assert seconds(written.read(), "wall_seconds") == [20.0, 40.0]


def test_what_was_launched_before_the_window_is_told_and_left_out(written):
    step(written, 0, 100, 200, [(110, 150, 170)])
    written.kernel(1, 90, 120)
    written.kernel(2, 120, 140)
    table = written.read()
    assert table.trace.edge_seconds == pytest.approx(50e-6)
    assert table.operators == ["aten::mm"]
    assert seconds(table, "wall_seconds") == [20.0]


def test_a_drain_that_lasts_into_the_step_delays_its_begin(written):
    step(written, 0, 100, 200, [(105, 110, 120), (110, 150, 170)])
    written.kernel(1, 90, 140)
    assert seconds(written.read(), "wall_seconds") == [30.0]


def test_goodputs_own_boundaries_come_first(written):
    for number, at in enumerate([0, 100, 200]):
        written.host(f"goodput::boundary#{number}", at, at + 1)
    step(written, 7, 10, 190, [(20, 30, 50), (120, 130, 160)])
    table = written.read()
    assert [each.number for each in table.trace.steps] == [0, 1]
    assert column(table, "step") == [0, 1]


def test_kernels_in_no_step_and_steps_without_kernels_are_left_out(written):
    step(written, 1, 0, 100, [(10, 20, 40)])
    step(written, 2, 101, 200, [])
    step(written, 3, 201, 300, [(210, 220, 240)])
    written.run(9, 350, 360, 390)
    table = written.read()
    assert [each.number for each in table.trace.steps] == [1, 3]
    assert column(table, "step") == [0, 1]
    assert table.trace.edge_seconds == pytest.approx(30e-6)


def test_without_marks_the_window_is_one_step_and_that_is_said(written):
    written.op("aten::mm", 0, 9, MM)
    written.run(1, 2, 10, 14)
    table = written.read()
    assert len(table.trace.steps) == 1
    assert any("marks no steps" in sentence for sentence in table.trace.warnings)


def test_a_file_of_kernels_only_is_one_window(written):
    written.kernel(1, 10, 14, "a")
    written.kernel(2, 20, 30, "b")
    table = written.read()
    assert table.operators == ["a", "b"]
    assert seconds(table, "wall_seconds") == [20.0]
    assert seconds(table, "busy_seconds") == [14.0]
    assert table.trace.edge_seconds == 0.0


def test_only_kernels_from_before_the_window_is_no_step(written):
    written.op("aten::mm", 100, 109, MM)
    written.launch(7, 101)
    written.kernel(1, 10, 14)
    with pytest.raises(TraceFormatError, match="profile at least one whole step"):
        written.read()


def test_busy_host_and_idle_are_the_wall(written):
    step(written, 0, 0, 100, [(10, 20, 45), (15, 30, 60), (50, 70, 90)])
    step(written, 1, 101, 200, [(110, 120, 140), (111, 141, 150)])
    for each in written.read().trace.steps:
        parts = each.busy_seconds + each.host_gap_seconds + each.idle_gap_seconds
        assert parts == pytest.approx(each.wall_seconds, rel=1e-12)


# What the file says of itself


def test_device_rank_and_versions(written):
    written.head |= {
        "distributedInfo": {"rank": 3, "world_size": 8},
        "cuda_runtime_version": 12040,
    }
    step(written, 0, 0, 100, [(10, 20, 40)])
    trace = written.read().trace
    assert (trace.rank, trace.world_size) == (3, 8)
    assert trace.environment == {"cuda_runtime_version": "12040"}
    assert (trace.device.kind, trace.device.name) == ("cuda", "NVIDIA Test")
    assert (trace.device.units, trace.device.memory_bytes) == (7, 1000)


@pytest.mark.parametrize("sign", ["name", "version", "launch"])
def test_an_amd_device_by_any_of_its_signs(written, sign):
    written.op("aten::mm", 0, 9, MM)
    written.launch(1, 2, name="hipLaunchKernel" if sign == "launch" else "launch")
    written.kernel(1, 10, 14)
    if sign == "name":
        written.head["deviceProperties"][0]["name"] = "AMD Instinct"
    if sign == "version":
        written.head["hip_runtime_version"] = 6
    assert written.read().trace.device.kind == "hip"


def test_a_file_that_does_not_name_its_device(written):
    written.head = {}
    step(written, 0, 0, 100, [(10, 20, 40)])
    assert written.read().trace.device.name == ""


def test_of_several_devices_the_one_that_worked_most_and_that_is_said(written):
    step(written, 0, 0, 100, [(10, 20, 40)])
    written.op("aten::bmm", 50, 59, BMM)
    written.launch(77, 51)
    written.kernel(77, 60, 99, device=1)
    table = written.read()
    assert table.trace.device.name == "NVIDIA Other"
    assert table.operators == ["aten::bmm"]
    assert table.trace.unlinked_launches == 0
    assert any("2 devices" in sentence for sentence in table.trace.warnings)


def test_launches_without_a_kernel_are_counted_and_said(written):
    step(written, 0, 0, 100, [(10, 20, 40)])
    written.launch(55, 60)
    written.launch(56, 61, name="cudaMemsetAsync")
    trace = written.read().trace
    assert trace.unlinked_launches == 1
    assert any("1 launches have no kernel" in sentence for sentence in trace.warnings)


def test_a_trace_without_shapes_is_read_and_says_what_to_do(written):
    written.host("aten::mm", 0, 9)
    written.run(1, 2, 10, 14)
    table = written.read()
    assert column(table, "modelled") == [False]
    assert any("record_shapes=True" in sentence for sentence in table.trace.warnings)


def test_a_list_too_long_to_be_recorded_leaves_its_operator_unmodelled(written):
    written.op("aten::_foreach_add_", 0, 9, [(), ()], types=["TensorList", "Scalar"])
    written.run(1, 2, 10, 14)
    table = written.read()
    assert column(table, "modelled") == [False]
    assert table.operators == ["aten::_foreach_add_"]


def test_the_string_table_holds_what_the_rows_name_and_begins_with_nothing(written):
    step(written, 0, 0, 100, [(10, 20, 40)])
    table = written.read()
    assert table.trace.strings[0] == ""
    assert set(table.trace.strings) == {"", "aten::mm", "kernel", "f32[8,16] f32[16,4]", "float32"}


# On a CPU


def test_on_a_cpu_an_operators_span_is_its_device_time(written):
    written.annotation("ProfilerStep#3", 0, 100)
    written.op("aten::addmm", 10, 40, [(4,), (8, 16), (16, 4)])
    written.op("aten::mm", 12, 30, MM)
    written.op("aten::mm", 60, 80, MM)
    table = written.read()
    assert table.operators == ["aten::addmm", "aten::mm"]
    assert table.microseconds() == [30.0, 20.0]
    assert column(table, "events") == [1, 0]
    assert column(table, "kernels") == [0, 0]
    assert table.trace.device.kind == "cpu"
    assert seconds(table, "wall_seconds") == [100.0]
    assert seconds(table, "busy_seconds") == [50.0]
    assert seconds(table, "host_gap_seconds") == [50.0]
    assert seconds(table, "idle_gap_seconds") == [0.0]


def test_on_a_cpu_views_and_containers_are_the_hosts_time(written):
    written.annotation("ProfilerStep#3", 0, 100)
    written.op("aten::view", 5, 10, [(8, 16)], concrete=[""])
    written.engine("MmBackward0", 20, 90, 3)
    written.host("MmBackward0", 21, 89)
    written.op("aten::matmul", 22, 88, MM)
    written.op("aten::mm", 30, 50, MM)
    table = written.read()
    assert table.operators == ["aten::mm"]
    assert seconds(table, "host_gap_seconds") == [80.0]


def test_on_a_cpu_an_unknown_operator_has_its_own_time_by_name(written):
    written.op("mylib::block", 0, 100, [(8,)])
    written.op("aten::mm", 10, 30, MM)
    written.op("mylib::inner", 40, 60, [(8,)])
    written.op("aten::bmm", 45, 50, BMM)
    table = written.read()
    assert table.operators == ["mylib::block", "aten::mm", "mylib::inner", "aten::bmm"]
    assert table.microseconds() == [60.0, 20.0, 15.0, 5.0]
    assert column(table, "modelled") == [False, True, False, True]
    assert column(table, "events") == [0, 0, 0, 0]


def test_on_a_cpu_threads_share_the_time_that_they_overlap(written):
    written.annotation("ProfilerStep#3", 0, 100)
    written.op("aten::mm", 0, 20, MM)
    written.op("aten::bmm", 10, 30, BMM, thread=2)
    table = written.read()
    assert table.microseconds() == [15.0, 15.0]
    assert seconds(table, "busy_seconds") == [30.0]


def test_on_a_cpu_a_collective_counts_where_nothing_hides_it(written):
    written.annotation("ProfilerStep#3", 0, 100)
    written.op("aten::mm", 0, 20, MM)
    written.annotation("gloo:all_reduce", 10, 50, thread=9)
    table = written.read()
    assert table.operators == ["aten::mm", "gloo:all_reduce"]
    assert table.microseconds() == [20.0, 30.0]
    assert column(table, "kind", Kind) == [Kind.COMPUTE, Kind.COMMUNICATION]


def test_on_a_cpu_what_runs_outside_of_the_steps_is_told(written):
    written.op("aten::mm", 0, 20, MM)
    written.annotation("ProfilerStep#3", 100, 200)
    written.op("aten::mm", 110, 120, MM)
    table = written.read()
    assert table.microseconds() == [10.0]
    assert table.trace.edge_seconds == pytest.approx(20e-6)


def test_on_a_cpu_a_program_of_views_only_has_no_rows_and_is_all_gap(written):
    written.annotation("ProfilerStep#3", 0, 100)
    written.op("aten::view", 5, 10, [(8, 16)], concrete=[""])
    table = written.read()
    assert table.operators == []
    assert seconds(table, "host_gap_seconds") == [100.0]
