"""Kernels that inductor wrote, in traces of a GPU and of a CPU, joined with the counted step."""

from __future__ import annotations

from dataclasses import replace

from goodput.recording.join import join
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.trace.table import Link, Phase
from goodput.work import Work

POINTWISE = "triton_poi_fused_add_gelu_0"
ADD_GELU = Work(vector_flops=7, special=1, bytes_read=30, bytes_written=10)


def entry(kernel, work=ADD_GELU, phase="forward", module="blocks.0.mlp", operator=""):
    return WorkEntry(
        operator=operator or "fused: add, gelu",
        phase=phase,
        module=module,
        shapes="f32[2,5]",
        mode="float32",
        work=work,
        kernel=kernel,
        compiled=True,
    )


def joined(table, *entries):
    table.trace = join(table.trace, WorkPass(entries))
    table.rows = table.trace.invocations
    return table


def test_a_triton_kernel_is_the_operators_it_was_made_of(written):
    written.annotation("## Call CompiledFxGraph fkey ##", 0, 100)
    written.op(POINTWISE, 10, 20, [(2, 5)], kernel_backend="triton")
    written.launch(1, 12, name="cuLaunchKernel")
    written.kernel(1, 30, 40, POINTWISE)
    table = written.read()
    assert table.operators == [POINTWISE]
    assert not table.rows.modelled.any()
    table = joined(table, entry(POINTWISE))
    assert table.operators == ["fused: add, gelu"]
    assert table.words("module") == ["blocks.0.mlp"]
    assert table.words("kernel") == [POINTWISE]
    assert table.words("mode") == ["float32"]
    assert table.rows.modelled.all()
    assert table.rows.vector_flops.tolist() == [7]
    assert table.rows.bytes_read.tolist() == [30]
    assert table.rows.link.tolist() == [Link.EXACT]


def test_kernels_of_one_name_in_two_graphs_are_told_apart_by_order(written):
    for number, start in enumerate((0, 100)):
        written.op(POINTWISE, start + 10, start + 20)
        written.run(number + 1, start + 12, start + 30, start + 40, POINTWISE)
    second = entry(POINTWISE, Work(vector_flops=9), "backward", "head", "fused: mul, sum")
    table = joined(written.read(), entry(POINTWISE), second)
    assert table.operators == ["fused: add, gelu", "fused: mul, sum"]
    assert table.rows.phase.tolist() == [Phase.FORWARD, Phase.BACKWARD]
    assert table.rows.vector_flops.tolist() == [7, 9]


def test_kernels_in_a_cuda_graph_are_known_by_name_and_order(written):
    written.launch(1, 10, name="cudaGraphLaunch")
    written.kernel(1, 20, 30, POINTWISE)
    written.kernel(1, 30, 50, "triton_red_fused_sum_1")
    table = written.read()
    assert set(table.rows.link.tolist()) == {Link.NONE}
    table = joined(
        table,
        entry(POINTWISE),
        entry("triton_red_fused_sum_1", Work(vector_flops=3), "recompute", operator="aten::sum"),
    )
    assert table.operators == ["fused: add, gelu", "aten::sum"]
    assert set(table.rows.link.tolist()) == {Link.ORDER}
    assert table.rows.phase.tolist() == [Phase.FORWARD, Phase.RECOMPUTE]
    assert table.microseconds() == [10, 20]


def test_a_kernel_in_cpp_has_the_time_of_its_mark(written):
    written.annotation("Torch-Compiled Region: 0/0", 0, 100)
    written.op("inductor::g0_cpp_fused_add_gelu_0", 10, 30)
    written.op("aten::mm", 40, 60, [(2, 3), (3, 4)])
    table = joined(
        written.read(),
        entry("inductor::g0_cpp_fused_add_gelu_0"),
        replace(entry("", None, "recompute", "head", "aten::mm"), shapes="f32[2,3] f32[3,4]"),
    )
    assert table.operators == ["fused: add, gelu", "aten::mm"]
    assert table.words("module") == ["blocks.0.mlp", "head"]
    assert table.rows.phase.tolist() == [Phase.FORWARD, Phase.RECOMPUTE]
    assert table.rows.flops.tolist() == [0, 48]
    assert table.rows.modelled.all()


def test_another_number_of_kernels_leaves_them_unmodelled_and_says_so(written):
    written.op("inductor::g0_cpp_fused_add_0", 10, 30)
    written.op("inductor::g0_cpp_fused_add_0", 40, 60)
    table = joined(written.read(), entry("inductor::g0_cpp_fused_add_0"))
    assert not table.rows.modelled.any()
    assert any("g0_cpp_fused_add_0" in warning for warning in table.trace.warnings)


def launched(name, work=ADD_GELU, **other):
    return replace(entry("", work, operator=f"triton::{name}"), compiled=False, **other)


def test_a_kernel_that_the_program_launches_is_known_by_its_own_name(written):
    for number, start in enumerate((0, 100)):
        written.launch(number + 1, start + 10, name="cuLaunchKernel")
        written.kernel(number + 1, start + 30, start + 40, "scale_kernel")
    second = launched("scale_kernel", Work(vector_flops=9), phase="backward", module="head")
    table = joined(written.read(), launched("scale_kernel"), second)
    assert table.operators == ["triton::scale_kernel", "triton::scale_kernel"]
    assert table.rows.vector_flops.tolist() == [7, 9]
    assert table.rows.phase.tolist() == [Phase.FORWARD, Phase.BACKWARD]
    assert table.words("module") == ["blocks.0.mlp", "head"]
    assert table.rows.modelled.all()
    assert set(table.rows.link.tolist()) == {Link.ORDER}


def test_an_operator_of_the_program_s_own_has_the_work_of_the_kernel_in_it(written):
    written.op("mine::scaled", 10, 20, [(2, 5)])
    written.run(1, 12, 30, 40, "scale_kernel")
    table = joined(written.read(), launched("scale_kernel"))
    assert table.operators == ["mine::scaled"]
    assert table.rows.vector_flops.tolist() == [7]
    assert table.rows.modelled.all()


def test_a_kernel_of_the_user_s_in_a_compiled_graph_has_two_names(written):
    written.op("scale_kernel_0", 10, 20, [(2, 5)], kernel_backend="triton")
    written.run(1, 12, 30, 40, "scale_kernel")
    told = entry("scale_kernel_0", operator="triton::scale_kernel")
    table = joined(written.read(), told)
    assert table.operators == ["triton::scale_kernel"]
    assert table.rows.modelled.all()


def test_the_same_replayed_by_a_cuda_graph_has_only_its_own(written):
    written.launch(1, 10, name="cudaGraphLaunch")
    written.kernel(1, 20, 30, "scale_kernel")
    table = joined(written.read(), entry("scale_kernel_0", operator="triton::scale_kernel"))
    assert table.operators == ["triton::scale_kernel"]
    assert table.rows.modelled.all()
