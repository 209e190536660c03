"""Figures that others published, reproduced by the conventions that they are of."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.architecture import (
    Architecture,
    Attention,
    FeedForward,
    Layer,
    forward_flops,
    parameters,
)
from goodput.formulas.architecture_config import from_config
from goodput.formulas.conventions_choices import choices_of, evaluate
from goodput.formulas.conventions_closed import training_flops
from goodput.formulas.conventions_diagnosis import Speed, explanations, figure

A100, H100, H100_FLOAT8, TPU_V4 = 312e12, 989.5e12, 1979e12, 275e12


def plain(
    hidden: int,
    layers: int,
    heads: int,
    vocabulary: int,
    positions: int = 0,
    *,
    biases: bool = False,
    tied: bool = True,
) -> Architecture:
    """A GPT: norms with weights only, or with biases everywhere."""
    vectors = (13 if biases else 2) * hidden
    layer = Layer(
        layers,
        Attention(heads, heads, hidden // heads, hidden // heads),
        FeedForward(4 * hidden, gated=False),
        vectors,
    )
    last = (2 if biases else 1) * hidden
    return Architecture("gpt", hidden, vocabulary, (layer,), tied, positions, last)


def per_token(model: Architecture, tokens: int, convention: str) -> float:
    return training_flops(model, tokens, convention) / tokens


# --- nanoGPT: transformer_sizing.ipynb, GPT-2 124M, one sequence of 1,024 tokens ------------------

GPT2 = plain(768, 12, 12, 50257, positions=1024)
T = 1024


def test_every_operator_of_nanogpt_to_the_flop() -> None:
    # What is left of the forward pass when one part of the model after the other is taken away.
    part = GPT2.layers[0]
    whole = forward_flops(GPT2, T, dense=True)
    head = forward_flops(replace(GPT2, layers=()), T)
    block = forward_flops(replace(GPT2, layers=(replace(part, count=1),)), T, dense=True) - head
    scores = 2 * part.attention.heads * T * T * part.attention.head_dim
    assert scores == 1_610_612_736
    assert 2 * part.attention.heads * T * T * part.attention.value_dim == 1_610_612_736
    assert 2 * T * part.attention.projections(768) == 3_623_878_656 + 1_207_959_552
    assert 2 * T * 768 * part.feed_forward.intermediate == 4_831_838_208
    assert block == 17_716_740_096
    assert whole - head == 212_600_881_152
    assert head == 79_047_426_048
    assert whole == 291_648_307_200
    assert training_flops(GPT2, T, "dense-attention") == 874_944_921_600


def test_nanogpt_and_its_mfu() -> None:
    assert training_flops(GPT2, T, "nanogpt") == 875_062_886_400
    hundred_sequences = 100 * 875_062_886_400
    assert 100 * hundred_sequences / (0.755 * A100) == pytest.approx(37.14, abs=0.01)


# --- Narayanan et al. 2021, table 1: full recomputation, so it is HFU ----------------------------

NARAYANAN = [
    (1.7, 24, 2304, 24, 32, 137, 44, 4.4),
    (3.6, 32, 3072, 30, 64, 138, 44, 8.8),
    (7.5, 32, 4096, 36, 128, 142, 46, 18.2),
    (18.4, 48, 6144, 40, 256, 135, 43, 34.6),
    (39.1, 64, 8192, 48, 512, 138, 44, 70.8),
    (76.1, 80, 10240, 60, 1024, 140, 45, 143.8),
    (145.6, 96, 12288, 80, 1536, 148, 47, 227.1),
    (310.1, 128, 16384, 96, 1920, 155, 50, 297.4),
    (529.6, 128, 20480, 105, 2520, 163, 52, 410.2),
    (1008.0, 160, 25600, 128, 3072, 163, 52, 502.0),
]


@pytest.mark.parametrize("row", NARAYANAN, ids=lambda row: f"{row[0]}B")
def test_narayanan(row) -> None:
    billions, heads, hidden, layers, gpus, tera, percent, peta = row
    model = plain(hidden, layers, heads, 51200, positions=2048, biases=True)
    # The first column is rounded to a tenth.
    assert parameters(model).total / 1e9 == pytest.approx(billions, rel=3e-3, abs=0.05)
    assert tera * 1e12 / A100 == pytest.approx(percent / 100, abs=0.005)
    assert gpus * tera / 1000 == pytest.approx(peta, rel=5e-3)
    s, h, v = 2048, hidden, 51200
    formula = 96 * s * layers * h * h * (1 + s / (6 * h) + v / (16 * layers * h))
    counted = evaluate(model, s, replace(choices_of("dense-attention", model), recompute="layers"))
    assert counted == pytest.approx(formula, rel=1e-12)
    # Days for the paper's own tokens follow from the figure within 0.3 %: 8 T P / (n X).
    as_mfu = tera * 1e12 / A100 * training_flops(model, s, "dense-attention") / counted
    assert 0.32 < as_mfu < 0.40


@given(
    heads=st.integers(1, 32),
    width=st.integers(1, 200),
    layers=st.integers(1, 100),
    vocabulary=st.integers(1, 100_000),
    tokens=st.integers(1, 5000),
)
def test_korthikanti(heads, width, layers, vocabulary, tokens) -> None:
    # 72 B L s h^2 (1 + s / 6h + V / 12hL), whole.
    hidden = heads * width
    model = plain(hidden, layers, heads, vocabulary)
    formula = 72 * layers * tokens * hidden * hidden + 12 * layers * tokens**2 * hidden
    formula += 6 * tokens * hidden * vocabulary
    assert training_flops(model, tokens, "dense-attention") == formula


def test_days_of_training() -> None:
    for parameter_count, tokens, gpus, rate, days in [
        (174.6e9, 300e9, 1024, 140e12, 34),
        (1008e9, 450e9, 3072, 163e12, 84),
    ]:
        model_days = 8 * tokens * parameter_count / (gpus * rate) / 86_400
        assert model_days == pytest.approx(days, rel=3e-3, abs=0.5)


# --- MosaicML: scripts/train/benchmarking, a sample ----------------------------------------------

MPT_SIZES = {
    "125m": (768, 12),
    "350m": (1024, 24),
    "760m": (1536, 24),
    "1b": (2048, 24),
    "3b": (2560, 32),
    "7b": (4096, 32),
    "13b": (5120, 40),
    "30b": (7168, 48),
    "70b": (8192, 80),
}
MPT = """
7b,2048,512,h100_80gb,amp_bf16,F,9670,42.2,42.2
7b,2048,128,h100_80gb,amp_bf16,F,10475,45.71,45.71
3b,2048,512,h100_80gb,amp_bf16,F,21664,39.24,39.24
3b,2048,128,h100_80gb,amp_bf16,F,23422,42.43,42.43
1b,2048,512,h100_80gb,amp_bf16,F,39837,36.65,36.65
1b,2048,128,h100_80gb,amp_bf16,F,44123,40.6,40.6
70b,2048,64,h100_80gb,amp_bf16,T,1039,42.57,56.76
30b,2048,32,h100_80gb,amp_bf16,T,2308,43.92,58.57
30b,2048,16,h100_80gb,amp_bf16,T,2263,43.07,57.42
30b,2048,8,h100_80gb,amp_bf16,T,2002,38.11,50.82
13b,32768,8,h100_80gb,amp_bf16,T,1976,31.68,42.24
13b,2048,32,h100_80gb,amp_bf16,F,4811,39.95,39.95
13b,2048,16,h100_80gb,amp_bf16,F,4767,39.58,39.58
7b,65536,8,h100_80gb,amp_bf16,T,1956,28.59,38.13
7b,8192,8,h100_80gb,amp_bf16,T,6935,37.14,49.52
7b,2048,8,h100_80gb,amp_bf16,F,10643,46.44,46.44
3b,2048,32,h100_80gb,amp_bf16,F,23021,41.7,41.7
1b,4096,8,h100_80gb,amp_bf16,F,38535,40.26,40.26
1b,2048,32,h100_80gb,amp_bf16,F,45130,41.52,41.52
1b,2048,16,h100_80gb,amp_bf16,F,46037,42.36,42.36
760m,32768,8,h100_80gb,amp_bf16,F,16291,31.84,31.84
1b,32768,8,h100_80gb,amp_fp8,F,12580,17.55,17.55
70b,2048,32,a100_80gb,bf16,T,373,48.56,64.75
30b,1024,8,a100_80gb,amp_bf16,T,946,55.82,74.43
7b,8192,8,a100_80gb,amp_bf16,T,3206,54.47,72.62
3b,4096,8,a100_80gb,amp_bf16,F,9457,60.53,60.53
1b,16384,8,a100_80gb,amp_bf16,F,9956,56.6,56.6
1b,8192,8,a100_80gb,amp_bf16,F,13814,56.69,56.69
1b,1024,8,a100_80gb,amp_bf16,F,22112,60.15,60.15
125m,65536,8,a100_80gb,amp_bf16,F,20368,54.13,54.13
125m,512,8,a100_80gb,amp_bf16,F,165681,42.56,42.56
70b,2048,128,a100_40gb,bf16,T,376,48.91,65.21
30b,2048,32,a100_40gb,bf16,T,857,51.74,68.98
13b,8192,8,a100_40gb,bf16,T,1407,43.95,58.6
13b,4096,8,a100_40gb,bf16,T,1603,44.85,59.8
13b,2048,128,a100_40gb,bf16,T,1972,51.93,69.24
13b,2048,32,a100_40gb,bf16,T,1998,52.62,70.16
13b,2048,16,a100_40gb,bf16,T,1993,52.5,70.0
13b,1024,8,a100_40gb,bf16,T,1727,44.07,58.76
7b,512,8,a100_40gb,bf16,T,3895,50.85,67.8
3b,32768,8,a100_40gb,bf16,T,2955,46.03,61.37
3b,2048,64,a100_40gb,bf16,F,9736,55.94,55.94
760m,2048,128,a100_40gb,bf16,F,28940,50.73,50.73
760m,512,8,a100_40gb,bf16,F,34938,53.47,53.47
350m,2048,64,a100_40gb,bf16,F,52689,46.27,46.27
125m,16384,8,a100_40gb,bf16,F,55484,46.77,46.77
125m,2048,32,a100_40gb,bf16,F,127122,39.86,39.86
125m,2048,8,a100_40gb,bf16,F,136334,42.75,42.75
"""


@pytest.mark.parametrize("row", MPT.split())
def test_mosaic(row: str) -> None:
    size, tokens, _, gpu, precision, recomputes, speed, mfu, hfu = row.split(",")
    hidden, layers = MPT_SIZES[size]
    heads = hidden // 128 or 1
    model = plain(hidden, layers, heads, 50368, positions=int(tokens), biases=True)
    table = 50368 * hidden + int(tokens) * hidden
    blocks = layers * (12 * hidden**2 + 13 * hidden) + 2 * hidden
    assert parameters(model).total == table + blocks
    peak = A100 if gpu.startswith("a100") else H100
    peak = H100_FLOAT8 if precision == "amp_fp8" else peak
    found = per_token(model, int(tokens), "mosaicml") * int(speed) / peak
    assert 100 * found == pytest.approx(float(mfu), rel=2.5e-3)
    passes = 4 / 3 if recomputes == "T" else 1
    assert 100 * passes * found == pytest.approx(float(hfu), rel=2.5e-3)


# --- PaLM 540B and Megatron-Turing NLG 530B -------------------------------------------------------


def test_palm() -> None:
    # Heads of width 256 in a stream of 18,432, one key and value head; blocks gated.
    attention = Attention(48, 1, 256, 256)
    layer = Layer(118, attention, FeedForward(4 * 18432, gated=True), 18432)
    model = Architecture("palm", 18432, 256_000, (layer,), tied=True, vectors=18432)
    assert parameters(model).total / 1e9 == pytest.approx(540.35, abs=0.01)
    rate = 238_300 / 6144 / TPU_V4
    assert 100 * per_token(model, 2048, "palm") * rate == pytest.approx(46.2, abs=0.05)
    assert 100 * per_token(model, 2048, "6n") * rate == pytest.approx(45.7, abs=0.05)


def test_megatron_turing() -> None:
    model = plain(20480, 105, 128, 51200, positions=2048, biases=True)
    rate = 65_430 / 2240 / A100
    assert 100 * per_token(model, 2048, "palm") * rate == pytest.approx(30.2, abs=0.1)
    assert 100 * per_token(model, 2048, "6n") * rate == pytest.approx(29.7, abs=0.1)


# --- Llama 3, torchtitan, fms-fsdp ----------------------------------------------------------------


def llama(hidden: int, layers: int, heads: int, kv_heads: int, inner: int, **more: Any) -> Any:
    return from_config(
        {
            "model_type": "llama",
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "intermediate_size": inner,
            "vocab_size": 128_256,
            **more,
        }
    )


LLAMA_8B = llama(4096, 32, 32, 8, 14336)
LLAMA_70B = llama(8192, 80, 64, 8, 28672)
LLAMA_405B = llama(16384, 126, 128, 8, 53248)


def test_llama_3() -> None:
    own = parameters(LLAMA_405B)
    assert own.total / 1e9 == pytest.approx(405.849, abs=0.005)
    assert (own.total - own.embedding - own.vectors) / 1e9 == pytest.approx(403.748, abs=0.005)
    # The speed that 430 TFLOP/s are, by either way to count attention.
    for convention, speed in (("exact", 170.4), ("dense-attention", 163.8)):
        assert 430e12 / per_token(LLAMA_405B, 8192, convention) == pytest.approx(speed, abs=0.05)
    for tera, percent in ((430, 43.5), (400, 40.4), (380, 38.4)):
        assert 100 * tera / 989 == pytest.approx(percent, abs=0.05)


def test_torchtitan_llama() -> None:
    for speed, full, half in ((5762, 33.7, 29.9), (6667, 39.0, 34.7)):
        found = 100 * per_token(LLAMA_8B, 8192, "torchtitan") * speed / H100
        assert found == pytest.approx(full, abs=0.06)
        exact = 100 * per_token(LLAMA_8B, 8192, "exact") * speed / H100
        assert exact == pytest.approx(half, abs=0.08)


QWEN3_30B = from_config(
    {
        "model_type": "qwen3_moe",
        "hidden_size": 2048,
        "num_hidden_layers": 48,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "intermediate_size": 6144,
        "moe_intermediate_size": 768,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "vocab_size": 151_936,
    }
)


def test_torchtitan_qwen3_from_two_code_paths() -> None:
    # torchtitan#4300: one right, the other with all experts, the embedding and heads too narrow.
    assert per_token(QWEN3_30B, 8192, "torchtitan") == 37_578_559_488
    wrong = replace(choices_of("palm", QWEN3_30B), experts="total", own_width=False)
    assert evaluate(QWEN3_30B, 8192, wrong) == 8192 * 192_856_412_160


@pytest.mark.parametrize(
    ("hidden", "layers", "inner", "speeds", "shares"),
    [
        (4096, 32, 11008, (4550, 9600), (0.68, 0.46)),
        (5120, 40, 13824, (2150, 4850), (0.61, 0.43)),
    ],
)
def test_fms_fsdp(hidden, layers, inner, speeds, shares) -> None:
    heads = hidden // 128
    model = llama(hidden, layers, heads, heads, inner, vocab_size=32_000)
    work = per_token(model, 4096, "palm")
    for speed, share, peak in zip(speeds, shares, (A100, H100), strict=True):
        assert work * speed / peak == pytest.approx(share, abs=0.007)


# --- Megatron-LM's README: parameters, MFU and rate of each row -----------------------------------

README = [
    (1.7, 2048, 24, 48, 408.8, 41, 19.6),
    (7.1, 4096, 30, 96, 465.9, 47, 44.7),
    (16, 6144, 32, 192, 489.1, 49, 93.9),
    (32, 7168, 48, 384, 459.6, 46, 176.5),
    (70, 8192, 84, 768, 419.7, 42, 322.3),
    (119, 10240, 92, 1536, 420.5, 43, 645.9),
    (177, 12288, 96, 2304, 432.8, 44, 997.2),
    (314, 16384, 96, 3072, 474.4, 48, 1457.4),
    (462, 18432, 112, 6144, 459.9, 47, 2825.6),
]


@pytest.mark.parametrize("row", README, ids=lambda row: f"{row[0]}B")
def test_megatron_readme(row) -> None:
    billions, hidden, layers, gpus, tera, percent, peta = row
    model = plain(hidden, layers, hidden // 128, 131_072, positions=4096, biases=True, tied=False)
    assert parameters(model).total / 1e9 == pytest.approx(billions, rel=0.02, abs=0.06)
    assert 100 * tera / 989 == pytest.approx(percent, abs=0.6)
    assert gpus * tera / 1000 == pytest.approx(peta, rel=1e-3, abs=0.05)


# --- Megatron-Bridge: model TFLOP/s over tokens/s, as its tables of performance have them ---------

GPT_OSS = from_config(
    {
        "model_type": "gpt_oss",
        "hidden_size": 2880,
        "num_hidden_layers": 36,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "intermediate_size": 2880,
        "num_local_experts": 128,
        "num_experts_per_tok": 4,
        "vocab_size": 201_088,
        "sliding_window": 128,
    }
)
DEEPSEEK_V3 = from_config(
    {
        "model_type": "deepseek_v3",
        "hidden_size": 7168,
        "num_hidden_layers": 61,
        "num_attention_heads": 128,
        "intermediate_size": 18432,
        "vocab_size": 129_280,
        "num_nextn_predict_layers": 1,
    }
)
DEEPSEEK_V3_ALONE = replace(DEEPSEEK_V3, prediction_layers=0)


@pytest.mark.parametrize(
    ("model", "tokens", "giga"),
    [
        (LLAMA_8B, 8192, 51.47),
        (LLAMA_70B, 8192, 449.2),
        (DEEPSEEK_V3, 4096, 260.0),
        (DEEPSEEK_V3_ALONE, 4096, 249.7),
        (QWEN3_30B, 4096, 23.0),
        (GPT_OSS, 4096, 32.61),
    ],
)
def test_megatron_bridge(model, tokens, giga) -> None:
    assert per_token(model, tokens, "megatron") / 1e9 == pytest.approx(giga, rel=1e-3)


@pytest.mark.parametrize(
    ("model", "tokens", "speed", "tera"),
    [
        (LLAMA_8B, 8192, 37_556, 1933),
        (LLAMA_8B, 8192, 14_451, 744),
        (LLAMA_70B, 8192, 4520, 2030),
        (LLAMA_405B, 8192, 999, 2522),
        (DEEPSEEK_V3_ALONE, 4096, 4357, 1088),
        (QWEN3_30B, 4096, 28_934, 666),
    ],
)
def test_rows_of_megatron_bridge(model, tokens, speed, tera) -> None:
    # Release 25.11; both columns are rounded to whole numbers.
    found = per_token(model, tokens, "megatron") * speed / 1e12
    assert found == pytest.approx(tera, abs=0.5 + found * 0.5 / speed, rel=1e-3)


@pytest.mark.parametrize(
    ("tokens", "speed", "tera"), [(4096, 5630, 153), (8192, 18_347, 565), (8192, 15_876, 488)]
)
def test_gpt_oss_before_its_correction(tokens, speed, tera) -> None:
    # Megatron-Bridge#3947: two matrices a block for three, and no windows.
    wrong = replace(choices_of("megatron", GPT_OSS), third_matrix=False, windows=False)
    found = evaluate(GPT_OSS, tokens, wrong) / tokens * speed / 1e12
    assert found == pytest.approx(tera, abs=1)
    right = per_token(GPT_OSS, tokens, "megatron") * speed / 1e12
    assert right > 1.1 * tera


# --- what the choice does to one model ------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "tokens", "giga", "ratios"),
    [
        (LLAMA_8B, 8192, 51.47, {"dense-attention": 1.13, "palm": 1.19, "6n": 0.94, "hf": 0.87}),
        (LLAMA_8B, 131_072, 148.1, {"dense-attention": 1.70, "palm": 1.72, "6n": 0.33, "hf": 0.3}),
        (LLAMA_70B, 8192, 449.2, {"dense-attention": 1.07, "palm": 1.09, "6n": 0.94, "hf": 0.93}),
        (QWEN3_30B, 4096, 23.08, {"dense-attention": 1.21, "palm": 1.29, "6n": 0.87}),
        (GPT2, 1024, 0.798, {"dense-attention": 1.07, "6n": 0.94, "hf": 0.64}),
    ],
)
def test_ratios_to_the_exact_count(model, tokens, giga, ratios) -> None:
    exact = per_token(model, tokens, "exact")
    assert exact / 1e9 == pytest.approx(giga, rel=1e-3)
    for convention, ratio in ratios.items():
        assert per_token(model, tokens, convention) / exact == pytest.approx(ratio, abs=0.006)


def test_fms_fsdp_34b_has_no_one_explanation() -> None:
    # 0.55 on an A100 and 0.38 on an H100 do not go back to one way of counting.
    model = llama(8192, 48, 64, 8, 22016, vocab_size=32_000)
    found = []
    for text, speed, peak in (("55%", 820, A100), ("38%", 1830, H100)):
        ways = explanations(model, 4096, figure(text), Speed(Fraction(speed), peak))
        found.append({(one.convention, one.deviations) for one in ways})
    assert found[0]
    assert not set.intersection(*found)
