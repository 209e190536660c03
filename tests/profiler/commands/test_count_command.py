"""`goodput count` from the command line to the report, and `goodput.count` beside it."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import goodput
from goodput.cli import status_of
from goodput.errors import UsageError

H100, A100 = "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB"
FLOPS = 2 * 32 * 64 * 64

PROGRAM = """
import torch
from torch import nn

def model(batch=32, seq=64):
    return nn.Linear(seq, 64, bias=False), (torch.randn(batch, seq, requires_grad=True),)

def named():
    return nn.Linear(64, 64, bias=False), {"input": torch.randn(32, 64)}

def half():
    return nn.Linear(64, 64, bias=False).bfloat16(), [torch.randn(32, 64, dtype=torch.bfloat16)]

def own():
    @torch.library.custom_op("goodput_count_command::own", mutates_args=())
    def own(x: torch.Tensor) -> torch.Tensor:
        return x + 1
    own.register_fake(torch.empty_like)
    return own, (torch.randn(4),)

def large():
    return lambda: torch.randn(2**16, 2**16).nonzero(), ()

def with_argument(path):
    return None

def number():
    return 3

def inputs():
    return nn.Linear(2, 2), 3

print("said by the program")
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "program_to_count.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return str(path)


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each command is a process of its own in use; here they share one.
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "argv", sys.argv[:])
    monkeypatch.delitem(sys.modules, "program_to_count", raising=False)


