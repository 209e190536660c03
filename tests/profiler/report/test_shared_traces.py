"""Every shared trace makes a ladder that sums to its wall, and the named ones are modelled."""

import pytest

from goodput.commands.stored import load

TRACES = (
    "a100x8-train-nccl",
    "b200-vllm-moe-eager",
    "cpu-only",
    "h100-bert-small-infer",
    "h100-qwen1.5-0.5b-infer",
    "h100-timesformer-infer",
    "mi300x-qwen1.5-0.5b-infer",
    "mi300x-resnet-ddp-train-checkpointing",
    "normalization-layers",
    "torch-compile-triton",
    "v100x8-train-rank0",
    "vllm-decode-graph-capture",
    "vllm-decode-graph-replay",
)
MODELLED = {
    "h100-bert-small-infer",
    "h100-qwen1.5-0.5b-infer",
    "h100-timesformer-infer",
    "mi300x-qwen1.5-0.5b-infer",
}


@pytest.mark.parametrize("name", TRACES)
def test_the_ladder_of_a_shared_trace_sums_to_its_wall(shared_traces, name):
    report = load(shared_traces / f"{name}.json.gz").report()
    assert sum(r.seconds for r in report.ladder) == pytest.approx(report.step.median, rel=1e-9)
    rungs = {rung.rung: rung.share for rung in report.ladder}
    if report.totals.program_goodput is not None:
        assert rungs["useful"] == pytest.approx(report.totals.program_goodput, abs=1e-12)
    else:
        assert "useful" in report.coverage.absent_rungs
    if name in MODELLED:
        assert report.coverage.modelled_share >= 0.95
    assert not report.errors
