"""The sizes that configs of every family have, and how a model is put together from its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from goodput.formulas.architecture import Architecture, Attention, FeedForward, Layer
from goodput.formulas.architecture_fields import Fields

_SLIDING = "sliding_attention"
LAYER_NORM = 2
"""Vectors of a LayerNorm: weight and bias; an RMSNorm has the weight alone."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that every family has."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int

    @property
    def query_width(self) -> int:
        """Width of all queries."""
        return self.heads * self.head_dim

    @property
    def key_width(self) -> int:
        """Width of all keys."""
        return self.kv_heads * self.head_dim

    def attention(self, window: int | None = None) -> Attention:
        """Attention of these heads."""
        return Attention(self.heads, self.kv_heads, self.head_dim, self.head_dim, window)

    def biases(self, *, out: bool = True) -> int:
        """Biases of the projections of a layer."""
        return self.query_width + 2 * self.key_width + (self.hidden if out else 0)


def shape_of(fields: Fields, head_dim: int | None = None) -> Shape:
    """The sizes under their usual names; a head's is `head_dim` where the config has none."""
    hidden = fields.size("hidden_size")
    heads = fields.size("num_attention_heads")
    kv_heads = fields.size("num_key_value_heads", default=heads)
    own = fields.size("head_dim", default=head_dim or hidden // heads)
    return Shape(hidden, fields.size("num_hidden_layers"), heads, kv_heads, own)


def model_of(
    fields: Fields,
    shape: Shape,
    layers: Iterable[Layer],
    *,
    tied: bool = False,
    vectors: int = 0,
    positions: int = 0,
    prediction_layers: int = 0,
) -> Architecture:
    """The model; equal layers are joined, wherever they stand."""
    counts: dict[Layer, int] = {}
    for layer in layers:
        counts[layer] = counts.get(layer, 0) + layer.count
    return Architecture(
        family=fields.family,
        hidden=shape.hidden,
        vocabulary=fields.size("vocab_size"),
        layers=tuple(
            Layer(count, layer.attention, layer.feed_forward, layer.vectors)
            for layer, count in counts.items()
        ),
        tied=fields.flag("tie_word_embeddings", default=tied),
        positions=positions,
        vectors=vectors,
        prediction_layers=prediction_layers,
    )


def gated_block(fields: Fields) -> FeedForward:
    """The block of three matrices that most families have."""
    return FeedForward(fields.size("intermediate_size"), gated=True)


def windows_of(
    fields: Fields, window: int | None, is_sliding: Callable[[int], bool]
) -> list[int | None]:
    """The window of each layer, by `layer_types` where the config has them."""
    count = fields.size("num_hidden_layers")
    types = fields.names("layer_types", count)
    slides = [t == _SLIDING for t in types] if types else [is_sliding(i) for i in range(count)]
    return [window if slide else None for slide in slides]
