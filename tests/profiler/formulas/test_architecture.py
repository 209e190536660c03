from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.architecture import (
    Architecture,
    Attention,
    FeedForward,
    Layer,
    backward_flops,
    forward_flops,
    parameters,
)

TOKENS = st.integers(1, 60)


def by_hand(heads: int, kv_heads: int, dim: int, inner: int, vocabulary: int) -> Architecture:
    attention = Attention(heads, kv_heads, dim, dim)
    layer = Layer(1, attention, FeedForward(inner, gated=True))
    return Architecture("hand", heads * dim, vocabulary, (layer,), tied=True)


def test_a_layer_counted_by_hand() -> None:
    model = by_hand(heads=4, kv_heads=2, dim=8, inner=50, vocabulary=100)
    weights = 32 * 32 * 2 + 2 * 32 * 16 + 3 * 32 * 50
    assert parameters(model).total == weights + 100 * 32
    pairs = 7 * 8 // 2
    assert forward_flops(model, 7) == 2 * (7 * (weights + 100 * 32) + 4 * 16 * pairs)


@given(data=st.data(), tokens=TOKENS)
def test_backward_is_twice_forward(data, tokens, architectures) -> None:
    model = data.draw(architectures)
    assert backward_flops(model, tokens) == 2 * forward_flops(model, tokens)


@given(data=st.data(), tokens=TOKENS)
def test_layers_add_up(data, tokens, architectures) -> None:
    # A loop over n layers is n layers, and two groups are what each is alone.
    model = data.draw(architectures)
    head = forward_flops(replace(model, layers=()), tokens)
    whole = head
    for layer in model.layers:
        alone = replace(model, layers=(replace(layer, count=1),))
        whole += layer.count * (forward_flops(alone, tokens) - head)
    assert forward_flops(model, tokens) == whole


@given(data=st.data(), tokens=TOKENS, more=st.integers(1, 5))
def test_grouped_heads_differ_by_their_projections_alone(data, tokens, more, architectures) -> None:
    model = data.draw(architectures.filter(lambda one: not one.is_latent))
    layer = replace(model.layers[0], count=1)
    part = layer.attention
    wide = replace(layer, attention=replace(part, kv_heads=part.kv_heads * more))
    one, other = (replace(model, layers=(each,)) for each in (layer, wide))
    added = model.hidden * (more - 1) * part.kv_heads * (part.head_dim + part.value_dim)
    assert forward_flops(other, tokens) - forward_flops(one, tokens) == 2 * tokens * added


@given(data=st.data(), tokens=TOKENS)
def test_a_window_of_the_whole_sequence_is_none(data, tokens, architectures) -> None:
    model = data.draw(architectures)

    def with_window(window: int | None) -> Architecture:
        layers = (
            replace(layer, attention=replace(layer.attention, window=window))
            for layer in model.layers
        )
        return replace(model, layers=tuple(layers))

    assert forward_flops(with_window(tokens), tokens) == forward_flops(with_window(None), tokens)
    one_key = forward_flops(with_window(1), tokens)
    width = sum(layer.count * layer.attention.score_width for layer in model.layers)
    pairs = tokens * (tokens + 1) // 2
    whole = forward_flops(with_window(None), tokens)
    assert whole - one_key == 2 * width * (pairs - tokens)


@given(data=st.data(), tokens=TOKENS)
def test_dense_attention_adds_the_masked_pairs(data, tokens, architectures) -> None:
    model = data.draw(architectures)
    masked = sum(
        layer.count
        * layer.attention.score_width
        * sum(
            not (j <= i and (layer.attention.window is None or i - j < layer.attention.window))
            for i in range(tokens)
            for j in range(tokens)
        )
        for layer in model.layers
    )
    added = forward_flops(model, tokens, dense=True) - forward_flops(model, tokens)
    assert added == 2 * masked


@given(data=st.data())
def test_all_experts_active_are_all_parameters_active(data, architectures) -> None:
    model = data.draw(architectures)
    layers = (
        replace(layer, feed_forward=replace(layer.feed_forward, active=layer.feed_forward.experts))
        for layer in model.layers
    )
    own = parameters(replace(model, layers=tuple(layers)))
    assert own.active == own.total
    assert parameters(model).active <= parameters(model).total == own.total
