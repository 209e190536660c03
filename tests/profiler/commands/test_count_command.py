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
from goodput.formulas.architecture_config import from_config
from goodput.formulas.conventions import BY_OPERATOR, CONVENTIONS
from goodput.formulas.conventions_closed import training_flops

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

def driver():
    return torch.cuda.mem_get_info, ()

def stream():
    return torch.cuda.Stream, ()

def unshaped(size=4):
    @torch.library.custom_op("goodput_count_command::unshaped", mutates_args=())
    def unshaped(x: torch.Tensor) -> torch.Tensor:
        return x + 1
    return unshaped, (torch.randn(4),)

def unlike():
    return nn.Linear(3, 4), (torch.randn(2, 5),)

def to_numpy():
    return lambda x: torch.from_numpy(x.numpy()) @ x, (torch.randn(4, 4),)

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
    assert "What-if on devices of the datasheet: a bound" in capsys.readouterr().out


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


@pytest.mark.parametrize(
    ("function", "status", "text"),
    [
        ("driver", 2, "the program asks for a GPU that is not here"),
        ("stream", 2, "goodput run --count-only where a GPU is"),
        ("unlike", 2, "the program failed: RuntimeError: mat1 and mat2 shapes cannot be"),
        ("unshaped", 0, "goodput_count_command::unshaped has no rule for the shape of its result"),
        ("to_numpy", 0, "the program asked for values (TypeError: can't convert meta"),
    ],
)
def test_programs_that_do_not_run_on_shapes(
    program: str, function: str, status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    if function in {"driver", "stream"} and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert status_of(["count", f"{program}:{function}"]) == status
    captured = capsys.readouterr()
    assert text in " ".join((captured.out + captured.err).split())


LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
}


def config(tmp_path: Path, **fields: object) -> str:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**LLAMA, **fields}), encoding="utf-8")
    return f"hf:{path}"


@pytest.mark.parametrize("convention", sorted(set(CONVENTIONS) - set(BY_OPERATOR)))
@pytest.mark.parametrize("train", [True, False])
def test_a_formula_gives_the_useful_flops_of_a_config(
    tmp_path: Path, convention: str, train: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    target = config(tmp_path)
    sizes = ["--batch", "3", "--seq", "32", "--train" if train else "--infer"]
    report = counted(tmp_path, target, *sizes, "--convention", convention)
    whole = training_flops(from_config(LLAMA), 32, convention)
    assert report["totals"]["useful_flops"] == 3 * (whole if train else whole // 3)
    assert (report["convention"], report["rows_convention"]) == (convention, "exact")
    exact = counted(tmp_path, target, *sizes)
    assert report["operators"] == exact["operators"]
    assert report["totals"]["executed_flops"] == exact["totals"]["executed_flops"]
    assert f"{convention} is a formula on the model as a whole" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fields", "options", "text"),
    [
        ({"model_type": "no_such_model"}, [], "an architecture that transformers"),
        ({"model_type": "vit"}, [], "describes a vit, which is no causal language model"),
        ({"architectures": ["LlamaForTokenClassification"]}, [], "which is no causal language"),
        ({"model_type": "bert", "architectures": None}, [], 'add "is_decoder": true'),
        ({"model_type": "bert", "architectures": ["BertLMHeadModel"]}, [], "reads both ways"),
        ({"model_type": "xlm", "architectures": None}, [], 'add "causal": true'),
        ({"model_type": "bart", "architectures": None}, [], "an encoder with a decoder"),
        ({"model_type": "t5", "architectures": None}, [], "describes a t5, which is no causal"),
        ({"hidden_size": 63}, [], "is no valid config of a llama"),
        ({"model_type": "mamba"}, ["--convention", "palm"], "the architecture mamba is not known"),
        ({}, ["--convention", "palm", "--on", H100], "palm has no share for one"),
        (
            {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
            ["--convention", "nanogpt"],
            "nanogpt does not apply to this mixtral: its formula is of a model without experts",
        ),
    ],
)
def test_configs_that_cannot_be_counted_so(
    tmp_path: Path,
    fields: dict[str, object],
    options: list[str],
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    assert status_of(["count", config(tmp_path, **fields), "--seq", "8", *options]) == 2
    assert text in capsys.readouterr().err


def test_a_formula_does_not_apply_to_a_function(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["count", f"{program}:model", "--convention", "palm"]) == 2
    assert "palm is a formula on a model's architecture" in capsys.readouterr().err


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
    with pytest.raises(UsageError, match="palm is a formula"):
        goodput.count(model, torch.randn(32, 64), convention="palm")


def test_the_commands_of_the_readme_run(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    shown = readme.split("<!-- commands:count -->")[1].split("<!-- /commands:count -->")[0]
    commands = [shlex.split(line)[1:] for line in shown.splitlines() if line.strip()]
    assert len(commands) == 3
    monkeypatch.chdir(repository)
    for command in commands:
        monkeypatch.delitem(sys.modules, "gpt", raising=False)
        assert status_of(command) == 0
    assert "blocks.0.attention" in capsys.readouterr().out
