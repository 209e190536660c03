"""What a convention decides, as data: one evaluator for all of them, choice by choice.

`conventions_closed.py` has each formula as it was published. Here the same number is built from
decisions that can be changed one at a time, which is what explains a difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from goodput.formulas.architecture import FORWARD_AND_BACKWARD, Architecture, Attention, Layer
from goodput.formulas.architecture import parameters as parameters_of
from goodput.formulas.conventions import DENSE_ATTENTION, EXACT, FLOP_COUNTER_MODE, MACS, check
from goodput.formulas.conventions_closed import (
    LEVANTER_MASK_FLOPS,
    TRAINING_PRODUCT,
    padded,
)


@dataclass(frozen=True, slots=True)
class Choices:
    """The decisions; as they stand, those of `exact`.

    Attributes:
        windows: a window limits the keys of a query.
        pairs: which query-key pairs count: the unmasked ones, half of all, all, none.
        whole_table: attention is over the whole table of learned positions.
        own_width: scores have the model's own width of a head, else hidden / heads.
        fifth_product: attention backward is five products, as a flash kernel does.
        mask: three FLOP a pair for the mask.
        own_projections: projections likewise have the model's own width.
        experts: those that a token goes through, all, or none.
        router: the router counts.
        shared_gate: the gate of shared experts counts.
        third_matrix: a gated block has three matrices, else two.
        head: the products of the head count.
        padded_vocabulary: the head has a multiple of 128 outputs.
        embedding: the lookup counts as a product: where it is not tied, always, or never.
        positions: so does that of learned positions.
        vectors: norms and biases count 6 FLOP each.
        latent_norms: of these, only the norms of latent attention.
        prediction: layers for the prediction of further tokens count.
        recompute: the forward pass of the layers, or of everything, counts twice.
        macs: a multiply-add is one.
    """

    windows: bool = True
    pairs: Literal["unmasked", "half", "dense", "none"] = "unmasked"
    whole_table: bool = False
    own_width: bool = True
    fifth_product: bool = False
    mask: bool = False
    own_projections: bool = True
    experts: Literal["active", "total", "none"] = "active"
    router: bool = True
    shared_gate: bool = True
    third_matrix: bool = True
    head: bool = True
    padded_vocabulary: bool = False
    embedding: Literal["never", "untied", "always"] = "never"
    positions: bool = False
    vectors: bool = False
    latent_norms: bool = False
    prediction: bool = False
    recompute: Literal["none", "layers", "all"] = "none"
    macs: bool = False


_DENSE = Choices(windows=False, pairs="dense")
_ALL_PARAMETERS = replace(_DENSE, embedding="untied", positions=True, vectors=True)

_OF: dict[str, Choices] = {
    EXACT: Choices(),
    DENSE_ATTENTION: _DENSE,
    "palm": _ALL_PARAMETERS,
    "6n": replace(_ALL_PARAMETERS, windows=True, pairs="none"),
    "megatron": Choices(
        pairs="half",
        router=False,
        shared_gate=False,
        padded_vocabulary=True,
        latent_norms=True,
        prediction=True,
    ),
    "nanogpt": replace(_ALL_PARAMETERS, positions=False, whole_table=True, own_width=False),
    "mosaicml": replace(_ALL_PARAMETERS, embedding="never", own_width=False),
    "levanter": replace(
        _DENSE, mask=True, own_width=False, own_projections=False, shared_gate=False
    ),
    FLOP_COUNTER_MODE: replace(_DENSE, fifth_product=True, experts="none"),
    MACS: Choices(macs=True),
}


def choices_of(convention: str, model: Architecture) -> Choices:
    """What `convention` decides; of `model` it asks only whether its embedding is tied.

    Raises:
        UsageError: there is no such convention.
    """
    if check(convention) == "torchtitan":
        return replace(_DENSE, positions=model.tied, vectors=True)
    if convention == "hf":
        return Choices(pairs="none", experts="total", vectors=True, head=not model.tied)
    return _OF[convention]


def evaluate(model: Architecture, tokens: int, choices: Choices) -> int:
    """FLOPs of training `model` on one sequence of `tokens` tokens, as `choices` decide."""
    layers = sum(layer.count * _layer(model, layer, tokens, choices) for layer in model.layers)
    head = TRAINING_PRODUCT * tokens * _head(model, choices)
    rest = TRAINING_PRODUCT * tokens * _tables(model, choices)
    if choices.prediction and model.prediction_layers:
        joint = 2 * model.hidden * model.hidden + 3 * model.hidden
        one = _layer(model, model.layers[-1], tokens, choices) + TRAINING_PRODUCT * tokens * joint
        layers += model.prediction_layers * one
        head += model.prediction_layers * head
    if choices.recompute != "none":
        layers += layers // FORWARD_AND_BACKWARD
    if choices.recompute == "all":
        head, rest = (part + part // FORWARD_AND_BACKWARD for part in (head, rest))
    whole = layers + head + rest
    return whole // 2 if choices.macs else whole


def _layer(model: Architecture, layer: Layer, tokens: int, choices: Choices) -> int:
    weights = _projections(model, layer.attention, choices) + _block(model, layer, choices)
    if choices.vectors:
        part = layer.feed_forward
        used = {"active": part.active, "total": part.experts, "none": 0}[choices.experts]
        weights += layer.vectors + part.expert_vectors * used
    elif choices.latent_norms:
        weights += layer.attention.query_rank + layer.attention.kv_rank
    return TRAINING_PRODUCT * tokens * weights + _scores(model, layer.attention, tokens, choices)


def _projections(model: Architecture, part: Attention, choices: Choices) -> int:
    if choices.own_projections:
        return part.projections(model.hidden)
    square = model.hidden * model.hidden
    return 2 * square + 2 * square * part.kv_heads // part.heads


def _block(model: Architecture, layer: Layer, choices: Choices) -> int:
    part = layer.feed_forward
    matrices = part.matrices if choices.third_matrix else 2
    if not part.experts:
        return model.hidden * matrices * part.intermediate
    used = {"active": part.active, "total": part.experts, "none": 0}[choices.experts]
    width = matrices * (part.intermediate * used + part.shared)
    width += part.experts * choices.router + (part.shared_gate and choices.shared_gate)
    return model.hidden * width


def _scores(model: Architecture, part: Attention, tokens: int, choices: Choices) -> int:
    """FLOPs of attention's products, over the pairs that count."""
    if choices.pairs == "none":
        return 0
    width = part.score_width
    if not choices.own_width:
        width = 2 * part.heads * (model.hidden // part.heads)
    per_pair = TRAINING_PRODUCT * width
    if choices.fifth_product:
        per_pair += 2 * part.heads * part.head_dim
    if choices.mask:
        per_pair += FORWARD_AND_BACKWARD * LEVANTER_MASK_FLOPS * part.heads
    # All products are even, so half of the pairs stays whole.
    return per_pair * _twice_pairs(model, part, tokens, choices) // 2


def _twice_pairs(model: Architecture, part: Attention, tokens: int, choices: Choices) -> int:
    keys = model.positions if choices.whole_table and model.positions else tokens
    window = part.window if choices.windows else None
    if window is not None and window >= keys:
        window = None
    if choices.pairs == "dense":
        return 2 * tokens * (keys if window is None else window)
    if window is not None:
        return 2 * tokens * window - window * (window - 1)
    return tokens * keys if choices.pairs == "half" else tokens * (tokens + 1)


def _head(model: Architecture, choices: Choices) -> int:
    if not choices.head:
        return 0
    outputs = padded(model.vocabulary) if choices.padded_vocabulary else model.vocabulary
    return model.hidden * outputs


def _tables(model: Architecture, choices: Choices) -> int:
    own = parameters_of(model)
    counted = choices.embedding == "always" or (choices.embedding == "untied" and not model.tied)
    weights = own.embedding if counted else 0
    weights += own.positions if choices.positions else 0
    return weights + (model.vectors if choices.vectors else 0)
