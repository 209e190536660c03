"""A whole run of a script that uses torch.compile: measured kernel by kernel, and undisturbed."""

from __future__ import annotations

import shutil

import pytest

from goodput.report.build import build
from goodput.trace.table import Phase

pytest.importorskip("torch")
pytestmark = pytest.mark.slow
if shutil.which("g++") is None and shutil.which("clang++") is None:
    pytest.skip("inductor needs a C++ compiler", allow_module_level=True)

ROWS, WIDTH = 64, 64
LINEAR = 2 * ROWS * WIDTH * WIDTH

SCRIPT = """
import sys
import torch
from torch._dynamo.utils import counters

torch.manual_seed(0)

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(64)
        self.first = torch.nn.Linear(64, 64)
        self.second = torch.nn.Linear(64, 64)

    def forward(self, x):
        return self.second(torch.nn.functional.gelu(self.first(self.norm(x))))

model = Net()
compiled = torch.compile(model)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for step in range(40):
    x = torch.randn(64, 64)
    loss = (compiled(x) - x).pow(2).mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print(loss.item(), counters["stats"]["unique_graphs"], counters["stats"]["calls_captured"])
"""


def test_a_compiled_script_is_measured_kernel_by_kernel(scripts):
    path = scripts.write(SCRIPT)
    plain = scripts.plain(path)
    recorded = scripts.record(path, warmup=4)
    assert recorded.process.stdout == plain.stdout  # the same loss, and compiled as often
    assert recorded.process.stderr == ""
    assert recorded.process.returncode == 0
    recording = recorded.recording
    assert recording is not None, recorded.reason
    assert recording.warnings == ()
    table, strings = recording.trace.invocations, recording.trace.strings
    assert recording.trace.warnings == ()
    names = [strings[index] for index in table.operator.tolist()]
    assert table.modelled.all(), {n for n, m in zip(names, table.modelled, strict=True) if not m}
    # Two forward products; backward both gradients of the second layer and of the first one, whose
    # input has one too: the norm's.
    assert int(table.flops.sum()) == 6 * LINEAR * len(recording.trace.steps)
    assert sum(entry.work.flops for entry in recording.work.entries) == 6 * LINEAR
    modules = {
        (strings[module], Phase(phase).name)
        for module, phase, flops in zip(
            table.module.tolist(), table.phase.tolist(), table.flops.tolist(), strict=True
        )
        if flops
    }
    expected = {(m, p) for m in ("first", "second") for p in ("FORWARD", "BACKWARD")}
    assert modules == expected
    fused = {name for name in names if name.startswith("fused: ")}
    assert any("native_layer_norm" in name for name in fused)
    report = build(recording, None)
    told = {row.operator for row in report.operators}
    assert fused <= told
    assert not any("inductor::" in name for name in told)
