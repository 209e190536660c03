"""Configs of every family against the models that transformers builds from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from goodput.errors import UsageError
from goodput.formulas.architecture import backward_flops, forward_flops, parameters
from goodput.formulas.architecture_config import from_config
from goodput.formulas.architecture_families import FAMILIES
from goodput.formulas.conventions_closed import training_flops

BATCH, TOKENS = 2, 16

_SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 160,
}
_GROUPED = {**_SMALL, "num_key_value_heads": 2}
_FALCON = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 90}
_LATENT = {
    **_SMALL,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 12,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "first_k_dense_replace": 1,
}

CONFIGS: dict[str, list[dict[str, Any]]] = {
    "bloom": [{"hidden_size": 64, "n_layer": 2, "n_head": 4, "vocab_size": 90}],
    "deepseek_v2": [{**_LATENT, "q_lora_rank": None}],
    "deepseek_v3": [
        {**_LATENT, "q_lora_rank": 20, "n_group": 2, "topk_group": 1},
        {
            **_SMALL,
            "attention_bias": True,
            "n_routed_experts": 8,
            "n_group": 2,
            "topk_group": 2,
            "moe_intermediate_size": 24,
            "first_k_dense_replace": 2,
        },
    ],
    "falcon": [
        _FALCON,
        {**_FALCON, "new_decoder_architecture": True, "num_kv_heads": 2},
        {**_FALCON, "multi_query": False, "parallel_attn": False, "bias": True, "alibi": True},
    ],
    "gemma": [_GROUPED],
    "gemma2": [{**_GROUPED, "sliding_window": 5}],
    "gemma3_text": [{**_GROUPED, "sliding_window": 5, "sliding_window_pattern": 2}],
    "gpt2": [{"n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 100, "n_positions": 32}],
    "gpt_neox": [_SMALL, {**_SMALL, "attention_bias": False}],
    "gpt_oss": [{**_GROUPED, "num_local_experts": 6, "sliding_window": 5}],
    "llama": [
        _GROUPED,
        {
            **_GROUPED,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
            "head_dim": 24,
        },
    ],
    "mistral": [_GROUPED, {**_GROUPED, "sliding_window": 5}, {**_GROUPED, "sliding_window": None}],
    "mixtral": [{**_GROUPED, "num_local_experts": 4}],
    "mpt": [{"d_model": 64, "n_layers": 2, "n_heads": 4, "vocab_size": 90}],
    "olmo2": [_GROUPED, {**_GROUPED, "attention_bias": True}],
    "opt": [
        {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "ffn_dim": 100,
            "vocab_size": 80,
            "word_embed_proj_dim": 64,
            "max_position_embeddings": 32,
        }
    ],
    "phi": [_GROUPED],
    "phi3": [{**_GROUPED, "pad_token_id": 0}],
    "qwen2": [
        _GROUPED,
        {**_GROUPED, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ],
    "qwen2_moe": [
        {
            **_GROUPED,
            "num_experts": 6,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 40,
            "decoder_sparse_step": 2,
        }
    ],
    "qwen3": [_GROUPED, {**_GROUPED, "attention_bias": True}],
    "qwen3_moe": [
        {
            **_GROUPED,
            "num_experts": 6,
            "num_experts_per_tok": 3,
            "moe_intermediate_size": 32,
            "head_dim": 24,
            "mlp_only_layers": [1],
        }
    ],
}

WITH_PRODUCTS_BY_HAND = {"bloom", "gemma2", "gpt_oss", "mpt"}
"""Families whose attention is no operator of its own, so that it is counted dense."""

CASES = [
    pytest.param({"model_type": family, **config}, id=f"{family}-{number}")
    for family, configs in CONFIGS.items()
    for number, config in enumerate(configs)
]


def test_every_family_has_a_config_here() -> None:
    assert set(CONFIGS) == set(FAMILIES)


@pytest.fixture(scope="module")
def built() -> Any:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    transformers.utils.logging.set_verbosity_error()

    def build(fields: dict[str, Any]) -> Any:
        with torch.device("meta"):
            return transformers.AutoModelForCausalLM.from_config(
                transformers.AutoConfig.for_model(**fields)
            )

    return build


@pytest.mark.parametrize("fields", CASES)
def test_parameters_are_those_of_the_model(fields, built) -> None:
    model = built(fields)
    assert parameters(from_config(fields)).total == model.num_parameters()


@pytest.mark.parametrize("fields", CASES)
def test_defaults_are_those_of_the_family(fields, built) -> None:
    # The whole config says every field, the short one leaves the defaults to us.
    whole = built(fields).config.to_dict()
    assert from_config(whole) == from_config(fields)


@pytest.mark.parametrize("fields", CASES)
def test_hf_is_what_the_trainer_sums(fields, built) -> None:
    counted = 6 * TOKENS * built(fields).num_parameters(exclude_embeddings=True)
    assert training_flops(from_config(fields), TOKENS, "hf") == counted


@pytest.mark.parametrize("fields", CASES)
def test_the_closed_count_is_what_the_model_does(fields, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    from goodput.frontends.torch_count_models import count_config

    (tmp_path / "config.json").write_text(json.dumps(fields))
    entries = count_config(tmp_path, BATCH, TOKENS, train=True).work.entries
    works = [(entry.phase, entry.work) for entry in entries if entry.work is not None]
    model = from_config(fields)
    by_hand = fields["model_type"] in WITH_PRODUCTS_BY_HAND or fields.get("alibi")
    for phase, count in (("forward", forward_flops), ("backward", backward_flops)):
        dense = sum(work.dense_flops for own, work in works if own == phase)
        exact = sum(work.flops for own, work in works if own == phase)
        assert dense == BATCH * count(model, TOKENS, dense=True)
        assert exact == BATCH * count(model, TOKENS, dense=bool(by_hand))


# --- bad configs ----------------------------------------------------------------------------------


def test_an_unknown_family_is_told_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"architecture mamba is not known.*llama"):
        from_config({"model_type": "mamba"})


def test_no_family_at_all() -> None:
    with pytest.raises(UsageError, match="no model_type"):
        from_config({"hidden_size": 3})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": None}, "the llama config has no hidden_size"),
        ({"hidden_size": "64"}, "hidden_size of the llama config is '64'"),
        ({"num_hidden_layers": 0}, "at least 1"),
        ({"vocab_size": True}, "vocab_size"),
        ({"tie_word_embeddings": 1}, "true or false"),
    ],
)
def test_a_wrong_field_is_named(change, message) -> None:
    with pytest.raises(UsageError, match=message):
        from_config({"model_type": "llama", **_GROUPED, **change})


def test_what_is_not_described_is_refused() -> None:
    fields = {"model_type": "opt", **CONFIGS["opt"][0], "word_embed_proj_dim": 32}
    with pytest.raises(UsageError, match=r"word_embed_proj_dim.*32.*only 64 is"):
        from_config(fields)


@pytest.mark.parametrize("types", [["sliding_attention"], "sliding_attention", [1, 2, 3]])
def test_layer_types_are_one_name_a_layer(types) -> None:
    with pytest.raises(UsageError, match="no list of 3 names"):
        from_config({"model_type": "qwen3", **_GROUPED, "layer_types": types})


def test_mlp_only_layers_are_whole_numbers() -> None:
    fields = {"model_type": "qwen3_moe", **CONFIGS["qwen3_moe"][0], "mlp_only_layers": ["1"]}
    with pytest.raises(UsageError, match="no list of whole numbers"):
        from_config(fields)
