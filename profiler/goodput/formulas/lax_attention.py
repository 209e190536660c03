"""JAX's fused attention: cuDNN's kernels, as `jax.nn.dot_product_attention` asks for them.

Unseen: they run on a GPU alone. Shapes and masks are those of JAX's own lowering,
jax/_src/cudnn/fused_attention_stablehlo.py (0.10): query, key and value come first, as
[B, T, N, H] or [B, N, T, H]; a causal mask is aligned top-left; a window of w keeps the last w
keys of each query.
"""

from __future__ import annotations

from collections.abc import Callable

from goodput.formulas.attention import Pairs, attention, attention_backward, window_pairs
from goodput.formulas.lax_parameters import flag, integer, moved, tensor, text
from goodput.formulas.modes import matrix_operator
from goodput.formulas.registry import mark_unseen, register
from goodput.work import Call, Work

HEADS_FIRST = 1
"""JAX's number of the layout [B, N, T, H]; 0 is [B, T, N, H]."""

_ENDS = ("", "_wrapper")
_FORWARD = [f"lax::dot_product_attention{kind}_fwd{end}" for kind in ("", "_fp8") for end in _ENDS]
_BACKWARD = [f"lax::dot_product_attention{kind}_bwd{end}" for kind in ("", "_fp8") for end in _ENDS]
_CAUSAL = "CAUSAL"
_KNOWN_MASKS = ("", "NO_MASK", _CAUSAL)


def _pairs(call: Call) -> Pairs | None:
    """Pairs of one call; None where lengths that are data decide."""
    mask = text(call, "mask_type")
    if mask not in _KNOWN_MASKS or flag(call, "is_paged_attention", default=False):
        return None
    query, key = tensor(call, 0).shape, tensor(call, 1).shape
    first = integer(call, "layout", 0) == HEADS_FIRST
    heads, tokens, keys = (query[1], query[2], key[2]) if first else (query[2], query[1], key[1])
    causal = mask == _CAUSAL or flag(call, "use_causal_mask", default=False)
    window = integer(call, "sliding_window_length", 0)
    unmasked = window_pairs(
        tokens, keys, window - 1 if window else None, 0 if causal else None, bottom_right=False
    )
    each = query[0] * heads
    pairs = each * unmasked
    return Pairs(each * tokens, each * tokens * keys, pairs, pairs)


def _biased(call: Call) -> bool:
    """Whether a bias is added: JAX hands over one without elements where there is none."""
    place = 3
    return "fp8" not in call.name and len(call.inputs) > place and bool(tensor(call, place).numel)


def _work(call: Call, kernel: Callable[..., Work]) -> Work | None:
    pairs = _pairs(call)
    if pairs is None:
        return None
    head, value = tensor(call, 0).shape[-1], tensor(call, 2).shape[-1]
    biased = flag(call, "biased", default=_biased(call))
    return kernel(pairs, head, value, biased=biased) + moved(call)


@matrix_operator(*_FORWARD)
@register(*_FORWARD)
def _forward(call: Call) -> Work | None:
    return _work(call, attention)


@matrix_operator(*_BACKWARD)
@register(*_BACKWARD)
def _backward(call: Call) -> Work | None:
    return _work(call, attention_backward)


mark_unseen(*_FORWARD, *_BACKWARD)
