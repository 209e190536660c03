"""The examples, from the command line to the report: what a newcomer types, run as typed."""

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.capacity.store import save
from goodput.frontends.torch_device import identity

REPOSITORY = Path(__file__).resolve().parent.parent
GPT = REPOSITORY / "benchmarks" / "models" / "gpt.py"
README = (REPOSITORY / "README.md").read_text()

BATCH, TOKENS, LAYERS, HEADS, WIDTH, VOCABULARY = 4, 64, 2, 4, 128, 256
SMALL = ["--batch", "4", "--block", "64", "--layers", "2", "--heads", "4", "--width", "128"]
SMALL += ["--device", "cpu"]


def python(folder: Path, *arguments: str, threads: str = "1") -> subprocess.CompletedProcess[str]:
    roots = f"{REPOSITORY}/profiler:{REPOSITORY}/kernels"
    environment = {**os.environ, "PYTHONPATH": roots, "OMP_NUM_THREADS": threads}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def capacity(folder: Path) -> str:
    """Roofs above any machine's, so that no result depends on how busy this one is."""
    provenance = Provenance("measured", "made up")
    bandwidth = {"copy": (BandwidthPoint(1_000_000, Peak(1e14, provenance)),)}
    flops, vector = Peak(1e15, provenance), Peak(1e14, provenance)
    roofs = Capacity(identity("cpu"), {"float32": flops}, {}, vector, vector, bandwidth)
    save(folder / "capacity.json", roofs)
    return "capacity.json"


@pytest.fixture(scope="module")
def run(folder: Path, capacity: str) -> subprocess.CompletedProcess[str]:
    """`goodput run` on the GPT example, made small."""
    options = ["--json", "gpt.json", "--capacity", capacity]
    done = python(folder, "-m", "goodput", "run", *options, str(GPT), *SMALL)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def report(run, folder: Path) -> dict:
    assert "gpt.goodput" in run.stderr  # it says where the recording is
    return json.loads((folder / "gpt.json").read_text())


def linear(inputs: int, outputs: int) -> int:
    return 2 * BATCH * TOKENS * inputs * outputs


def test_the_script_prints_what_it_prints_without_goodput(run, folder: Path) -> None:
    plain = python(folder, str(GPT), *SMALL)
    assert "loss" in plain.stdout
    assert run.stdout.startswith(plain.stdout)


def test_the_counts_are_the_closed_form(report) -> None:
    attention = 2 * 2 * BATCH * WIDTH * (TOKENS * (TOKENS + 1) // 2)
    layer = linear(WIDTH, 3 * WIDTH) + linear(WIDTH, WIDTH) + 2 * linear(WIDTH, 4 * WIDTH)
    forward = LAYERS * (layer + attention) + linear(WIDTH, VOCABULARY)
    assert report["totals"]["useful_flops"] == 3 * forward
    # Flash attention's backward pass makes the scores once more.
    assert report["totals"]["executed_flops"] >= 3 * forward + LAYERS * attention // 2


def test_the_ladder_sums_to_the_step_and_holds_program_goodput(report) -> None:
    wall = report["step"]["seconds"]["median"]
    rungs = {row["rung"]: row for row in report["ladder"]}
    assert sum(row["seconds"] for row in rungs.values()) == pytest.approx(wall, rel=1e-9)
    assert sum(row["share"] for row in rungs.values()) == pytest.approx(1, rel=1e-9)
    assert rungs["useful"]["share"] == pytest.approx(report["totals"]["program_goodput"], rel=1e-9)
    assert 0 < report["totals"]["program_goodput"] < 1


def test_nearly_all_device_time_is_modelled(report) -> None:
    assert report["coverage"]["modelled_share"] >= 0.95


def test_the_operators_are_ranked_by_lost_seconds(report) -> None:
    lost = [row["lost_seconds"] for row in report["operators"]]
    assert len(lost) > 10
    assert lost == sorted(lost, reverse=True)


@pytest.mark.parametrize(
    "text", ["program goodput", "MFU", "HFU", "convention", "capacity", "useful", "modelled"]
)
def test_the_report_has_its_parts(run, text: str) -> None:
    assert text in run.stdout


def test_show_reports_the_recording_again(report, folder: Path) -> None:
    done = python(folder, "-m", "goodput", "show", "--json", "-", "gpt.goodput")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["totals"] == report["totals"]
    assert shown["ladder"] == report["ladder"]


@pytest.mark.usefixtures("run")  # leaves the recording that they load
def test_the_python_examples_of_the_readme_run(folder: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) >= 2
    # What the examples take for granted: a model, batches, and a function that trains on one.
    before = """
        import torch
        model = torch.nn.Linear(64, 64)
        batches = [torch.randn(32, 64) for _ in range(60)]
        batch, mask = batches[0], torch.ones(32, 64)
        def train(batch):
            model(batch).sum().backward()
    """
    program = "\n".join([textwrap.dedent(before), *examples])
    done = python(folder, "-c", program)
    assert done.returncode == 0, done.stderr
    assert (folder / "train.goodput").is_file()


@pytest.mark.slow
def test_the_first_command_of_the_readme_takes_at_most_two_minutes(
    tmp_path: Path, empty_cache: Path
) -> None:
    assert "goodput run benchmarks/models/gpt.py" in README
    began = time.perf_counter()
    done = python(tmp_path, "-m", "goodput", "run", str(GPT), threads=str(os.cpu_count()))
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - began < 120
    assert list(empty_cache.iterdir())
