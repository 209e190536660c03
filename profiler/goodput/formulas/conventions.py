"""Which rule produced a number of useful FLOPs: the named conventions and what each counts.

Two kinds. Some re-weight what was counted, operator by operator; those can be asked for in a
report. The others are closed formulas on a whole architecture (`conventions_closed.py`): they have
no share for an operator, so `goodput reconcile` alone applies them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from goodput.errors import UsageError
from goodput.work import Work

EXACT = "exact"
DENSE_ATTENTION = "dense-attention"
FLOP_COUNTER_MODE = "flopcountermode"
MACS = "macs"

CONVENTIONS: Mapping[str, str] = {
    EXACT: "Products with a reduction that the model's math needs; attention counts its unmasked "
    "pairs, attention backward is twice its forward.",
    DENSE_ATTENTION: "As exact, but attention counts every query-key pair, masked or not, as the "
    "Megatron and PaLM papers' formulas do.",
    "palm": "6 FLOP a parameter, embeddings and norms too, and 12 L H Q T of dense attention.",
    "megatron": "Matrices, the head over a padded vocabulary and half of all attention pairs, as "
    "Megatron-LM and Megatron-Bridge log it; no router.",
    "torchtitan": "6 FLOP a parameter that a token uses, without an untied embedding, and dense "
    "attention.",
    "nanogpt": "6 FLOP a parameter but learned positions, and dense attention over the block size.",
    "mosaicml": "6 FLOP a parameter, learned positions too and an untied embedding not, and dense "
    "attention of 12 L d S.",
    "levanter": "Matrices, router and head with heads of width hidden / heads, dense attention, "
    "and three FLOP a pair for its mask.",
    "hf": "6 FLOP a parameter that is in no embedding, all experts and no attention: the "
    "total_flos of the Hugging Face Trainer.",
    "6n": "6 FLOP a parameter that a token uses, embeddings too, and no attention.",
    FLOP_COUNTER_MODE: "What torch's FlopCounterMode has a formula for: dense attention with five "
    "products backward, recomputation, no grouped products.",
    MACS: "Multiply-adds of the exact count, as fvcore, ptflops and thop report: half its FLOPs.",
}
"""Every convention by name, with what it counts in one sentence."""

BY_OPERATOR = (EXACT, DENSE_ATTENTION, FLOP_COUNTER_MODE, MACS)
"""The conventions that re-weight operators."""

FLOP_COUNTER_OPERATORS = frozenset(
    f"aten::{name}"
    for name in (
        "_convolution",
        "_efficient_attention_backward",
        "_efficient_attention_forward",
        "_flash_attention_backward",
        "_flash_attention_forward",
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_cudnn_attention_backward",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_efficient_attention_backward",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_flash_attention_backward",
        "_scaled_mm",
        "_slow_conv2d_forward",
        "addmm",
        "baddbmm",
        "bmm",
        "convolution",
        "convolution_backward",
        "convolution_overrideable",
        "cudnn_convolution",
        "mm",
    )
)
"""Operators in the `flop_registry` of torch 2.13; every other one counts 0 there."""

_MAC_FLOPS = 2

# A whole number, or a column of them.
_T = TypeVar("_T", bound=Any)


@dataclass(frozen=True, slots=True)
class Counted(Generic[_T]):
    """What was counted of one operator call, or columns of it.

    Attributes:
        flops, dense_flops, recompute_flops, padding_flops: as in `Work`.
        again: 1 where the call itself is recomputation, else 0.
        listed: 1 where FlopCounterMode knows the operator, else 0.
    """

    flops: _T
    dense_flops: _T
    recompute_flops: _T
    padding_flops: _T
    again: _T
    listed: _T


@dataclass(frozen=True, slots=True)
class Split(Generic[_T]):
    """FLOPs under a convention: useful, recomputed and padding; their sum is executed."""

    useful: _T
    recompute: _T
    padding: _T


def check(convention: str) -> str:
    """`convention` itself, where it is one.

    Raises:
        UsageError: no convention has that name.
    """
    if convention not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        raise UsageError(f"No convention is named {convention!r}; the known ones are: {known}.")
    return convention


def check_by_operator(convention: str) -> str:
    """`convention` itself, where it can be applied to counted operators.

    Raises:
        UsageError: there is no such convention, or it is a formula on a whole architecture.
    """
    if check(convention) not in BY_OPERATOR:
        raise UsageError(
            f"{convention} is a formula on a model's architecture, which operators do not show, so "
            f"it does not apply here: goodput count hf:config.json --convention {convention} gives "
            f"its number, goodput reconcile hf:config.json the way to it; by operator there are "
            f"{', '.join(BY_OPERATOR)}"
        )
    return convention


def useful_flops(work: Work, convention: str, operator: str = "") -> int:
    """The useful FLOPs `U` of `work` under `convention`.

    Raises:
        UsageError: no convention has that name, or it is none by operator.
    """
    counted = Counted(
        work.flops,
        work.dense_flops,
        work.recompute_flops,
        work.padding_flops,
        again=0,
        listed=int(operator in FLOP_COUNTER_OPERATORS),
    )
    return split(counted, convention).useful


def split(counted: Counted[_T], convention: str) -> Split[_T]:
    """What `counted` is under `convention`; what runs as recomputation is not useful.

    Raises:
        UsageError: no convention has that name, or it is none by operator.
    """
    return _BY_OPERATOR[check_by_operator(convention)](counted)


def _exact(counted: Counted[_T]) -> Split[_T]:
    """`exact`: U is what the model's math needs; everything else that runs is executed only."""
    once = 1 - counted.again
    return Split(
        useful=counted.flops * once,
        recompute=counted.recompute_flops + counted.flops * counted.again,
        padding=counted.padding_flops,
    )


