"""Real traces from other people's hardware: every one reads, and the known figures come out."""

import numpy as np
import pytest

from goodput.readers.kineto import read
from goodput.trace.table import Kind, Link, Phase

MILLISECOND = 1e-3
TRACES = {
    "a100x8-train-nccl": ("NVIDIA A100-PG509-200", 3),
    "b200-vllm-moe-eager": ("NVIDIA B200", 1),
    "cpu-only": ("", 1),
    "h100-bert-small-infer": ("NVIDIA H100 80GB HBM3", 1),
    "h100-qwen1.5-0.5b-infer": ("NVIDIA H100 80GB HBM3", 1),
    "h100-timesformer-infer": ("NVIDIA H100 80GB HBM3", 1),
    "mi300x-qwen1.5-0.5b-infer": ("AMD Instinct MI300X VF", 1),
    "mi300x-resnet-ddp-train-checkpointing": ("AMD Instinct MI300X", 3),
    "normalization-layers": ("AMD Instinct MI300X", 1),
    "torch-compile-triton": ("AMD Instinct MI300X", 1),
    "v100x8-train-rank0": ("Tesla V100-SXM2-32GB", 5),
    "vllm-decode-graph-capture": ("", 1),
    "vllm-decode-graph-replay": ("", 1),
}


@pytest.fixture(scope="module")
def trace_of(shared_traces):
    kept = {}

    def trace_of(name):
        if name not in kept:
            kept[name] = read(shared_traces / f"{name}.json.gz")
        return kept[name]

    return trace_of


def share(trace, name):
    """The seconds of that name over all steps, by their wall."""
    return sum(getattr(s, name) for s in trace.steps) / sum(s.wall_seconds for s in trace.steps)


def milliseconds(trace, rows):
    return float(trace.invocations.device_seconds[rows].sum()) / MILLISECOND


def test_no_shared_trace_is_forgotten(shared_traces):
    files = {path.name.removesuffix(".json.gz") for path in shared_traces.glob("*.json.gz")}
    assert files == set(TRACES)


@pytest.mark.parametrize("name", TRACES)
def test_every_shared_trace_reads(trace_of, name):
    trace = trace_of(name)
    device, steps = TRACES[name]
    assert trace.device.name == device
    assert len(trace.steps) == steps
    assert len(trace.invocations)
    table = trace.invocations
    assert (table.device_seconds >= 0).all()
    assert table.step.min() >= 0
    assert table.step.max() < steps
    for column in ("operator", "module", "source", "shapes", "mode", "kernel"):
        assert getattr(table, column).max() < len(trace.strings)
    assert trace.strings[0] == ""


@pytest.mark.parametrize("name", TRACES)
def test_the_owned_seconds_of_every_shared_trace_are_its_busy_time(trace_of, name):
    trace = trace_of(name)
    busy = sum(step.busy_seconds for step in trace.steps)
    assert trace.invocations.device_seconds.sum() == pytest.approx(busy, rel=1e-6)
    for step in trace.steps:
        parts = step.busy_seconds + step.host_gap_seconds + step.idle_gap_seconds
        assert parts == pytest.approx(step.wall_seconds, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "busy", "host"),
    [
        ("h100-bert-small-infer", 0.079, 0.92),
        ("h100-qwen1.5-0.5b-infer", 0.914, 0.036),
        ("h100-timesformer-infer", 0.990, 0.005),
    ],
)
def test_busy_and_host_bound_shares(trace_of, name, busy, host):
    trace = trace_of(name)
    assert share(trace, "busy_seconds") == pytest.approx(busy, abs=0.01)
    assert share(trace, "host_gap_seconds") == pytest.approx(host, abs=0.01)


def test_the_drain_before_the_qwen_window_is_left_out(trace_of):
    trace = trace_of("h100-qwen1.5-0.5b-infer")
    assert trace.edge_seconds / MILLISECOND == pytest.approx(13.74, abs=0.01)
    # 1465 kernels and 242 copies and fills; 436 kernels and 73 fills are from before the window.
    assert trace.invocations.kernels.sum() == 1465 + 242 - 436 - 73
    assert (trace.invocations.link == Link.EXACT).all()


def test_the_recompute_of_a_checkpointed_training_step(trace_of):
    trace = trace_of("mi300x-resnet-ddp-train-checkpointing")
    table = trace.invocations
    assert milliseconds(trace, table.phase == Phase.RECOMPUTE) == pytest.approx(4.21, abs=0.05)
    operators = {trace.strings[i] for i in np.unique(table.operator[table.phase == Phase.BACKWARD])}
    assert "aten::convolution_backward" in operators
    assert (trace.rank, trace.world_size) == (0, 8)


def test_backward_of_a_real_model_has_its_modules(trace_of):
    trace = trace_of("mi300x-resnet-ddp-train-checkpointing")
    backward = trace.invocations.phase == Phase.BACKWARD
    named = backward & (trace.invocations.module != 0)
    assert milliseconds(trace, named) > 0.9 * milliseconds(trace, backward)


def test_communication_of_the_a100_trace(trace_of):
    trace = trace_of("a100x8-train-nccl")
    rows = trace.invocations.kind == Kind.COMMUNICATION
    assert milliseconds(trace, rows) > 30
    assert any("record_shapes" in sentence for sentence in trace.warnings)


def test_the_kernels_of_a_replayed_graph_stand_under_their_own_names(trace_of):
    trace = trace_of("vllm-decode-graph-replay")
    table = trace.invocations
    linked = milliseconds(trace, table.link == Link.EXACT)
    assert linked / milliseconds(trace, slice(None)) < 0.05
    assert (table.link == Link.NONE).sum() == 421


def test_captured_launches_have_no_kernel_and_that_is_told(trace_of):
    trace = trace_of("vllm-decode-graph-capture")
    assert trace.unlinked_launches > 400
    assert any("captured into a graph" in sentence for sentence in trace.warnings)


def test_compiled_triton_kernels_are_named_and_unmodelled(trace_of):
    trace = trace_of("torch-compile-triton")
    table = trace.invocations
    names = {trace.strings[i] for i in np.unique(table.operator[~table.modelled])}
    assert len(names) == 4
    assert all(name.startswith("triton_") for name in names)


@pytest.mark.parametrize(
    "name",
    [
        "h100-bert-small-infer",
        "h100-qwen1.5-0.5b-infer",
        "h100-timesformer-infer",
        "mi300x-qwen1.5-0.5b-infer",
    ],
)
def test_95_percent_of_the_device_time_is_modelled(trace_of, name):
    trace = trace_of(name)
    compute = trace.invocations.kind == Kind.COMPUTE
    modelled = milliseconds(trace, compute & trace.invocations.modelled)
    assert modelled >= 0.95 * milliseconds(trace, compute)
