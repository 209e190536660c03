"""A script that computes with torch and with JAX gets a report of each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax", reason="one of the two frameworks")
pytest.importorskip("torch", reason="one of the two frameworks")

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import jax
import jax.numpy as jnp
import torch

model = torch.nn.Linear(8, 4)
optimizer = torch.optim.SGD(model.parameters())
step = jax.jit(lambda x: x @ x / 16)
x = jnp.ones((16, 16))
for _ in range(8):
    model(torch.ones(2, 8)).sum().backward()
    optimizer.step()
    x = step(x)
"""
# Forward, and the gradient by the weight alone.
OF_TORCH, OF_JAX = 2 * 2 * 2 * 8 * 4, 2 * 16**3


@pytest.mark.parametrize("place", ["report.json", "-"])
def test_each_framework_has_a_report(place, tmp_path):
    (tmp_path / "both.py").write_text(SCRIPT)
    roots = os.pathsep.join(str(ROOT / root) for root in ("profiler", "kernels"))
    done = subprocess.run(
        [sys.executable, "-m", "goodput", "run", "--count-only", "--json", place, "both.py"],
        env={**os.environ, "PYTHONPATH": roots, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first = done.stdout if place == "-" else (tmp_path / place).read_text()
    report = json.loads(first)
    assert report["totals"]["useful_flops"] == OF_TORCH
    assert "steps of jax too" in " ".join(report["warnings"])
    assert {path.name for path in tmp_path.glob("*.goodput")} == {
        "both.goodput",
        "both.jax.goodput",
    }
    if place != "-":
        of_jax = json.loads((tmp_path / "report.jax.json").read_text())
        assert of_jax["totals"]["useful_flops"] == OF_JAX
        assert "steps of torch too" in " ".join(of_jax["warnings"])
