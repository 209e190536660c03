"""The example that trains a compiled GPT, as the README has it: counted as its eager twin."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.capacity.store import save
from goodput.frontends.torch_device import identity

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = "benchmarks/models/gpt_compiled.py"

pytestmark = pytest.mark.slow

if shutil.which("g++") is None and shutil.which("clang++") is None:
    pytest.skip("inductor needs a C++ compiler", allow_module_level=True)


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The reports of the compiled run, and of the eager one counted only."""
    folder = tmp_path_factory.mktemp("compiled")
    provenance = Provenance("measured", "made up")
    bandwidth = {"copy": (BandwidthPoint(1_000_000, Peak(1e14, provenance)),)}
    flops, vector = Peak(1e15, provenance), Peak(1e14, provenance)
    roofs = Capacity(identity("cpu"), {"float32": flops}, {}, vector, vector, bandwidth)
    save(folder / "capacity.json", roofs)
    compiled = goodput_run(folder, "compiled.json", "--capacity", "capacity.json")
    eager = goodput_run(folder, "eager.json", "--count-only", script=["--eager"])
    return compiled, eager


def goodput_run(folder, name, *options, script=()):
    roots = f"{REPOSITORY}/profiler:{REPOSITORY}/kernels"
    sizes = [str(REPOSITORY / SCRIPT), "--width", "64", "--block", "32"]
    done = subprocess.run(
        [sys.executable, "-m", "goodput", "run", "--json", name, *options, *sizes, *script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": roots, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / name).read_text())


def test_the_readme_has_the_command():
    assert f"goodput run {SCRIPT}" in (REPOSITORY / "README.md").read_text()


def test_useful_flops_are_those_of_the_eager_program(reports):
    compiled, eager = reports
    assert compiled["totals"]["useful_flops"] == eager["totals"]["useful_flops"] > 0
    assert compiled["totals"]["tokens_per_s"] > 0


def test_nearly_all_device_time_is_modelled_and_has_a_phase_and_a_module(reports):
    compiled, _ = reports
    assert compiled["coverage"]["modelled_share"] >= 0.95
    assert {row["phase"] for row in compiled["operators"]} >= {"forward", "backward", "optimizer"}
    modules = {row["module"] for row in compiled["modules"]}
    assert "model.blocks.0.attention.qkv" in modules


def test_fused_kernels_are_rows_named_by_what_they_were_made_of(reports):
    compiled, _ = reports
    fused = [row for row in compiled["operators"] if row["operator"].startswith("fused: ")]
    assert any("native_layer_norm" in row["operator"] for row in fused)
    assert all(row["vector_flops"] or row["special"] or row["bytes"] for row in fused)
    assert all(row["device_seconds"] > 0 for row in fused)


def test_nothing_is_told_of_compilation_where_there_is_nothing_to_tell(reports):
    compiled, _ = reports
    assert not [text for text in compiled["warnings"] if "compile" in text]
