"""How the config of each family of language models is to be read: one function a family.

Defaults are those of the family's own config class in transformers 5, which a `config.json` may
leave out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from goodput.formulas import architecture_classic as classic
from goodput.formulas.architecture import Architecture, Attention, FeedForward, Layer
from goodput.formulas.architecture_fields import Fields
from goodput.formulas.architecture_layout import (
    Shape,
    gated_block,
    model_of,
    shape_of,
    windows_of,
)


def _llama(fields: Fields) -> Architecture:
    shape = shape_of(fields)
    block = gated_block(fields)
    vectors = 2 * shape.hidden
    if fields.flag("attention_bias"):
        vectors += shape.biases()
    if fields.flag("mlp_bias"):
        vectors += 2 * block.intermediate + shape.hidden
    layer = Layer(shape.layers, shape.attention(), block, vectors)
    return model_of(fields, shape, [layer], vectors=shape.hidden)


def _mistral(fields: Fields) -> Architecture:
    shape = shape_of(fields)
    window = fields.optional("sliding_window", default=4096)
    layer = Layer(shape.layers, shape.attention(window), gated_block(fields), 2 * shape.hidden)
    return model_of(fields, shape, [layer], vectors=shape.hidden)


def _mixtral(fields: Fields) -> Architecture:
    shape = shape_of(fields)
    window = fields.optional("sliding_window", default=None)
    experts = FeedForward(
        fields.size("intermediate_size"),
        gated=True,
        experts=fields.size("num_local_experts", default=8),
        active=fields.size("num_experts_per_tok", default=2),
    )
    layer = Layer(shape.layers, shape.attention(window), experts, 2 * shape.hidden)
    return model_of(fields, shape, [layer], vectors=shape.hidden)


def _olmo2(fields: Fields) -> Architecture:
    shape = shape_of(fields)
    vectors = 2 * shape.hidden + shape.query_width + shape.key_width
    if fields.flag("attention_bias"):
        vectors += shape.biases()
    layer = Layer(shape.layers, shape.attention(), gated_block(fields), vectors)
    return model_of(fields, shape, [layer], vectors=shape.hidden)


def _qwen_window(fields: Fields) -> int | None:
    if not fields.flag("use_sliding_window"):
        return None
    return fields.optional("sliding_window", default=4096)


def _qwen2(fields: Fields) -> Architecture:
    shape = shape_of(fields)
    first = fields.count("max_window_layers", default=28)
    vectors = 2 * shape.hidden + shape.biases(out=False)
    return _qwen_dense(fields, shape, vectors, first)


def _qwen3(fields: Fields) -> Architecture:
    shape = shape_of(fields, head_dim=128)
    first = fields.count("max_window_layers", default=28)
    vectors = 2 * shape.hidden + 2 * shape.head_dim
    if fields.flag("attention_bias"):
        vectors += shape.biases()
    return _qwen_dense(fields, shape, vectors, first)


def _qwen_dense(fields: Fields, shape: Shape, vectors: int, first: int) -> Architecture:
    windows = windows_of(fields, _qwen_window(fields), lambda layer: layer >= first)
    block = gated_block(fields)
    layers = [Layer(1, shape.attention(window), block, vectors) for window in windows]
    return model_of(fields, shape, layers, vectors=shape.hidden)


def _qwen2_moe(fields: Fields) -> Architecture:
    shape = shape_of(fields)
    last = fields.count("max_window_layers", default=28)
    windows = windows_of(
        fields, _qwen_window(fields), lambda layer: layer % 2 == 0 and layer < last
    )
    vectors = 2 * shape.hidden
    if fields.flag("qkv_bias", default=True):
        vectors += shape.biases(out=False)
    experts = FeedForward(
        fields.size("moe_intermediate_size", default=1408),
        gated=True,
        experts=fields.size("num_experts", default=60),
        active=fields.size("num_experts_per_tok", default=4),
        shared=fields.size("shared_expert_intermediate_size", default=5632),
        shared_gate=True,
    )
    return _qwen_sparse(fields, shape, windows, experts, vectors)


def _qwen3_moe(fields: Fields) -> Architecture:
    shape = shape_of(fields)
    window = _qwen_window(fields)
    windows = windows_of(fields, window, lambda _: True)
    vectors = 2 * shape.hidden + 2 * shape.head_dim
    if fields.flag("attention_bias"):
        vectors += shape.biases()
    experts = FeedForward(
        fields.size("moe_intermediate_size", default=768),
        gated=True,
        experts=fields.size("num_experts", "num_local_experts", default=128),
        active=fields.size("num_experts_per_tok", default=8),
    )
    return _qwen_sparse(fields, shape, windows, experts, vectors)


def _qwen_sparse(
    fields: Fields,
    shape: Shape,
    windows: list[int | None],
    experts: FeedForward,
    vectors: int,
) -> Architecture:
    step = fields.size("decoder_sparse_step", default=1)
    dense = set(fields.numbers("mlp_only_layers"))
    block = FeedForward(fields.size("intermediate_size", default=1), gated=True)
    layers = []
    for number, window in enumerate(windows):
        is_sparse = number not in dense and (number + 1) % step == 0
        part = experts if is_sparse else block
        layers.append(Layer(1, shape.attention(window), part, vectors))
    return model_of(fields, shape, layers, vectors=shape.hidden)


def _gemma(fields: Fields) -> Architecture:
    return _gemma_like(fields, norms=2, own=0, windows=None)


def _gemma2(fields: Fields) -> Architecture:
    window = fields.optional("sliding_window", default=4096)
    windows = windows_of(fields, window, lambda layer: layer % 2 == 0)
    return _gemma_like(fields, norms=4, own=0, windows=windows)


def _gemma3(fields: Fields) -> Architecture:
    window = fields.optional("sliding_window", default=4096)
    period = fields.size("sliding_window_pattern", default=6)
    windows = windows_of(fields, window, lambda layer: (layer + 1) % period != 0)
    return _gemma_like(fields, norms=4, own=2, windows=windows)


def _gemma_like(
    fields: Fields, *, norms: int, own: int, windows: list[int | None] | None
) -> Architecture:
    """A Gemma with `norms` norms of the hidden width a layer, and `own` of a head's."""
    shape = shape_of(fields, head_dim=256)
    vectors = norms * shape.hidden + own * shape.head_dim
    if fields.flag("attention_bias"):
        vectors += shape.biases()
    block = gated_block(fields)
    layers = [
        Layer(1, shape.attention(window), block, vectors)
        for window in windows or [None] * shape.layers
    ]
    return model_of(fields, shape, layers, tied=True, vectors=shape.hidden)


