"""PyTorch's fused transformer inference, each one operator in a live count and in a trace.

`torch.nn.TransformerEncoderLayer` and `MultiheadAttention` take them in evaluation mode.
"""

from __future__ import annotations

from goodput.formulas.aten_arguments import flag, integer, tensor
from goodput.formulas.attention import Pairs, attention
from goodput.formulas.contraction import contraction, epilogue
from goodput.formulas.modes import matrix_operator
from goodput.formulas.registry import register
from goodput.work import Call, TensorSpec, Work

_RANK = 3
_NORM_FLOPS = 7
"""Vector FLOPs an element: mean, centre, square, sum, scale by the deviation, weight, bias."""

_GELU_FLOPS = 4


def _linear(rows: int, inputs: int, outputs: int) -> Work:
    return contraction(1, rows, outputs, inputs) + epilogue(rows * outputs, beta=1)


def _self_attention(
    query: TensorSpec, key: TensorSpec, heads: int, unmasked: object, *, masked: bool
) -> Work:
    """Projections of query, key, value and output, and attention computed pair by pair."""
    batch, queries, width = query.shape
    keys = key.shape[1]
    rows = batch * heads * queries
    dense = rows * keys
    pairs = Pairs(rows, dense, unmasked if isinstance(unmasked, int) else dense, dense)
    projected = _linear(batch * queries, width, width) * 2 + _linear(batch * keys, width, width) * 2
    return projected + attention(pairs, width // heads, width // heads, biased=masked)


def _read(call: Call) -> int:
    """Bytes of the distinct tensors; query, key and value are one tensor in self-attention."""
    first = call.tensors[0]
    same = sum(spec == first for spec in call.tensors[1:3])
    return sum(spec.bytes for spec in call.tensors) - same * first.bytes


@matrix_operator("aten::_native_multi_head_attention")
@register("aten::_native_multi_head_attention")
def _multi_head(call: Call) -> Work | None:
    """`(query, key, value, embed_dim, num_head, ...)`; mask at 9, need_weights at 10."""
    query, key, heads = tensor(call, 0), tensor(call, 1), integer(call, 4)
    if query is None or key is None or not heads or len(query.shape) != _RANK:
        return None
    mask = tensor(call, 9)
    work = _self_attention(
        query, key, heads, call.attributes.get("unmasked_pairs"), masked=mask is not None
    )
    averaged = flag(call, 11) is not False
    weights = query.shape[0] * query.shape[1] * key.shape[1] * (1 if averaged else heads)
    wanted = flag(call, 10) is not False
    written = query.numel + (weights if wanted else 0)
    return work + Work(bytes_read=_read(call), bytes_written=written * query.item_bytes)


@matrix_operator("aten::_transformer_encoder_layer_fwd")
@register("aten::_transformer_encoder_layer_fwd")
def _encoder_layer(call: Call) -> Work | None:
    """`(src, embed_dim, num_heads, ...)`; use_gelu at 7, feed-forward weights at 14 and 16."""
    source, heads = tensor(call, 0), integer(call, 2)
    up, down = tensor(call, 14), tensor(call, 16)
    if source is None or up is None or down is None or not heads or len(source.shape) != _RANK:
        return None
    mask = tensor(call, 18)
    unmasked = call.attributes.get("unmasked_pairs")
    attended = _self_attention(source, source, heads, unmasked, masked=mask is not None)
    batch, tokens, _ = source.shape
    moved = Work(bytes_read=sum(spec.bytes for spec in call.tensors), bytes_written=source.bytes)
    return attended + _feed_forward(batch * tokens, up, gelu=flag(call, 7) is True) + moved


def _feed_forward(rows: int, up: TensorSpec, *, gelu: bool) -> Work:
    """Two linear layers, the activation between, two residual adds and two layer norms."""
    hidden, width = up.shape
    activation = Work(
        vector_flops=rows * hidden * (_GELU_FLOPS if gelu else 1),
        special=rows * hidden if gelu else 0,
    )
    # Residual add and norm, twice; a norm takes one reciprocal square root a row.
    rest = Work(vector_flops=2 * rows * width * (1 + _NORM_FLOPS), special=2 * rows)
    return _linear(rows, width, hidden) + activation + _linear(rows, hidden, width) + rest
