from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from goodput.cli import status_of

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128_256,
    "max_position_embeddings": 131_072,
}
H100 = "NVIDIA H100 80GB HBM3"
AT = ("--device", H100, "--tokens-per-second", "6667")


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    return f"hf:{tmp_path / 'config.json'}"


def content(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_every_convention_and_the_way_to_it(config, capsys) -> None:
    assert status_of(["reconcile", config, "--seq", "8192", *AT, "--reported", "39.0%"]) == 0
    text = capsys.readouterr().out
    assert "51.47 GFLOP a token" in text
    assert "What gives 39.0% within its rounding" in text
    for name in ("palm", "megatron", "torchtitan", "nanogpt", "mosaicml", "levanter", "6n"):
        assert f"\n{name} " in text


def test_the_directory_of_a_config_will_do(config, capsys) -> None:
    place = f"hf:{Path(config.removeprefix('hf:')).parent}"
    assert status_of(["reconcile", place, "--json", "-"]) == 0
    assert content(capsys)["conventions"][0]["convention"] == "exact"


def test_the_sequence_is_the_configs_longest_up_to_a_limit(config, tmp_path, capsys) -> None:
    status_of(["reconcile", config, "--json", "-"])
    assert content(capsys)["tokens"] == 2048
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "max_position_embeddings": 512}))
    status_of(["reconcile", config, "--json", "-"])
    assert content(capsys)["tokens"] == 512
    status_of(["reconcile", config, "--seq", "16", "--batch", "3", "--json", "-"])
    found = content(capsys)
    assert (found["tokens"], found["batch"]) == (16, 3)


def test_the_json_goes_to_a_file_and_the_text_to_stdout(config, tmp_path, capsys) -> None:
    place = tmp_path / "found.json"
    assert status_of(["reconcile", config, "--json", str(place)]) == 0
    assert json.loads(place.read_text())["schema"] == "goodput.reconciliation/1"
    assert capsys.readouterr().out.startswith("goodput reconcile: hf:")


def test_a_peak_of_the_dtype_that_was_asked_for(config, capsys) -> None:
    status_of(["reconcile", config, *AT, "--dtype", "float8_e4m3", "--json", "-"])
    run = content(capsys)["run"]
    assert run["mode"] == "float8_e4m3"
    assert run["peak_flops_per_s"] == pytest.approx(1978.9e12, rel=1e-3)


def test_a_device_by_the_name_of_its_row(config, capsys) -> None:
    named = ("--device", "H100-SXM", "--tokens-per-second", "6667")
    assert status_of(["reconcile", config, *named, "--json", "-"]) == 0
    assert content(capsys)["run"]["device"] == "H100-SXM"


def test_a_program_by_the_conventions_that_weigh_operators(tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("torch")
    (tmp_path / "step.py").write_text(
        "import torch\ndef step():\n    return torch.nn.Linear(8, 4), (torch.ones(3, 8),)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert status_of(["reconcile", "step.py:step", "--json", "-"]) == 0
    found = content(capsys)
    counts = {way["convention"]: way["flops"] for way in found["conventions"]}
    product = 2 * 3 * 8 * 4
    assert counts == {
        "exact": product,
        "dense-attention": product,
        "flopcountermode": product,
        "macs": product // 2,
    }
    assert {one["convention"] for one in found["refused"]} >= {"palm", "6n"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reported", "47.3%"], "add --device D and --tokens-per-second N"),
        (["--reported", "400TFLOP/s"], "add --tokens-per-second N"),
        (["--reported", "fast"], "no figure"),
        (["--device", H100], "add --tokens-per-second N"),
        (
            ["--device", "H10", "--tokens-per-second", "1", "--reported", "3%"],
            "H10 is no device of the datasheet; nearest names: NVIDIA H100",
        ),
        (["--dtype", "float4", *AT], "no float4 peak of H100-SXM; --dtype may be"),
    ],
)
def test_what_is_missing_is_told(config, arguments, message, capsys) -> None:
    assert status_of(["reconcile", config, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_device_as_people_write_it_is_the_fastest_of_its_name_and_that_is_said(
    config, capsys
) -> None:
    at = ["--tokens-per-second", "5762", "--reported", "47.3%"]
    assert status_of(["reconcile", config, "--device", "h100", *at, "--json", "-"]) == 0
    run = json.loads(capsys.readouterr().out)["run"]
    assert (run["device"], run["peak_flops_per_s"]) == ("H100-SXM", 989.4e12)
    assert run["assumed"].startswith("h100 may be H100-SXM, H100-PCIe, H100-NVL: this is the")
    assert status_of(["reconcile", config, "--device", "H100", *at]) == 0
    assert "assumed" in capsys.readouterr().out
    assert status_of(["reconcile", config, "--device", H100, *at]) == 0
    assert "assumed" not in capsys.readouterr().out


@pytest.mark.parametrize("size", ["0", "-3", "many"])
def test_sizes_are_whole_and_positive(config, size, capsys) -> None:
    assert status_of(["reconcile", config, "--seq", size]) == 2
    assert status_of(["reconcile", config, "--batch", size]) == 2
    capsys.readouterr()


def test_a_figure_needs_a_config(capsys) -> None:
    assert status_of(["reconcile", "step.py:step", "--reported", "3GFLOP"]) == 2
    assert "hf:config.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON file"),
        ("[1]", "is no config"),
        ('{"hidden_size": 8}', "no model_type"),
        ('{"model_type": "mamba"}', "architecture mamba is not known"),
        ('{"model_type": "bert"}', "architecture bert is not known"),
        ('{"model_type": "llama"}', "has no hidden_size"),
    ],
)
def test_a_config_that_cannot_be_read(tmp_path, text, message, capsys) -> None:
    (tmp_path / "config.json").write_text(text)
    assert status_of(["reconcile", f"hf:{tmp_path}"]) == 2
    assert message in capsys.readouterr().err


def test_no_such_config(tmp_path, capsys) -> None:
    assert status_of(["reconcile", f"hf:{tmp_path / 'none.json'}"]) == 2
    assert "there is no file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "show"])
def test_a_formula_on_a_model_is_refused_where_there_are_operators(
    tmp_path, command, capsys
) -> None:
    file = tmp_path / "file.py"
    file.write_text("raise SystemExit('it must not run')")
    assert status_of([command, "--convention", "palm", str(file)]) == 2
    said = capsys.readouterr().err
    assert "palm is a formula on a model's architecture" in said
    assert "goodput reconcile hf:config.json" in said
