from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from goodput.formulas.architecture_config import from_config
from goodput.formulas.conventions_counted import Counts
from goodput.formulas.conventions_diagnosis import Speed, figure
from goodput.formulas.conventions_reconciliation import Reconciliation, Run, of_model, of_program
from goodput.renderers.reconciliation import render_reconciliation
from goodput.renderers.reconciliation_json import reconciliation_json
from goodput.work import Work

MODEL = from_config(
    {
        "model_type": "qwen3_moe",
        "hidden_size": 2048,
        "num_hidden_layers": 48,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "intermediate_size": 6144,
        "moe_intermediate_size": 768,
        "vocab_size": 151_936,
    }
)
RUN = Run(
    Speed(
        Fraction(12_040),
        989.4e12,
        "bfloat16",
        {"float8_e4m3": 1978.9e12},
        {"A100-SXM": 312e12, "B200": 2250e12},
    ),
    "H100-SXM",
    "a whitepaper",
)


def model(reported: str | None = None, run: Run | None = RUN) -> Reconciliation:
    claimed = None if reported is None else figure(reported)
    return of_model("hf:config.json", MODEL, 4096, 8, run, claimed)


def program(tokens: int | None = 100) -> Reconciliation:
    product, attention = Work(flops=10_000, dense_flops=10_000), Work(flops=400, dense_flops=800)
    calls = [
        Counts("aten::mm", product, again=False),
        Counts("aten::_scaled_dot_product_flash_attention_for_cpu", attention, again=False),
    ]
    return of_program("train.py:step", calls, tokens, warnings=("a mask was not read",))


@pytest.mark.parametrize("width", [80, 120])
def test_gold_of_a_model_with_a_figure(gold: Callable[[str, str], None], width: int) -> None:
    gold(f"reconciliation_{width}.txt", render_reconciliation(model("17.0%"), width=width))


def test_gold_of_a_program(gold: Callable[[str, str], None]) -> None:
    gold("reconciliation_program.txt", render_reconciliation(program()))


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("found", [model("17.0%"), model(run=None), program()])
def test_no_line_is_wider_than_the_terminal(width: int, found: Reconciliation) -> None:
    assert max(map(len, render_reconciliation(found, width=width).splitlines())) <= width


def test_without_a_run_there_is_no_share_of_a_peak() -> None:
    text = render_reconciliation(model(run=None))
    assert "MFU" not in text
    assert "23.08 GFLOP a token" in text


def test_a_speed_alone_gives_a_rate() -> None:
    text = render_reconciliation(model(run=Run(Speed(Fraction(12_040)))))
    assert "277.9 TFLOP/s by exact" in text
    assert "MFU" not in text


def test_a_figure_that_nothing_gives_is_said() -> None:
    assert "nothing that was tried gives 3.0000001%" in render_reconciliation(model("3.0000001%"))


def test_what_does_not_apply_is_said_once_a_reason() -> None:
    text = " ".join(render_reconciliation(program()).split())
    assert "note: not applied: palm, megatron, torchtitan" in text
    assert text.count("a program does not show its own") == 1


def test_a_step_of_unknown_tokens_is_told_as_a_step() -> None:
    text = render_reconciliation(program(None))
    assert "FLOP a step" in text
    assert "a token" not in text


def test_colours_are_asked_for() -> None:
    assert "\x1b[" not in render_reconciliation(program())
    assert "\x1b[" in render_reconciliation(program(), colour=True)


def parsed(found: Reconciliation) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(reconciliation_json(found))
    return content


def test_the_json_holds_whole_counts_that_sum() -> None:
    content = parsed(model("17.0%"))
    assert content["schema"] == "goodput.reconciliation/1"
    exact = content["conventions"][0]
    assert exact["convention"] == "exact"
    for way in content["conventions"]:
        assert exact["flops"] + sum(term["flops"] for term in way["terms"]) == way["flops"]
        assert way["flops_per_token"] == way["flops"] / content["tokens"]
        assert way["mfu"] == pytest.approx(way["flops_per_token"] * 12_040 / 989.4e12)
    assert content["model"]["parameters"]["total"] == 30_532_122_624
    assert content["reported"]["value"] == pytest.approx(0.17)
    assert {name["convention"] for name in content["refused"]} == {"nanogpt"}
    for one in content["explanations"]:
        assert abs(one["value"] - 0.17) <= 0.0005 + 1e-12


def test_the_json_has_null_where_nothing_is_known() -> None:
    content = parsed(program(None))
    assert content["model"] is content["run"] is content["reported"] is content["tokens"] is None
    assert content["conventions"][0]["flops_per_token"] is None
    assert content["warnings"] == ["a mask was not read"]
