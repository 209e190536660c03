"""Language models by their config: every total is derived here by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers", reason="transformers is not installed")

from goodput.errors import NotMeasuredError, UsageError
from goodput.frontends.torch_count import Count
from goodput.frontends.torch_count_models import count_config

BATCH, TOKENS, WIDTH, LAYERS, VOCABULARY = 2, 32, 64, 2, 256
COMMON: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 128,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 128,
}
PAIRS = TOKENS * (TOKENS + 1) // 2
ATTENTION = BATCH * 2 * 2 * WIDTH * PAIRS
PROJECTIONS = 2 * WIDTH * WIDTH + 2 * WIDTH * 32  # q and o; k and v of half the heads

LLAMA_405B = {
    "model_type": "llama",
    "hidden_size": 16_384,
    "intermediate_size": 53_248,
    "num_hidden_layers": 126,
    "num_attention_heads": 128,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128_256,
    "max_position_embeddings": 131_072,
    "rope_theta": 500_000.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}

MODELS = {
    "llama": ({"model_type": "llama"}, 3 * WIDTH * 128),
    "mixtral": (
        {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
        2 * 3 * WIDTH * 128 + WIDTH * 4,
    ),
    "qwen3_moe": (
        {
            "model_type": "qwen3_moe",
            "head_dim": 16,
            "moe_intermediate_size": 32,
            "num_experts": 8,
            "num_experts_per_tok": 2,
        },
        2 * 3 * WIDTH * 32 + WIDTH * 8,
    ),
}


def written(folder: Path, fields: dict[str, Any]) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path


def useful(found: Count, phase: str = "") -> int:
    return sum(
        entry.work.flops
        for entry in found.work.entries
        if entry.work is not None and entry.phase.startswith(phase)
    )


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_models_are_counted_exactly(tmp_path: Path, name: str, dtype: str) -> None:
    fields, feed_forward = MODELS[name]
    path = written(tmp_path, {**COMMON, **fields, "torch_dtype": dtype})
    layer = 2 * BATCH * TOKENS * (PROJECTIONS + feed_forward) + ATTENTION
    forward = LAYERS * layer + 2 * BATCH * TOKENS * WIDTH * VOCABULARY
    inferred = count_config(path, BATCH, TOKENS)
    assert useful(inferred) == forward
    assert inferred.tokens == BATCH * TOKENS
    trained = count_config(tmp_path, BATCH, TOKENS, train=True)
    assert useful(trained, "forward") == forward
    assert useful(trained, "backward") == 2 * forward
    assert {entry.mode for entry in trained.work.entries if entry.work and entry.work.flops} <= {
        dtype,
        "float32",
    }
    assert not any(entry.work is None for entry in trained.work.entries)


def test_what_is_assumed_of_experts_is_told(tmp_path: Path) -> None:
    found = count_config(written(tmp_path, {**COMMON, **MODELS["mixtral"][0]}), BATCH, TOKENS)
    assert any("2 x 64 tokens" in warning for warning in found.warnings)


def test_llama_405b_is_counted_exactly(tmp_path: Path) -> None:
    tokens, width, layers, heads = 8192, 16_384, 126, 128
    found = count_config(written(tmp_path, LLAMA_405B), 1, tokens, train=True)
    products = 2 * width * width + 2 * width * 8 * 128 + 3 * width * 53_248
    attention = heads * 128 * 4 * (tokens * (tokens + 1) // 2)
    forward = layers * (2 * tokens * products + attention) + 2 * tokens * width * 128_256
    assert useful(found, "forward") == forward
    assert useful(found) == 3 * forward == 20_676_348_909_453_312
    modules = {entry.module for entry in found.work.entries}
    assert {"model.layers.125.mlp.down_proj", "model.layers.0.self_attn", "lm_head"} <= modules


def test_a_sequence_beyond_the_positions_is_told(tmp_path: Path) -> None:
    found = count_config(written(tmp_path, {**COMMON, "model_type": "llama"}), 1, 129)
    assert any("129 tokens are longer than the 128" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"model_type": "zorg"}, "zorg, an architecture that transformers .* does not know"),
        ({"model_type": "vit"}, "no causal language model"),
        ({"hidden_size": 64}, "has no model_type"),
        ({"model_type": "llama", "hidden_size": "wide"}, "no valid config of a llama"),
        ([1, 2], "has no model_type"),
    ],
)
def test_configs_that_cannot_be_counted(tmp_path: Path, fields: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        count_config(written(tmp_path, fields))


def test_no_config(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        count_config(tmp_path)
    broken = tmp_path / "config.json"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="is no JSON file"):
        count_config(broken)


def test_transformers_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'goodput-profiler\[hf\]'"):
        count_config(written(tmp_path, {"model_type": "llama"}))


def test_more_tokens_than_positions_are_kept_of(tmp_path: Path) -> None:
    config = {**COMMON, "model_type": "mistral", "sliding_window": 8}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        NotMeasuredError, match=r"100000000 tokens are too many: .* for 128$"
    ) as told:
        count_config(tmp_path, seq=100_000_000)
    assert "aten" not in str(told.value)
