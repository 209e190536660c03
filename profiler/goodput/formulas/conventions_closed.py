"""Every convention as a formula on an architecture: FLOPs of training on one sequence.

Pure integers: forward and backward of `tokens` tokens, so a token costs that over `tokens`. Each
docstring has the project, the place and the formula, what it counts and where it differs from
`exact`. Symbols: N parameters, L layers, H query heads, Q their width, h hidden width, V
vocabulary, T tokens. Where a formula knows one width Q and queries and values differ, 2 Q is the
sum of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from goodput.errors import UsageError
from goodput.formulas.architecture import (
    FORWARD_AND_BACKWARD,
    Architecture,
    FeedForward,
    Layer,
    forward_flops,
    parameters,
)
from goodput.formulas.conventions import (
    DENSE_ATTENTION,
    EXACT,
    FLOP_COUNTER_MODE,
    MACS,
    check,
)

TRAINING_PRODUCT = 2 * FORWARD_AND_BACKWARD
"""FLOP of a weight for each token: a multiply-add forward and two backward."""

VOCABULARY_MULTIPLE = 128
"""Megatron's default of make-vocab-size-divisible-by, at one tensor-parallel rank."""

LEVANTER_MASK_FLOPS = 3
"""FLOP that Levanter adds for each pair and head."""


def _exact(model: Architecture, tokens: int) -> int:
    """`exact`: three times the forward products, attention over its unmasked pairs."""
    return FORWARD_AND_BACKWARD * forward_flops(model, tokens)


def _dense(model: Architecture, tokens: int) -> int:
    """`dense-attention`: as `exact` over all T^2 pairs of every layer, windows or not."""
    return FORWARD_AND_BACKWARD * forward_flops(model, tokens, dense=True)


def _macs(model: Architecture, tokens: int) -> int:
    """`macs`: multiply-adds of `exact` (fvcore, ptflops, thop: "one flop for one multiply-add")."""
    return _exact(model, tokens) // 2


def _flop_counter_mode(model: Architecture, tokens: int) -> int:
    """`flopcountermode`: torch's FlopCounterMode over the Hugging Face model on CUDA.

    Source: PyTorch 2.13, torch/utils/flop_counter.py. Dense attention through the flash kernels:
    two products forward and five backward, 2 T^2 H (2 Q) + 2 T^2 H (5 Q), where the model needs
    four. Grouped products have no formula there, so experts of transformers 5 count 0. On a CPU it
    counts no attention at all.
    """
    own = parameters(model)
    weights = own.attention + own.feed_forward + own.router + model.vocabulary * model.hidden
    scores = 0
    for layer in model.layers:
        part = layer.attention
        products = 2 * (part.head_dim + part.value_dim) + 3 * part.head_dim + 2 * part.value_dim
        scores += layer.count * part.heads * (products - part.head_dim - part.value_dim)
    return tokens * (TRAINING_PRODUCT * weights + 2 * tokens * scores)


def _palm(model: Architecture, tokens: int) -> int:
    """`palm`: T (6 N + 12 L H Q T).

    Source: Chowdhery et al. 2022, PaLM, appendix B. N is every parameter that a token uses, input
    embedding and norms too; attention is dense. Recomputation is not counted.
    """
    return TRAINING_PRODUCT * tokens * parameters(model).active + _dense_scores(model, tokens)


def _six_n(model: Architecture, tokens: int) -> int:
    """`6n`: T 6 N.

    Source: Kaplan et al. 2020, section 2.1, in the form of Hoffmann et al. 2022: N is every
    parameter that a token uses. No attention, which is most of the work at long sequences.
    """
    return TRAINING_PRODUCT * tokens * parameters(model).active


def _hugging_face(model: Architecture, tokens: int) -> int:
    """`hf`: T 6 (N - embeddings).

    Source: transformers, modeling_utils.py, floating_point_ops, which Trainer sums as total_flos:
    6 * tokens * num_parameters(exclude_embeddings=True). Every nn.Embedding is left out: learned
    positions, and with a tied embedding the head. All experts count, used or not; no attention.
    """
    own = parameters(model)
    return TRAINING_PRODUCT * tokens * (own.total - own.embedding - own.positions)


def _torchtitan(model: Architecture, tokens: int) -> int:
    """`torchtitan`: T (6 (N - embedding) + 12 L H Q T).

    Source: torchtitan, models/utils.py, get_dense_model_nparams_and_flops and its counterpart for
    experts: N is what a token uses, router and norms too; nn.Embedding is left out unless it is
    tied; attention is dense.
    """
    own = parameters(model)
    tables = 0 if model.tied else own.embedding + own.positions
    return TRAINING_PRODUCT * tokens * (own.active - tables) + _dense_scores(model, tokens)


def _mosaic(model: Architecture, tokens: int) -> int:
    """`mosaicml`: T 6 P + 12 L h T^2.

    Source: llm-foundry, models/mpt/modeling_mpt.py, flops_per_batch, and the tables of its
    scripts/train/benchmarking. P is every parameter that a token uses, learned positions too; an
    embedding that is not tied is left out. Attention is dense, with h for H Q.
    """
    own = parameters(model)
    weights = own.active - (0 if model.tied else own.embedding)
    scores = 2 * TRAINING_PRODUCT * model.layer_count * model.hidden * tokens * tokens
    return TRAINING_PRODUCT * tokens * weights + scores


