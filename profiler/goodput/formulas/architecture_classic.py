"""Configs of the families after GPT-2: blocks of two matrices, mostly with biases.

Defaults are those of the family's own config class in transformers 5, which a `config.json` may
leave out.
"""

from __future__ import annotations

from goodput.formulas.architecture import Architecture, FeedForward, Layer
from goodput.formulas.architecture_fields import Fields
from goodput.formulas.architecture_layout import LAYER_NORM, Shape, model_of, shape_of


def gpt2(fields: Fields) -> Architecture:
    """The gpt2 family."""
    hidden = fields.size("n_embd", "hidden_size")
    layers = fields.size("n_layer", "num_hidden_layers")
    heads = fields.size("n_head", "num_attention_heads")
    shape = Shape(hidden, layers, heads, heads, hidden // heads)
    inner = fields.size("n_inner", default=4 * hidden)
    vectors = shape.biases() + inner + hidden + 2 * LAYER_NORM * hidden
    layer = Layer(layers, shape.attention(), FeedForward(inner, gated=False), vectors)
    return model_of(
        fields,
        shape,
        [layer],
        tied=True,
        vectors=LAYER_NORM * hidden,
        positions=fields.size("n_positions", "max_position_embeddings", default=1024),
    )


def gpt_neox(fields: Fields) -> Architecture:
    """The gpt_neox family."""
    shape = shape_of(fields)
    inner = fields.size("intermediate_size")
    vectors = inner + shape.hidden + 2 * LAYER_NORM * shape.hidden
    if fields.flag("attention_bias", default=True):
        vectors += shape.biases()
    layer = Layer(shape.layers, shape.attention(), FeedForward(inner, gated=False), vectors)
    return model_of(fields, shape, [layer], vectors=LAYER_NORM * shape.hidden)


def opt(fields: Fields) -> Architecture:
    """The opt family."""
    shape = shape_of(fields)
    fields.must_be("word_embed_proj_dim", shape.hidden)
    fields.must_be("layer_norm_elementwise_affine", value=True)
    inner = fields.size("ffn_dim", default=3072)
    vectors = 2 * LAYER_NORM * shape.hidden
    if fields.flag("enable_bias", default=True):
        vectors += shape.biases() + inner + shape.hidden
    ends_with_norm = fields.flag("do_layer_norm_before", default=True) and not fields.flag(
        "_remove_final_layer_norm"
    )
    layer = Layer(shape.layers, shape.attention(), FeedForward(inner, gated=False), vectors)
    return model_of(
        fields,
        shape,
        [layer],
        tied=True,
        vectors=LAYER_NORM * shape.hidden if ends_with_norm else 0,
        # Its table has two rows more than positions.
        positions=fields.size("max_position_embeddings", default=2048) + 2,
    )


def bloom(fields: Fields) -> Architecture:
    """The bloom family."""
    hidden = fields.size("hidden_size", "n_embed")
    layers = fields.size("n_layer", "num_hidden_layers")
    heads = fields.size("n_head", "num_attention_heads")
    shape = Shape(hidden, layers, heads, heads, hidden // heads)
    block = FeedForward(4 * hidden, gated=False)
    vectors = shape.biases() + 5 * hidden + 2 * LAYER_NORM * hidden
    layer = Layer(layers, shape.attention(), block, vectors)
    # A norm after the embedding and one after the layers.
    return model_of(fields, shape, [layer], tied=True, vectors=2 * LAYER_NORM * hidden)


def mpt(fields: Fields) -> Architecture:
    """The mpt family."""
    fields.must_be("expansion_ratio", 4)
    hidden, layers = fields.size("d_model"), fields.size("n_layers")
    heads = fields.size("n_heads")
    shape = Shape(hidden, layers, heads, heads, hidden // heads)
    block = FeedForward(4 * hidden, gated=False)
    layer = Layer(layers, shape.attention(), block, 2 * hidden)
    return model_of(fields, shape, [layer], tied=True, vectors=hidden)


def falcon(fields: Fields) -> Architecture:
    """The falcon family."""
    hidden = fields.size("hidden_size")
    layers = fields.size("num_hidden_layers", "n_layer")
    heads = fields.size("num_attention_heads", "n_head")
    is_new = fields.flag("new_decoder_architecture")
    one_kv_head = not is_new and fields.flag("multi_query", default=True)
    kv_heads = 1 if one_kv_head else fields.size("num_kv_heads", "n_head_kv", default=heads)
    shape = Shape(hidden, layers, heads, kv_heads, hidden // heads)
    inner = fields.size("ffn_hidden_size", default=4 * hidden)
    is_parallel = fields.flag("parallel_attn", default=True)
    norms = fields.size("num_ln_in_parallel_attn", default=2) if is_new else 2 - is_parallel
    vectors = norms * LAYER_NORM * hidden
    if fields.flag("bias"):
        vectors += shape.biases() + inner + hidden
    layer = Layer(layers, shape.attention(), FeedForward(inner, gated=False), vectors)
    return model_of(fields, shape, [layer], tied=True, vectors=LAYER_NORM * hidden)


def phi(fields: Fields) -> Architecture:
    """The phi family."""
    fields.must_be("qk_layernorm", value=False)
    shape = shape_of(fields)
    inner = fields.size("intermediate_size")
    vectors = shape.biases() + inner + shape.hidden + LAYER_NORM * shape.hidden
    layer = Layer(shape.layers, shape.attention(), FeedForward(inner, gated=False), vectors)
    head_bias = fields.size("vocab_size")
    return model_of(fields, shape, [layer], vectors=LAYER_NORM * shape.hidden + head_bias)
