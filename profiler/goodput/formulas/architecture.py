"""What a causal language model is made of, and its exact count as a closed formula.

Pure integers, by shapes alone: reads no file and knows no framework. FLOPs are those of the `exact`
convention, of one sequence; a token's are that over its tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from goodput.formulas.attention import window_pairs

FORWARD_AND_BACKWARD = 3
"""A product's backward pass is two products of its size: one a gradient."""


@dataclass(frozen=True, slots=True)
class Attention:
    """The attention of one layer.

    Attributes:
        heads: query heads.
        kv_heads: key and value heads.
        head_dim: of a query and a key.
        value_dim: of a value.
        window: keys that a query sees at most, itself among them; None is all before it.
        query_rank: of queries that are projected in two steps; 0 in one.
        kv_rank: of keys and values that are projected in two steps (multi-head latent attention);
            0 in one.
        rotary_dim: with `kv_rank`, the part of `head_dim` that all heads share.
    """

    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    window: int | None = None
    query_rank: int = 0
    kv_rank: int = 0
    rotary_dim: int = 0

    @property
    def score_width(self) -> int:
        """`heads (head_dim + value_dim)`: multiply-adds of a query with one key and its value."""
        return self.heads * (self.head_dim + self.value_dim)

    def projections(self, hidden: int) -> int:
        """Weights of the projections into queries, keys and values, and out of the heads."""
        out = self.heads * self.value_dim * hidden
        return self._queries(hidden) + self._keys_and_values(hidden) + out

    def _queries(self, hidden: int) -> int:
        width = self.heads * self.head_dim
        if self.query_rank:
            return self.query_rank * (hidden + width)
        return hidden * width

    def _keys_and_values(self, hidden: int) -> int:
        if not self.kv_rank:
            return hidden * self.kv_heads * (self.head_dim + self.value_dim)
        own = self.heads * (self.head_dim - self.rotary_dim + self.value_dim)
        return hidden * (self.kv_rank + self.rotary_dim) + self.kv_rank * own

    def pairs(self, tokens: int) -> int:
        """Unmasked query-key pairs of one head over a sequence."""
        left = None if self.window is None else self.window - 1
        return window_pairs(tokens, tokens, left, 0)


@dataclass(frozen=True, slots=True)
class FeedForward:
    """The feed-forward part of one layer: one block, or experts of which a router picks some.

    Attributes:
        intermediate: inner width, of an expert where there are experts.
        gated: three matrices a block (gate, up, down), else two.
        experts: how many; 0 is one block without a router.
        active: experts that a token goes through.
        shared: inner width of what every token goes through beside its experts.
        shared_gate: whether that part has a gate of one output.
        expert_vectors: parameters of an expert that are in no matrix (biases).
    """

    intermediate: int
    gated: bool
    experts: int = 0
    active: int = 0
    shared: int = 0
    shared_gate: bool = False
    expert_vectors: int = 0

    @property
    def matrices(self) -> int:
        """Matrices of a block."""
        return 3 if self.gated else 2


@dataclass(frozen=True, slots=True)
class Layer:
    """`count` equal layers; `vectors` are parameters of one in no matrix: norms and biases."""

    count: int
    attention: Attention
    feed_forward: FeedForward
    vectors: int = 0


@dataclass(frozen=True, slots=True)
class Architecture:
    """A causal language model.

    Attributes:
        family: its name, such as `llama`.
        hidden: width of the residual stream.
        vocabulary: rows of the embedding and outputs of the head.
        layers: groups of equal layers.
        tied: whether the head is the embedding's matrix.
        positions: rows of a table of learned positions; 0 without one.
        vectors: parameters outside of the layers that are in no matrix.
        prediction_layers: layers for the prediction of further tokens, which not all software
            builds; they are no part of the exact count.
    """

    family: str
    hidden: int
    vocabulary: int
    layers: tuple[Layer, ...]
    tied: bool
    positions: int = 0
    vectors: int = 0
    prediction_layers: int = 0

    @property
    def layer_count(self) -> int:
        """All layers."""
        return sum(layer.count for layer in self.layers)

    @property
    def has_experts(self) -> bool:
        """Whether a router picks experts in any layer."""
        return any(layer.feed_forward.experts for layer in self.layers)

    @property
    def is_latent(self) -> bool:
        """Whether any layer projects its keys and values in two steps."""
        return any(layer.attention.kv_rank for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Parameters:
    """How many parameters each part has.

    Attributes:
        embedding: of the tokens; it is the head too where both are tied.
        positions: learned ones.
        attention: projections.
        feed_forward: blocks that every token goes through, with the gates of shared experts.
        router: of all experts.
        experts: all of them.
        active_experts: those that a token goes through.
        head: its own matrix; 0 where it is the embedding's.
        vectors: in no matrix: norms and biases.
        active_vectors: likewise, without those of experts that a token does not go through.
    """

    embedding: int
    positions: int
    attention: int
    feed_forward: int
    router: int
    experts: int
    active_experts: int
    head: int
    vectors: int
    active_vectors: int

    @property
    def total(self) -> int:
        """All parameters, each once."""
        return self._always + self.experts + self.vectors

    @property
    def active(self) -> int:
        """Parameters that one token uses."""
        return self._always + self.active_experts + self.active_vectors

    @property
    def _always(self) -> int:
        tables = self.embedding + self.positions + self.head
        return tables + self.attention + self.feed_forward + self.router


def parameters(model: Architecture) -> Parameters:
    """The parameters of `model` by part."""
    hidden = model.hidden
    attention = feed_forward = router = experts = active = 0
    vectors = active_vectors = model.vectors
    for layer in model.layers:
        part, count = layer.feed_forward, layer.count
        block = hidden * part.matrices
        always = part.shared if part.experts else part.intermediate
        attention += count * layer.attention.projections(hidden)
        feed_forward += count * (block * always + hidden * part.shared_gate)
        router += count * hidden * part.experts
        experts += count * block * part.intermediate * part.experts
        active += count * block * part.intermediate * part.active
        vectors += count * (layer.vectors + part.expert_vectors * part.experts)
        active_vectors += count * (layer.vectors + part.expert_vectors * part.active)
    table = model.vocabulary * hidden
    return Parameters(
        embedding=table,
        positions=model.positions * hidden,
        attention=attention,
        feed_forward=feed_forward,
        router=router,
        experts=experts,
        active_experts=active,
        head=0 if model.tied else table,
        vectors=vectors,
        active_vectors=active_vectors,
    )


def forward_flops(model: Architecture, tokens: int, *, dense: bool = False) -> int:
    """FLOPs of the forward pass of one sequence.

    Products only: projections, attention's two, feed-forward, router and head. Embeddings are
    lookups and cost none.

    Args:
        model: what is counted.
        tokens: of the sequence.
        dense: every query-key pair counts, masked or not.
    """
    own = parameters(model)
    weights = own.attention + own.feed_forward + own.router + own.active_experts
    scores = sum(
        layer.count * layer.attention.score_width * _pairs(layer, tokens, dense=dense)
        for layer in model.layers
    )
    return 2 * (tokens * (weights + model.vocabulary * model.hidden) + scores)


def _pairs(layer: Layer, tokens: int, *, dense: bool) -> int:
    return tokens * tokens if dense else layer.attention.pairs(tokens)


def backward_flops(model: Architecture, tokens: int, *, dense: bool = False) -> int:
    """FLOPs of the backward pass of one sequence where every parameter is trained."""
    return (FORWARD_AND_BACKWARD - 1) * forward_flops(model, tokens, dense=dense)