def _dense(counted: Counted[_T]) -> Split[_T]:
    """`dense-attention`: masked pairs are useful, so they are not padding too.

    Source: Narayanan et al. 2021, section 3.2 and Chowdhery et al. 2022 (PaLM), appendix B, count
    attention so. It differs from `exact` by the masked pairs alone.
    """
    once = 1 - counted.again
    return Split(
        useful=counted.dense_flops * once,
        recompute=counted.recompute_flops + counted.dense_flops * counted.again,
        padding=counted.padding_flops * 0,
    )


def _flop_counter_mode(counted: Counted[_T]) -> Split[_T]:
    """`flopcountermode`: what torch.utils.flop_counter.FlopCounterMode would sum up.

    Source: PyTorch, torch/utils/flop_counter.py (2.13). It knows the operators of
    `FLOP_COUNTER_OPERATORS` and counts 0 for the rest (recurrent and grouped products, attention
    on a CPU, matrix-vector products, custom operators). Masks are ignored; a flash backward is
    five products, where the model needs four; recomputation counts like everything that runs.
    Not repeated: its complex product of 2 FLOP where 8 are done, and its weight gradients of
    grouped convolutions, which are too large by the groups.
    """
    # The products that a backward kernel does beyond the needed ones, at dense pairs.
    beyond = counted.recompute_flops * counted.dense_flops // _at_least_one(counted.flops)
    counts = (counted.dense_flops + beyond) * counted.listed
    return Split(useful=counts, recompute=counts * 0, padding=counts * 0)


def _macs(counted: Counted[_T]) -> Split[_T]:
    """`macs`: a multiply-add is one, so every figure is half of the exact one.

    Source: fvcore, fvcore/nn/jit_handles.py ("we count one flop for one multiply-add"); ptflops
    and thop alike. What these tools do not count is not left out here.
    """
    exact = _exact(counted)
    return Split(
        exact.useful // _MAC_FLOPS, exact.recompute // _MAC_FLOPS, exact.padding // _MAC_FLOPS
    )


def _at_least_one(flops: _T) -> _T:
    """`flops`, or 1 where there are none, for whole numbers as for columns."""
    result: _T = flops + (flops == 0)
    return result


_BY_OPERATOR = {
    EXACT: _exact,
    DENSE_ATTENTION: _dense,
    FLOP_COUNTER_MODE: _flop_counter_mode,
    MACS: _macs,
}
