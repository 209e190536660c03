"""The pytest plugin: marks as budgets, in a project of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest
import torch
from torch import nn

def step(model, x):
    return model(x).sum()

@pytest.fixture
def model():
    return nn.Linear(64, 64, bias=False)

@pytest.mark.limit_flops("600 kFLOP")
@pytest.mark.limit_recompute(1.0)
@pytest.mark.limit_operator_calls(20)
@pytest.mark.min_predicted_mfu("0.1%", device="NVIDIA H200")
def test_within(efficiency, model):
    figures = efficiency(model, torch.randn(64, 64))
    assert figures["useful_flops"] == 2 * 64**3
    assert 0 < figures["predicted_mfu"] < 1

@pytest.mark.limit_flops("500 kFLOP")
def test_too_much(efficiency, model):
    efficiency(model, torch.randn(64, 64))

@pytest.mark.limit_graph_breaks(0)
def test_broken(efficiency, model):
    def broken(x):
        y = model(x)
        print("a graph ends here")
        return y.relu()
    efficiency(torch.compile(broken), torch.randn(8, 64))

@pytest.mark.limit_graph_breaks(0)
def test_whole(efficiency, model):
    figures = efficiency(torch.compile(lambda x: model(x).relu()), torch.randn(8, 64))
    assert figures["graph_breaks"] == 0

@pytest.mark.limit_spills(0, target="sm_90")
def test_spills(efficiency):
    import triton
    import triton.language as tl

    @triton.jit
    def product(a, c, SIZE: tl.constexpr):
        rows, columns = tl.arange(0, SIZE)[:, None], tl.arange(0, SIZE)[None, :]
        tile = tl.load(a + rows * SIZE + columns)
        tl.store(c + rows * SIZE + columns, tl.dot(tile, tile))

    def take(a, c):
        product[(1,)](a, c, SIZE=128, num_warps=1)
        return c

    figures = efficiency(take, *(torch.randn(128, 128, dtype=torch.float16) for _ in range(2)))

@pytest.mark.min_predicted_mfu("1%")
def test_of_no_device(efficiency, model):
    efficiency(model, torch.randn(8, 64))

@pytest.mark.min_mfu("42%", device="NVIDIA H200")
def test_elsewhere(efficiency, model):
    efficiency(model, torch.randn(8, 64))
"""

MEASURED = """
import pytest
import torch

@pytest.mark.min_goodput("0.01%")
def test_reached(efficiency):
    figures = efficiency(torch.nn.Linear(256, 256), torch.randn(256, 256))
    assert 0 < figures["goodput"] < 10

@pytest.mark.min_goodput("1000%")
def test_not_reached(efficiency):
    efficiency(torch.nn.Linear(256, 256), torch.randn(256, 256))
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory, repository) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("project")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (folder / "test_step.py").write_text(TESTS)
    return run(folder, repository), folder


def run(folder: Path, repository: Path, *options: str) -> subprocess.CompletedProcess[str]:
    roots = f"{repository}/profiler:{repository}/kernels"
    environment = {**os.environ, "PYTHONPATH": roots, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "goodput.pytest_plugin"]
    return subprocess.run(
        [*command, *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_marks_hold_and_fail(done) -> None:
    text = done[0].stdout
    assert "4 failed, 2 passed, 1 skipped" in text
    assert "aten::mm forward float32: 524 kFLOP in 1 call" in text
    assert re.search(r"spills.product@sm_90 is .+, and at most 0 B is allowed", text)
    assert 'the mark min_predicted_mfu needs a device, as device="NVIDIA H200"' in text
    assert "useful_flops is 524.3 kFLOP, and at most 500.0 kFLOP is allowed" in text
    assert "graph_breaks is 1, and at most 0 is allowed" in text
    assert "min_mfu is for NVIDIA H200, and this is" in text


@pytest.mark.slow
def test_goodput_is_measured_and_held(tmp_path, repository) -> None:
    (tmp_path / "test_measured.py").write_text(MEASURED)
    text = run(tmp_path, repository).stdout
    assert "1 failed, 1 passed" in text
    assert "and at least 1,000" in text or "and at least 1000" in text


@pytest.mark.slow
def test_a_baseline_is_written_after_three_processes_and_held(done, repository) -> None:
    folder = done[1]
    chosen = ["test_step.py::test_within"]
    assert run(folder, repository, "--goodput-update", *chosen).returncode == 0
    (file,) = (folder / ".goodput/baselines").glob("*/exact.json")
    kept = json.loads(file.read_text())
    assert kept["blessed"]["processes"] == 3
    assert not list(folder.glob(".goodput-proof*"))
    kept["values"]["operator_calls"] -= 1
    file.write_text(json.dumps(kept))
    failed = run(folder, repository, *chosen)
    assert "operator_calls was" in failed.stdout
    assert failed.returncode == 1


def test_loading_the_plugin_imports_no_framework(repository) -> None:
    code = (
        "import sys; import goodput.pytest_plugin; "
        "print(sorted({'torch', 'jax', 'triton', 'numpy'} & set(sys.modules)))"
    )
    roots = f"{repository}/profiler:{repository}/kernels"
    environment = {**os.environ, "PYTHONPATH": roots}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
