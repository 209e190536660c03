"""Runs and baselines made by hand."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from goodput.gates.baselines import Baseline
from goodput.gates.blessing import blessed
from goodput.gates.observation import METHOD, OperatorFigures
from goodput.gates.observed_run import CaseRun
from goodput.report.verdicts import Tier

VALUES = {
    "useful_flops": 1_000_000.0,
    "executed_flops": 1_100_000.0,
    "useful_flops.bfloat16": 1_000_000.0,
    "executed_flops.bfloat16": 1_100_000.0,
    "recompute_ratio": 1.1,
    "bytes": 5_000.0,
    "operator_calls": 40.0,
    "upcasts": 0.0,
    "graph_breaks": 0.0,
}
OPERATORS = {
    "aten::mm forward bfloat16": OperatorFigures(10, 1_100_000, 3_000),
    "aten::gelu forward bfloat16": OperatorFigures(30, 0, 2_000),
}


@pytest.fixture
def run() -> CaseRun:
    return CaseRun(
        "gpt",
        Tier.EXACT,
        {"program": "gpt.py:step", "batch": 8},
        (VALUES, VALUES, VALUES),
        OPERATORS,
        {"torch": "2.13.0", "triton": "3.9.0"},
        METHOD,
        commit="0123456789ab",
        reproduce="goodput check --tier exact --case gpt",
    )


@pytest.fixture
def baseline(run: CaseRun) -> Baseline:
    return blessed(run, None, "the first one")


@pytest.fixture
def with_values(run: CaseRun) -> Callable[..., CaseRun]:
    def change(**values: float | None) -> CaseRun:
        changed = {name: value for name, value in {**VALUES, **values}.items() if value is not None}
        return replace(run, processes=(changed,) * 3)

    return change