def counted(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    path = tmp_path / "report.json"
    assert status_of(["count", *arguments, "--json", str(path)]) == 0
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def test_the_report_of_a_count(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = counted(tmp_path, f"{program}:model", "--infer")
    assert report["schema"] == "goodput.report/1"
    assert report["totals"]["useful_flops"] == FLOPS
    assert report["step"]["count"] == 0
    assert report["totals"]["program_goodput"] is None
    assert report["device"] is None
    text = capsys.readouterr().out
    assert text.startswith("said by the program\ngoodput: ")
    assert "nothing was run; goodput run measures times" in text


def test_json_alone_on_stdout(program: str, repository: Path) -> None:
    # By file descriptor, so in a process of its own.
    roots = os.pathsep.join(str(repository / root) for root in ("profiler", "kernels"))
    done = subprocess.run(
        [sys.executable, "-m", "goodput", "count", f"{program}:model", "--json", "-"],
        env=os.environ | {"PYTHONPATH": roots},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["totals"]["useful_flops"] == FLOPS
    assert "said by the program" in done.stderr


@pytest.mark.parametrize("function", ["model", "named", "half"])
def test_inputs_of_each_form(program: str, tmp_path: Path, function: str) -> None:
    report = counted(tmp_path, f"{program}:{function}")
    assert report["totals"]["useful_flops"] == FLOPS


def test_sizes_phases_and_a_module_by_its_name(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["program_to_count:model", "--batch", "8", "--seq", "16", "--train"]
    report = counted(tmp_path, *arguments, "--by", "phase")
    forward = 2 * 8 * 16 * 64
    phases = {row["phase"]: row["useful_flops"] for row in report["operators"]}
    assert phases == {"forward": forward, "backward": 2 * forward}
    del program


def test_the_example_needs_what_a_run_of_it_counts(tmp_path: Path, repository: Path) -> None:
    script = repository / "benchmarks/models/gpt.py"
    seen = tmp_path / "run.json"
    recording = ["-o", str(tmp_path / "run.goodput"), "--json", str(seen)]
    run = ["run", "--count-only", "--stop-after", *recording, str(script), "--device", "cpu"]
    roots = os.pathsep.join(str(repository / root) for root in ("profiler", "kernels"))
    subprocess.run(
        [sys.executable, "-m", "goodput", *run],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": roots},
        capture_output=True,
        check=True,
    )
    ran = json.loads(seen.read_text())
    report = counted(tmp_path, f"{script}:train_step")
    for total in ("useful_flops", "executed_flops", "vector_flops", "special"):
        assert report["totals"][total] == ran["totals"][total], total


def test_devices_of_the_datasheet(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = counted(tmp_path, f"{program}:half", "--on", f"{H100}, {A100}")
    names = [row["device"] for row in report["devices"]]
    assert names == [H100, A100]
    for row, peak in zip(report["devices"], (989.4e12, 312e12), strict=True):
        assert row["useful_seconds"] == pytest.approx(FLOPS / peak, rel=1e-3)
        assert row["ideal_seconds"] >= row["useful_seconds"]
        assert row["tokens_per_s"] is None
    assert report["capacity"] is None
    assert "On devices of the datasheet" in capsys.readouterr().out


def test_one_device_is_the_reports_own(program: str, tmp_path: Path) -> None:
    report = counted(tmp_path, f"{program}:half", "--on", H100)
    assert report["device"]["name"] == H100
    assert report["totals"]["ideal_seconds"] == report["devices"][0]["ideal_seconds"]


def test_a_mode_without_a_peak_has_no_ideal(program: str, tmp_path: Path) -> None:
    report = counted(tmp_path, f"{program}:half", "--on", "Tesla V100-SXM2-16GB")
    assert report["devices"][0]["useful_seconds"] is None
    assert report["devices"][0]["ideal_seconds"] is None


def test_strict(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["count", f"{program}:model", "--strict"]) == 0
    assert status_of(["count", f"{program}:own"]) == 0
    capsys.readouterr()
    assert status_of(["count", f"{program}:own", "--strict"]) == 3
    captured = capsys.readouterr()
    assert "goodput_count_command::own (no formula)" in captured.err
    assert "goodput_count_command::own" in captured.out  # the report stands there all the same


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("{program}:nothing", "has no function nothing; its functions are model, named"),
        ("{program}", "names no function"),
        ("no_such_file.py:model", "there is no file no_such_file.py"),
        ("no_such_module:model", "there is no module no_such_module"),
        ("{program}:number", "returned a int; it must return (callable, inputs)"),
        ("{program}:inputs", "returned inputs of type int"),
        ("{program}:with_argument", "takes the argument path"),
        ("hf:no_such_config.json", "there is no file no_such_config.json"),
    ],
)
def test_targets_that_are_none(
    program: str, target: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["count", target.format(program=program)]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--seq", "0"], "0 is not in the range x>=1"),
        (["--on", "H100"], "H100 is no device of the datasheet (nearest names: "),
        (["--convention", "none"], "is not one of"),
        (["--json", "-", "--markdown", "-"], "only one of"),
    ],
)
def test_options_that_are_wrong(
    program: str, options: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["count", f"{program}:model", *options]) == 2
    assert text in capsys.readouterr().err


def test_sizes_that_a_function_does_not_take(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["count", f"{program}:half", "--batch", "2"]) == 2
    assert "has no parameter batch" in capsys.readouterr().err


def test_a_program_that_is_too_large_to_be_run_is_not(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["count", f"{program}:large"]) == 3
    assert "aten::nonzero" in capsys.readouterr().err


def test_from_python() -> None:
    import torch

    model = torch.nn.Linear(64, 64, bias=False)
    report = goodput.count(model, torch.randn(32, 64), devices=[H100])
    assert report.totals.useful_flops == FLOPS
    assert report.operators[0].operator == "aten::mm"
    assert report.devices[0].device == H100
    trained = goodput.count(model, torch.randn(32, 64), train=True, by="phase")
    assert trained.totals.useful_flops == 2 * FLOPS  # the input wants no gradient
    with pytest.raises(UsageError, match="No convention"):
        goodput.count(model, torch.randn(32, 64), convention="none")


def test_the_commands_of_the_readme_run(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    shown = readme.split("<!-- commands:count -->")[1].split("<!-- /commands:count -->")[0]
    commands = [shlex.split(line)[1:] for line in shown.splitlines() if line.strip()]
    assert len(commands) == 2
    monkeypatch.chdir(repository)
    for command in commands:
        monkeypatch.delitem(sys.modules, "gpt", raising=False)
        assert status_of(command) == 0
    assert "blocks.0.attention" in capsys.readouterr().out
