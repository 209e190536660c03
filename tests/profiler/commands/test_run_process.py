"""`goodput run` as a process around real scripts; the passes themselves have tests of their own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

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
"""
PRINTS = """
print("from the script", flush=True)
subprocess.run([sys.executable, "-c", "print('from its child')"], check=True)
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
    folder: Path,
    *options: str,
    steps: int = 60,
    end: str = "",
    script: str = "",
    prints: str = PRINTS,
    capacity: tuple[str, ...] = ("--capacity", "roofs.json"),
    stdout: IO[str] | int = subprocess.PIPE,
    closed: bool = False,
) -> subprocess.CompletedProcess[str]:
    text = script or TRAIN.format(steps=steps) + prints + end
    (folder / "train.py").write_text(text)
    command = [sys.executable, "-m", "goodput", "run", *capacity]
    command += ["--steps", "3", "--warmup", "1", *options, "train.py"]
    return subprocess.run(
        ["sh", "-c", '"$@" >&- 2>&-', "sh", *command] if closed else command,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
        },
        stdout=stdout,
        stderr=subprocess.PIPE,
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


@pytest.mark.slow
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


@pytest.mark.slow
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


FULL = Path("/dev/full")
needs_full_disk = pytest.mark.skipif(not FULL.is_char_device(), reason="there is no /dev/full")


@needs_full_disk
@pytest.mark.parametrize("options", [(), pytest.param(("--json", "-"), marks=pytest.mark.slow)])
def test_a_full_disk_behind_stdout_is_3_and_loses_no_recording(
    train: Path, options: tuple[str, ...]
) -> None:
    with FULL.open("w") as full:
        done = goodput_run(train, *options, prints="", stdout=full)
    assert done.returncode == 3
    told = "goodput: the report could not be written to stdout (No space left on device)"
    assert sum(line.startswith(told) for line in done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert (train / "train.goodput").exists()


@needs_full_disk
@pytest.mark.parametrize(
    "option",
    [
        "-o",
        pytest.param("--json", marks=pytest.mark.slow),
        pytest.param("--markdown", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_behind_a_file_is_3_and_the_report_stands(train: Path, option: str) -> None:
    done = goodput_run(train, option, str(FULL))
    assert done.returncode == 3
    assert sum("/dev/full (No space left" in line for line in done.stderr.splitlines()) == 1
    assert "program goodput" in done.stdout


@pytest.mark.slow
def test_without_stdout_and_stderr_the_recording_is_still_made(train: Path) -> None:
    done = goodput_run(train, prints="", closed=True)
    assert done.returncode == 0
    assert (train / "train.goodput").exists()


@pytest.mark.slow
def test_a_cache_that_cannot_be_made_is_told_in_the_report(
    train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (train / "file").touch()
    monkeypatch.setenv("GOODPUT_CACHE", str(train / "file" / "cache"))
    done = goodput_run(train, capacity=())
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "program goodput" in words
    assert "could not be kept in" in words
    assert "name a writable directory in GOODPUT_CACHE" in words
    assert "delete " not in words  # there is no file to delete


REFUSING = """
import torch
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

@torch.library.custom_op("mine::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    if is_in_torch_dispatch_mode():
        raise RuntimeError("no modes here")
    return x * 2

twice.register_autograd(lambda ctx, gradient: gradient * 2)
model = torch.nn.Linear(64, 64)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(60):
    optimizer.zero_grad()
    twice(model(torch.ones(32, 64))).sum().backward()
    optimizer.step()
print("from the script", flush=True)
"""


def test_an_operator_that_fails_under_counting_stops_only_the_counting(train: Path) -> None:
    done = goodput_run(train, script=REFUSING)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("from the script\ngoodput: train.py\n")
    words = " ".join(done.stdout.split())
    assert "mine::twice does not run while it is counted: RuntimeError: no modes here" in words
    assert "program goodput" in words
