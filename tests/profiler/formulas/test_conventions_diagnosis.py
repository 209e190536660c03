from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.errors import UsageError
from goodput.formulas.architecture import Architecture
from goodput.formulas.architecture_config import from_config
from goodput.formulas.conventions_bridge import TEXTS
from goodput.formulas.conventions_choices import choices_of, evaluate
from goodput.formulas.conventions_closed import training_flops
from goodput.formulas.conventions_diagnosis import NODE, Speed, explanations, figure

PEAK = 989.4e12
FULL = TEXTS["pairs", "dense"]
SPARSE_PEAK = "sparse peak (twice the dense one)"


def model(family: str, **fields: Any) -> Architecture:
    return from_config({"model_type": family, **fields})


LLAMA = model(
    "llama",
    hidden_size=4096,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    intermediate_size=14336,
    vocab_size=128_256,
)
QWEN = model(
    "qwen3_moe",
    hidden_size=2048,
    num_hidden_layers=48,
    num_attention_heads=32,
    num_key_value_heads=4,
    head_dim=128,
    intermediate_size=6144,
    moe_intermediate_size=768,
    vocab_size=151_936,
)
GPT_OSS = model(
    "gpt_oss",
    hidden_size=2880,
    num_hidden_layers=36,
    num_attention_heads=64,
    num_key_value_heads=8,
    intermediate_size=2880,
    vocab_size=201_088,
)
TOKENS = 8192


def mfu(convention: str, speed: int, **changes: Any) -> float:
    choices = replace(choices_of(convention, LLAMA), **changes)
    return evaluate(LLAMA, TOKENS, choices) / TOKENS * speed / PEAK


def told(reported: str, speed: Speed | None, of: Architecture = LLAMA, tokens: int = TOKENS):
    found = explanations(of, tokens, figure(reported), speed)
    return [(one.convention, one.deviations) for one in found]


def at(tokens_per_s: float, **more: Any) -> Speed:
    return Speed(Fraction(tokens_per_s), PEAK, "bfloat16", **more)


# --- figures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "quantity", "value", "half_unit"),
    [
        ("47.3%", "MFU", Fraction(473, 1000), Fraction(5, 10_000)),
        (" 47 % ", "MFU", Fraction(47, 100), Fraction(5, 1000)),
        ("47", "MFU", Fraction(47, 100), Fraction(5, 1000)),
        ("0.5%", "MFU", Fraction(5, 1000), Fraction(5, 10_000)),
        ("412TFLOP/s", "FLOP/s", Fraction(412 * 10**12), Fraction(5 * 10**11)),
        ("51.47 GFLOP", "FLOP", Fraction(5147 * 10**7), Fraction(5 * 10**6)),
        ("51470401536FLOP", "FLOP", Fraction(51_470_401_536), Fraction(1, 2)),
    ],
)
def test_a_figure_with_its_rounding(text, quantity, value, half_unit) -> None:
    found = figure(text)
    assert (found.quantity, found.value, found.half_unit) == (quantity, value, half_unit)


@pytest.mark.parametrize("text", ["", "fast", "-3%", "47.3 % MFU", "1e3%", "3 KFLOP", "nan%"])
def test_what_is_no_figure(text) -> None:
    with pytest.raises(UsageError, match="no figure"):
        figure(text)


@pytest.mark.parametrize("text", ["0%", "0", "0.0TFLOP/s"])
def test_nothing_is_nothing_to_explain(text) -> None:
    with pytest.raises(UsageError, match="nothing to explain"):
        figure(text)


def test_a_ratio_needs_its_sign() -> None:
    with pytest.raises(UsageError, match=r"write 47.3% or 0.473%"):
        figure("0.473")


@given(st.integers(1, 99_999), st.integers(0, 4))
def test_a_figure_holds_what_rounds_to_it(digits, decimals) -> None:
    text = f"{digits / 10**decimals:.{decimals}f}"
    found = figure(f"{text}%")
    unit = Fraction(1, 100 * 10**decimals)
    assert found.holds(found.value)
    assert found.holds(found.value + unit / 2)
    assert found.holds(found.value - unit / 2)
    assert not found.holds(found.value + Fraction(51, 100) * unit)
    assert not found.holds(found.value - Fraction(51, 100) * unit)


# --- one deviation at a time ----------------------------------------------------------------------


def test_the_exact_count_itself() -> None:
    assert told(f"{100 * mfu('exact', 6667):.4f}%", at(6667))[0] == ("exact", ())


