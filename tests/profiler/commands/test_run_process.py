"""`goodput run` as a process around real scripts; the passes themselves have tests of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from goodput.calibration.device import identity
from goodput.capacity import store
from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.renderers.json_report import parse_json

torch = pytest.importorskip("torch")

TRAIN = """
import subprocess, sys
import torch
model = torch.nn.Linear(64, 64)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range({steps}):
    optimizer.zero_grad()
    model(torch.ones(32, 64)).sum().backward()
    optimizer.step()
print("from the script", flush=True)
subprocess.run([sys.executable, "-c", "print('from its child')"], check=True)
{end}
"""


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """A folder with a script, and with roofs high enough to be passed by nothing."""
    provenance = Provenance("measured", "made up")
    peak = Peak(1e12, provenance)
    point = BandwidthPoint(1_000_000, Peak(1e11, provenance))
    capacity = Capacity(
        identity("cpu"),
        {"float32": peak},
        vector=Peak(1e11, provenance),
        special=Peak(1e10, provenance),
        bandwidth={"copy": (point,)},
        measured_at="2026-08-01T12:00:00+00:00",
    )
    store.save(tmp_path / "roofs.json", capacity)
    return tmp_path


def goodput_run(
    folder: Path, *options: str, steps: int = 60, end: str = ""
) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(TRAIN.format(steps=steps, end=end))
    command = [sys.executable, "-m", "goodput", "run", "--capacity", "roofs.json"]
    return subprocess.run(
        [*command, "--steps", "3", "--warmup", "1", *options, "train.py"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_report_comes_after_the_scripts_own_output(train: Path) -> None:
    done = goodput_run(train)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("from the script\nfrom its child\ngoodput: train.py\n")
    assert "\ntotal " in done.stdout
    assert (train / "train.goodput").exists()


def test_json_is_alone_on_stdout_even_of_child_processes(train: Path) -> None:
    done = goodput_run(train, "--json", "-")
    assert done.returncode == 0, done.stderr
    report = parse_json(done.stdout)
    # Forward 32x64x64, and the gradient of the weight; the input needs none.
    assert report.totals.useful_flops == 2 * (2 * 32 * 64 * 64)
    assert sum(rung.share for rung in report.ladder) == pytest.approx(1.0, rel=1e-9)
    assert "from the script\nfrom its child\n" in done.stderr


def test_a_script_that_crashes_still_gets_its_report_and_its_status(train: Path) -> None:
    done = goodput_run(train, end="raise ValueError('lost')")
    assert done.returncode == 1
    assert "ValueError: lost" in done.stderr
    assert "goodput/" not in done.stderr.replace(str(train), "")
    assert "program goodput" in done.stdout


def test_a_script_of_two_steps_is_counted(train: Path) -> None:
    done = goodput_run(train, "--json", "report.json", steps=2)
    assert done.returncode == 0, done.stderr
    assert "2 steps were seen and none was profiled" in done.stdout
    report = parse_json((train / "report.json").read_text())
    assert report.totals.useful_flops == 2 * (2 * 32 * 64 * 64)
    assert report.totals.program_goodput is None
    assert (train / "train.goodput").exists()


def test_count_only_lets_the_script_run_on_or_ends_it(train: Path) -> None:
    done = goodput_run(train, "--count-only", steps=5)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("from the script\nfrom its child\ngoodput: train.py\n")
    assert "only counts were asked for" in done.stdout
    ended = goodput_run(train, "--count-only", "--stop-after", steps=10**9)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("goodput: train.py\n")


def test_a_script_without_a_whole_step_is_3_and_says_what_to_do(train: Path) -> None:
    done = goodput_run(train, steps=0)
    assert done.returncode == 3
    assert done.stdout == "from the script\nfrom its child\n"
    assert done.stderr.startswith("goodput: ")
    assert "goodput.record" in done.stderr


def test_no_such_script_is_2(train: Path) -> None:
    done = goodput_run(train, "no-such-script.py")
    assert done.returncode == 2
    assert done.stderr.startswith("goodput: no such script: no-such-script.py")
    assert done.stderr.count("\n") == 1
