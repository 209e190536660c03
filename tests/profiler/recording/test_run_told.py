"""A script that tells of its padding, measured: trace and counted step agree on it."""

from __future__ import annotations

import pytest

from goodput.report.beyond import TOLD
from goodput.report.build import build

pytest.importorskip("torch")

SCRIPT = """
import sys
import torch
import goodput

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(50, 64)
        self.first = torch.nn.Linear(64, 128, bias=False)
        self.second = torch.nn.Linear(128, 64, bias=False)

    def forward(self, input_ids, attention_mask=None):
        return self.second(torch.relu(self.first(self.table(input_ids))))

model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
mask = torch.arange(16) < torch.tensor([16, 8, 4, 12])[:, None]
for step in range(40):
    ids = torch.zeros(4, 16, dtype=torch.long)
    if sys.argv[1] == "passed":
        out = model(ids, attention_mask=mask)
    else:
        goodput.useful_tokens(mask)
        out = model(ids)
    out.square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
"""
USEFUL, ALL = 40, 64
PRODUCT = 2 * 64 * 128
"""FLOPs of a token in each of six products: two forward, four backward."""


@pytest.mark.parametrize(
    ("how", "teller"),
    [
        pytest.param("passed", "attention_mask", marks=pytest.mark.slow),
        ("told", "goodput.useful_tokens"),
    ],
)
def test_padding_is_executed_and_not_useful(scripts, how: str, teller: str) -> None:
    path = scripts.write(SCRIPT)
    recorded = scripts.record(path, how, warmup=3)
    recording = recorded.recording
    assert recording is not None, recorded.reason
    report = build(recording, None)
    assert report.totals.useful_flops == 6 * USEFUL * PRODUCT
    assert report.totals.executed_flops == 6 * ALL * PRODUCT
    assert {one.cause: one.flops for one in report.beyond} == {TOLD: 6 * (ALL - USEFUL) * PRODUCT}
    assert any(f"as {teller} told" in sentence for sentence in report.warnings)
    assert not any("the counted step says" in sentence for sentence in report.warnings)
    assert scripts.plain(path, how).returncode == 0  # without goodput run nothing happens