def test_a_convention_alone() -> None:
    assert told("39.0%", at(6667))[:2] == [("dense-attention", ()), ("torchtitan", ())]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"embedding": "always"}, "input embedding counted"),
        ({"third_matrix": False}, "GLU factor missing"),
        ({"recompute": "layers"}, "recomputed layers counted"),
        ({"recompute": "all"}, "all recomputation counted"),
        ({"head": False}, "LM head omitted"),
        ({"fifth_product": True}, "fifth product backward"),
    ],
)
def test_a_numerator_that_does_otherwise(changes, text) -> None:
    reported = f"{100 * mfu('exact', 6667, **changes):.4f}%"
    assert ("exact", (text,)) in told(reported, at(6667))


def test_all_experts_for_the_active_ones() -> None:
    choices = replace(choices_of("torchtitan", QWEN), experts="total")
    work = evaluate(QWEN, 4096, choices) // 4096
    found = told(f"{work}FLOP", None, QWEN, 4096)
    assert ("torchtitan", ("all experts, not active ones",)) in found[:3]


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (0.5, SPARSE_PEAK),
        (2.0, "half of the dense peak"),
        (NODE, "tokens of a node of 8 as those of one device"),
        (1 / NODE, "tokens of one device as those of a node of 8"),
    ],
)
def test_a_denominator_that_is_wrong(factor, text) -> None:
    reported = f"{100 * factor * mfu('exact', 6667):.4f}%"
    assert ("exact", (text,)) in told(reported, at(6667))


def test_multiply_adds_and_the_sparse_peak_look_alike() -> None:
    found = told(f"{50 * mfu('torchtitan', 6667):.4f}%", at(6667))
    assert ("torchtitan", (SPARSE_PEAK,)) in found
    assert ("torchtitan", ("multiply-adds for FLOP",)) in found


def test_the_peak_of_another_device_or_mode() -> None:
    # OLMo-core#817: a B300 that was taken for an A100, 88.3 % for 12.25 %.
    b300 = 2250e12
    speed = 0.1225 * b300 / (training_flops(LLAMA, TOKENS, "torchtitan") / TOKENS)
    run = Speed(
        Fraction(speed),
        b300,
        "bfloat16",
        {"float8_e4m3": 4500e12},
        {"A100-SXM-40GB": 312e12, "A100-SXM-80GB": 312e12, "H100-SXM": PEAK},
    )
    assert ("torchtitan", ("peak of A100-SXM-40GB or 1 more",)) in told("88.3%", run)
    assert told("88.3%", run)[0][1] == ("peak of A100-SXM-40GB or 1 more",)
    half = told(f"{12.25 / 2:.3f}%", run)
    assert ("torchtitan", ("peak of float8_e4m3",)) in half


# --- pairs, and what is left out ------------------------------------------------------------------


def test_two_deviations_together() -> None:
    value = mfu("exact", 6667, third_matrix=False) / 2
    found = told(f"{100 * value:.4f}%", at(6667))
    assert ("exact", ("GLU factor missing", SPARSE_PEAK)) in found


def test_what_explains_alone_needs_no_second_deviation() -> None:
    found = told("39.0%", at(6667))
    assert not any(convention == "torchtitan" and more for convention, more in found)


def test_no_explanation_is_said_with_nothing() -> None:
    assert told("3.0000001%", at(6667)) == []


def test_fewer_deviations_stand_first() -> None:
    lengths = [len(more) for _, more in told("39%", at(6667))]
    assert lengths == sorted(lengths)
    assert set(lengths) <= {0, 1, 2}


@given(
    tokens_per_s=st.integers(1, 10**6),
    digits=st.integers(100, 9999),
    tokens=st.sampled_from([512, 4096]),
)
def test_every_explanation_gives_the_figure(tokens_per_s, digits, tokens) -> None:
    reported = figure(f"{digits / 100:.2f}%")
    for one in explanations(LLAMA, tokens, reported, at(tokens_per_s)):
        assert abs(one.value - float(reported.value)) <= float(reported.half_unit) * (1 + 1e-6)
        assert len(set(one.deviations)) == len(one.deviations)


# --- wrong figures that were published ------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "speed", "reported"), [(4096, 5630, "153TFLOP/s"), (8192, 18_347, "565TFLOP/s")]
)
def test_gpt_oss_before_its_correction(tokens, speed, reported) -> None:
    # Megatron-Bridge#3947 counted two matrices a block for three, and no windows.
    found = told(reported, Speed(Fraction(speed)), GPT_OSS, tokens)
    expected = ("GLU factor missing", "sliding windows ignored")
    assert ("megatron", expected) in found


def test_qwen3_with_all_experts() -> None:
    # torchtitan#4300: all experts, the embedding, and heads of hidden / heads.
    found = told("192856412160FLOP", None, QWEN)
    expected = ("all experts, not active ones", "scores at hidden / heads")
    assert ("palm", expected) in found
    assert told("37578559488FLOP", None, QWEN) == [("torchtitan", ())]