def _nanogpt(model: Architecture, tokens: int) -> int:
    """`nanogpt`: T (6 N + 12 L H Q B), B the block size.

    Source: nanoGPT, model.py, estimate_mfu. N is every parameter without the learned positions;
    Q is hidden / heads. B is the length of the table of positions, however long the sequence is;
    without such a table it is taken to be T.
    """
    own = parameters(model)
    block = model.positions or tokens
    scores = sum(
        layer.count * layer.attention.heads * (model.hidden // layer.attention.heads)
        for layer in model.layers
    )
    per_token = TRAINING_PRODUCT * (own.total - own.positions)
    return tokens * (per_token + 2 * TRAINING_PRODUCT * scores * block)


def _levanter(model: Architecture, tokens: int) -> int:
    """`levanter`: 3 T (L (mlp + qkv + h h + scores) + 2 h V).

    Source: Levanter, utils/flop_utils.py, lm_flops_per_token: heads are hidden / heads wide
    whatever the model says; a router counts, gates of shared experts do not; attention is dense
    and has 3 T^2 H for its mask; windows are ignored (newer versions can be told of them).
    """
    hidden = model.hidden
    forward = 2 * hidden * model.vocabulary * tokens
    for layer in model.layers:
        part, block = layer.attention, layer.feed_forward
        width = block.intermediate * (block.active or 1) + block.shared
        weights = hidden * (block.matrices * width + block.experts)
        weights += 2 * hidden * hidden + 2 * hidden * hidden * part.kv_heads // part.heads
        pair = 2 * 2 * hidden + LEVANTER_MASK_FLOPS * part.heads
        forward += layer.count * tokens * (2 * weights + pair * tokens)
    return FORWARD_AND_BACKWARD * forward


def _megatron(model: Architecture, tokens: int) -> int:
    """`megatron`: 6 T (sum of projections, blocks and half of the pairs + h V_padded).

    Source: Megatron-Bridge, training/utils/flop_utils.py (26.06 and later), and Megatron-LM,
    training/training.py, num_floating_point_operations. Attention has T / 2 keys a query, under a
    window W that is shorter W - W (W - 1) / 2 T. The vocabulary is padded to a multiple of 128. No
    router, no gates of shared experts, no embedding. Multi-head latent attention adds its two
    norms; layers for the prediction of further tokens count, each with the head, where the config
    has them.
    """
    head = model.hidden * padded(model.vocabulary)
    scores, weights = 0, head
    last = model.layers[-1]
    further = model.prediction_layers
    for layer in model.layers:
        count = layer.count + (further if layer is last else 0)
        scores += count * _half_scores(layer, tokens)
        weights += count * _megatron_weights(model.hidden, layer)
    weights += further * (2 * model.hidden * model.hidden + 3 * model.hidden + head)
    return TRAINING_PRODUCT * tokens * weights + FORWARD_AND_BACKWARD * scores


def _megatron_weights(hidden: int, layer: Layer) -> int:
    block = layer.feed_forward
    norms = layer.attention.query_rank + layer.attention.kv_rank
    width = block.intermediate * (block.active if block.experts else 1) + block.shared
    return layer.attention.projections(hidden) + norms + hidden * block.matrices * width


def _half_scores(layer: Layer, tokens: int) -> int:
    """Twice the multiply-adds of a layer's attention, so that half of the pairs is whole."""
    window = layer.attention.window
    twice = tokens * tokens
    if window is not None and window < tokens:
        twice = 2 * tokens * window - window * (window - 1)
    return layer.attention.score_width * twice


def _dense_scores(model: Architecture, tokens: int) -> int:
    """`12 L H Q T^2`."""
    width = sum(layer.count * layer.attention.score_width for layer in model.layers)
    return TRAINING_PRODUCT * width * tokens * tokens


def padded(vocabulary: int) -> int:
    """The vocabulary as Megatron pads it."""
    return -(-vocabulary // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE


_FORMULAS: Mapping[str, Callable[[Architecture, int], int]] = {
    EXACT: _exact,
    DENSE_ATTENTION: _dense,
    "palm": _palm,
    "megatron": _megatron,
    "torchtitan": _torchtitan,
    "nanogpt": _nanogpt,
    "mosaicml": _mosaic,
    "levanter": _levanter,
    "hf": _hugging_face,
    "6n": _six_n,
    FLOP_COUNTER_MODE: _flop_counter_mode,
    MACS: _macs,
}


def training_flops(model: Architecture, tokens: int, convention: str) -> int:
    """FLOPs of training `model` on one sequence of `tokens` tokens, by `convention`.

    Raises:
        UsageError: there is no such convention, or it says nothing of such a model.
    """
    reason = inapplicable(model, check(convention))
    if reason:
        raise UsageError(f"{convention} does not apply to this {model.family}: {reason}")
    return _FORMULAS[convention](model, tokens)


def inapplicable(model: Architecture, convention: str) -> str:
    """Why the formula of `convention` says nothing of `model`; "" where it does."""
    if convention in {"nanogpt", "levanter", "mosaicml"} and model.is_latent:
        return "its formula knows no attention with latent keys and values"
    if convention == "nanogpt" and model.has_experts:
        return "its formula is of a model without experts"
    if convention == "levanter" and len({_kind(layer.feed_forward) for layer in model.layers}) > 1:
        return "its formula has one feed-forward block for all layers"
    return ""


def _kind(block: FeedForward) -> tuple[int, int, int]:
    return block.intermediate, block.active, block.shared
