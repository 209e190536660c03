"""The JAX example, from the command line to the report, in a process without torch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.capacity.store import save
from goodput.frontends.host_device import cpu_identity

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = REPOSITORY / "benchmarks" / "models" / "jax_gpt.py"
BATCH, TOKENS, LAYERS, HEADS, WIDTH, VOCABULARY = 4, 64, 2, 4, 128, 256
SMALL = ["--batch", "4", "--block", "64", "--layers", "2", "--heads", "4", "--width", "128"]

WITHOUT_TORCH = """
import sys
from goodput.cli import status_of
status = status_of(sys.argv[1:])
sys.exit(status or 99 * ("torch" in sys.modules))
"""


def forward():
    """Useful FLOPs of the products of one forward pass, every attention pair counted."""
    tokens = BATCH * TOKENS
    blocks = LAYERS * (2 * tokens * 12 * WIDTH**2 + 4 * tokens * TOKENS * WIDTH)
    return blocks + 2 * tokens * WIDTH * VOCABULARY


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder of a run, and the finished process."""
    folder = tmp_path_factory.mktemp("jax")
    how = Provenance("measured", "made up")
    bandwidth = {"copy": (BandwidthPoint(1_000_000, Peak(1e14, how)),)}
    flops, vector = Peak(1e15, how), Peak(1e14, how)
    roofs = Capacity(cpu_identity(), {"float32": flops}, {}, vector, vector, bandwidth)
    save(folder / "roofs.json", roofs)
    options = ["run", "--json", "report.json", "--capacity", "roofs.json"]
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *options, str(SCRIPT), *SMALL],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}/profiler:{REPOSITORY}/kernels"},
        capture_output=True,
        text=True,
        check=False,
    )
    return folder, process


def test_a_jax_script_is_measured_and_torch_never_imported(done):
    folder, process = done
    assert process.returncode == 0, process.stderr
    assert "step 44: loss" in process.stdout
    assert "program goodput" in process.stdout
    assert (folder / "jax_gpt.goodput").exists()


def test_its_step_is_counted_to_the_flop(done):
    report = json.loads((done[0] / "report.json").read_text())
    # Forward once, backward twice; nothing is differentiated by the tokens.
    assert report["totals"]["useful_flops"] == 3 * forward()
    assert report["step"]["basis"] == "window"
    assert report["step"]["count"] >= 10
    assert report["totals"]["tokens_per_s"] > 0


def test_nearly_all_of_its_time_is_mapped_and_modelled(done):
    report = json.loads((done[0] / "report.json").read_text())
    assert report["coverage"]["exactly_linked_share"] >= 0.95
    assert report["coverage"]["modelled_share"] >= 0.90
    modules = {row["module"] for row in report["modules"]}
    assert {"blocks.attention", "blocks.mlp", "head"} <= modules
    assert {row["phase"] for row in report["operators"]} >= {"forward", "backward"}
    total = sum(rung["seconds"] for rung in report["ladder"])
    assert total == pytest.approx(report["step"]["seconds"]["median"])