def _gpt_oss(fields: Fields) -> Architecture:
    shape = shape_of(fields, head_dim=64)
    window = fields.optional("sliding_window", default=128)
    width = fields.size("intermediate_size")
    experts = FeedForward(
        width,
        gated=True,
        experts=fields.size("num_local_experts", "num_experts", default=128),
        active=fields.size("num_experts_per_tok", "experts_per_token", default=4),
        expert_vectors=2 * width + shape.hidden,
    )
    # Beside norms and biases: a sink for each head, and the router's bias.
    vectors = 2 * shape.hidden + shape.heads + experts.experts
    if fields.flag("attention_bias", default=True):
        vectors += shape.biases()
    layers = [
        Layer(1, shape.attention(own), experts, vectors)
        for own in windows_of(fields, window, lambda layer: layer % 2 == 0)
    ]
    return model_of(fields, shape, layers, vectors=shape.hidden)


def _deepseek(fields: Fields) -> Architecture:
    """DeepSeek V2 and V3: latent attention, some dense layers first, then experts."""
    is_third = fields.family == "deepseek_v3"
    fields.must_be("moe_layer_freq", 1)
    fields.must_be("mlp_bias", value=False)
    hidden, heads = fields.size("hidden_size"), fields.size("num_attention_heads")
    rotary = fields.size("qk_rope_head_dim", default=64)
    attention = Attention(
        heads=heads,
        kv_heads=heads,
        head_dim=fields.size("qk_nope_head_dim", default=128) + rotary,
        value_dim=fields.size("v_head_dim", default=128),
        query_rank=fields.optional("q_lora_rank", default=1536) or 0,
        kv_rank=fields.size("kv_lora_rank", default=512),
        rotary_dim=rotary,
    )
    width = fields.size("moe_intermediate_size", default=2048 if is_third else 1407)
    shared = fields.count("n_shared_experts", default=1 if is_third else 2)
    experts = FeedForward(
        width,
        gated=True,
        experts=fields.size("n_routed_experts", default=256 if is_third else 64),
        active=fields.size("num_experts_per_tok", default=8 if is_third else None),
        shared=shared * width,
    )
    vectors = 2 * hidden + attention.query_rank + attention.kv_rank
    if fields.flag("attention_bias"):
        vectors += attention.query_rank + attention.kv_rank + rotary + hidden
    count = fields.size("num_hidden_layers")
    dense = min(fields.count("first_k_dense_replace", default=3 if is_third else 0), count)
    layers = [
        Layer(dense, attention, gated_block(fields), vectors),
        Layer(count - dense, attention, experts, vectors),
    ]
    return model_of(
        fields,
        Shape(hidden, count, heads, heads, attention.head_dim),
        [layer for layer in layers if layer.count],
        vectors=hidden,
        prediction_layers=fields.count(
            "num_nextn_predict_layers", "num_mtp_layers", default=int(is_third)
        ),
    )


def _phi3(fields: Fields) -> Architecture:
    shape = shape_of(fields)
    window = fields.optional("sliding_window", default=None)
    layer = Layer(shape.layers, shape.attention(window), gated_block(fields), 2 * shape.hidden)
    return model_of(fields, shape, [layer], vectors=shape.hidden)


FAMILIES: Mapping[str, Callable[[Fields], Architecture]] = {
    "bloom": classic.bloom,
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "falcon": classic.falcon,
    "gemma": _gemma,
    "gemma2": _gemma2,
    "gemma3_text": _gemma3,
    "gpt2": classic.gpt2,
    "gpt_neox": classic.gpt_neox,
    "gpt_oss": _gpt_oss,
    "llama": _llama,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "mpt": classic.mpt,
    "olmo2": _olmo2,
    "opt": classic.opt,
    "phi": classic.phi,
    "phi3": _phi3,
    "qwen2": _qwen2,
    "qwen2_moe": _qwen2_moe,
    "qwen3": _qwen3,
    "qwen3_moe": _qwen3_moe,
}
"""How to read a config, by its `model_type`."""
