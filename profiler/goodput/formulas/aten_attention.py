"""PyTorch's fused attention in neutral terms.

`scaled_dot_product_attention` and its `_math` form are composites and stay unregistered: PyTorch
takes them apart above the level at which a live count looks, and their backward pass is plain
matrix products in a trace too. Counting `_math` as a whole offline would make the two disagree, and
one call's forward and backward follow different rules. So its products count, every pair of them,
as those of attention written by hand do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from goodput.formulas.aten_arguments import flag, flags, integer, integers, tensor
from goodput.formulas.attention import (
    Needed,
    Pairs,
    attention,
    attention_backward,
    window_pairs,
)
from goodput.formulas.modes import matrix_operator
from goodput.formulas.registry import register
from goodput.work import Call, TensorSpec, Work

_LOGSUMEXP_BYTES = 4
"""The row sums that a fused kernel leaves for its backward pass are float32."""

_PACKED_RANK = 3
_BATCHED_RANK = 4
_ONE_SEQUENCE = 2
"""Cumulative lengths of one sequence: 0 and its length."""

_TOP_LEFT, _BOTTOM_RIGHT = 1, 2
"""The values of `custom_mask_type` beside 0, no mask."""


@dataclass(frozen=True, slots=True)
class Row:
    """Where an operator keeps its arguments; -1 for what it does not have.

    Attributes:
        query: place of the query, which key and value follow.
        causal: place of the `is_causal` flag.
        causal_default: whether the schema says False where a trace does not say.
        mask: place of the mask or bias tensor.
        heads_last: operands are [batch, tokens, heads, head_dim], not [batch, heads, tokens,
            head_dim]. Packed sequences are [tokens, heads, head_dim] under every operator.
        bottom_right: how the kernel aligns a causal mask; torch's own meaning is top-left.
        mask_type: place of `custom_mask_type`, which replaces `causal`.
        windows: place of the left window; the right one follows. A window of -1 is open.
        window_list: place of a list of both.
        window: place of `window_size`, how many keys a query sees back from itself.
        cumulative: place of the cumulative lengths of packed query sequences, which those of the
            keys follow.
        longest: how many places behind them the longest query stands, then the longest key.
        unseen: places of what hides the true key lengths when it is given (paged caches).
        logsumexp: place of the flag that asks for the row sums; without one they are always made.
        needed: place of the mask of needed gradients (query, key, value, bias).
        every_pair: the operator computes all pairs, masked or not.
        quantized: place of the first tensor that only the fp8 overload has there.
    """

    query: int = 0
    causal: int = -1
    causal_default: bool = False
    mask: int = -1
    heads_last: bool = False
    bottom_right: bool = False
    mask_type: int = -1
    windows: int = -1
    window_list: int = -1
    window: int = -1
    cumulative: int = -1
    longest: int = 2
    unseen: tuple[int, ...] = ()
    logsumexp: int = -1
    needed: int = -1
    every_pair: bool = False
    quantized: int = -1


_SDPA = Row(causal=6, causal_default=True, mask=3, logsumexp=4)
_FLASH = Row(
    causal=8,
    heads_last=True,
    bottom_right=True,
    windows=11,
    cumulative=3,
    unseen=(13, 15),
    quantized=10,
)

FORWARD: Mapping[str, Row] = {
    "aten::_scaled_dot_product_flash_attention": Row(causal=4, causal_default=True, quantized=3),
    "aten::_scaled_dot_product_flash_attention_for_cpu": Row(causal=4, causal_default=True, mask=5),
    "aten::_scaled_dot_product_efficient_attention": _SDPA,
    "aten::_scaled_dot_product_cudnn_attention": _SDPA,
    "aten::_scaled_dot_product_fused_attention_overrideable": Row(
        causal=5, causal_default=True, mask=3
    ),
    "aten::_scaled_dot_product_attention_math_for_mps": Row(
        causal=5, causal_default=True, mask=3, every_pair=True
    ),
    "aten::_flash_attention_forward": _FLASH,
    "aten::_flash_attention_forward_no_dropout_inplace": replace(
        _FLASH, query=1, causal=9, windows=12, cumulative=4, unseen=(14, 16), quantized=-1
    ),
    "aten::_efficient_attention_forward": Row(
        mask=3, heads_last=True, mask_type=9, window=13, cumulative=4, unseen=(12,), logsumexp=10
    ),
    "aten::_cudnn_attention_forward": Row(
        causal=10, causal_default=True, mask=3, cumulative=4, logsumexp=8
    ),
}
"""Where each forward operator keeps its arguments."""

BACKWARD: Mapping[str, Row] = {
    "aten::_scaled_dot_product_flash_attention_backward": Row(1, causal=11),
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward": Row(1, causal=7, mask=8),
    "aten::_scaled_dot_product_efficient_attention_backward": Row(
        1, causal=11, causal_default=True, mask=4, needed=10
    ),
    "aten::_scaled_dot_product_cudnn_attention_backward": Row(1, causal=14, mask=8),
    "aten::_scaled_dot_product_fused_attention_overrideable_backward": Row(
        1, causal=13, mask=4, needed=5
    ),
    "aten::_flash_attention_backward": Row(
        1, causal=11, heads_last=True, bottom_right=True, windows=15, cumulative=6
    ),
    "aten::_efficient_attention_backward": Row(
        1, mask=4, heads_last=True, mask_type=14, window=18, cumulative=6
    ),
    "aten::_cudnn_attention_backward": Row(1, causal=14, mask=8, cumulative=9),
}
"""Where each backward operator keeps its arguments."""


_ROWS: dict[str, Row] = {}
"""Of every attention operator with a formula."""


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The operands' sizes, whatever the order of their axes."""

    batch: int
    heads: int
    queries: int
    keys: int
    packed: bool

    @property
    def rows(self) -> int:
        """Query rows of all heads; a key head that several query heads share adds none."""
        return self.batch * self.heads * self.queries


def _sizes(call: Call, row: Row, query: TensorSpec, key: TensorSpec) -> _Sizes | None:
    """The sizes of one call; None for a rank that no kernel takes."""
    lengths = tensor(call, row.cumulative) if row.cumulative >= 0 else None
    several = lengths is not None and lengths.numel > _ONE_SEQUENCE
    if len(query.shape) == _PACKED_RANK and lengths is not None:
        return _Sizes(1, query.shape[1], query.shape[0], key.shape[0], several)
    if len(query.shape) != _BATCHED_RANK:
        return None
    heads, tokens = (2, 1) if row.heads_last else (1, 2)
    batch = query.shape[0]
    return _Sizes(batch, query.shape[heads], query.shape[tokens], key.shape[tokens], several)


@dataclass(frozen=True, slots=True)
class Packed:
    """What shapes say of attention over packed sequences.

    `longest` and `longest_keys` are the longest query and key sequence that the caller states.
    """

    sequences: int
    heads: int
    queries: int
    keys: int
    longest: int
    longest_keys: int


def packed_sizes(call: Call, row: Row) -> Packed | None:
    """The sizes of a call over several packed sequences; None for any other call."""
    lengths = tensor(call, row.cumulative) if row.cumulative >= 0 else None
    query, key = tensor(call, row.query), tensor(call, row.query + 1)
    if lengths is None or lengths.numel <= _ONE_SEQUENCE or query is None or key is None:
        return None
    if any(tensor(call, place) for place in row.unseen):
        return None
    # Packed sequences are [tokens, heads, head_dim]; some operators give them a batch of one.
    queries, heads = query.shape[-3:-1]
    keys, place = key.shape[-3], row.cumulative + row.longest
    longest, longest_keys = integer(call, place), integer(call, place + 1)
    return Packed(lengths.numel - 1, heads, queries, keys, longest or queries, longest_keys or keys)


def _mask_tensor(call: Call, row: Row) -> TensorSpec | None:
    """The mask; an undefined tensor, as backward operators get for none, has no dimensions."""
    mask = tensor(call, row.mask) if row.mask >= 0 else None
    return mask if mask is not None and mask.shape else None


def _causal(call: Call, row: Row) -> tuple[bool, bool] | None:
    """Whether a causal mask applies, and whether it is aligned bottom-right; None if unknown."""
    if row.mask_type >= 0:
        kind = integer(call, row.mask_type)
        return None if kind is None else (kind in (_TOP_LEFT, _BOTTOM_RIGHT), kind == _BOTTOM_RIGHT)
    found = flag(call, row.causal)
    if found is None and not row.causal_default:
        return None
    return bool(found), row.bottom_right


def _open(side: int | None) -> int | None:
    return None if side is None or side < 0 else side


@dataclass(frozen=True, slots=True)
class Opening:
    """Which keys a query sees by the flags of a call: as the arguments of `window_pairs`."""

    left: int | None
    right: int | None
    bottom_right: bool

    def pairs(self, queries: int, keys: int) -> int:
        """The pairs of one head of one sequence."""
        return window_pairs(queries, keys, self.left, self.right, bottom_right=self.bottom_right)


def opening(call: Call, row: Row) -> Opening | None:
    """What the flags of a call leave open, before any mask tensor; None if they are not known."""
    causal = _causal(call, row)
    if causal is None:
        return None
    is_causal, bottom_right = causal
    left, right = None, 0 if is_causal else None
    if row.windows >= 0:
        left = _open(integer(call, row.windows))
        right = 0 if is_causal else _open(integer(call, row.windows + 1))
    if row.window_list >= 0 and (both := integers(call, row.window_list)):
        left, right = _open(both[0]), 0 if is_causal else _open(both[-1])
    if row.window >= 0 and (size := integer(call, row.window)):
        left = size - 1
    return Opening(left, right, bottom_right)


def _structural_pairs(call: Call, row: Row, sizes: _Sizes) -> int | None:
    """Pairs of one head that the flags leave, before any mask tensor."""
    found = opening(call, row)
    return None if found is None else found.pairs(sizes.queries, sizes.keys)


def _pairs(call: Call, row: Row, sizes: _Sizes) -> Pairs | None:
    """The pairs of all heads; None where neither shapes nor attributes tell.

    A mask tensor hides its pairs from the result, not from the kernel, which computes them all
    (torch 2.13's CPU kernel takes as long with a causal mask tensor as with none).
    """
    told = call.attributes.get("unmasked_pairs")
    unmasked = told if isinstance(told, int) else None
    if sizes.packed or any(tensor(call, place) for place in row.unseen):
        dense = call.attributes.get("dense_pairs")
        if unmasked is None or not isinstance(dense, int):
            return None
        return Pairs(sizes.rows, dense, unmasked, unmasked)
    structural = _structural_pairs(call, row, sizes)
    if structural is None:
        return None
    dense, left = sizes.rows * sizes.keys, sizes.batch * sizes.heads * structural
    useful = left if unmasked is None else unmasked
    computed = dense if row.every_pair else left if _mask_tensor(call, row) else useful
    return Pairs(sizes.rows, dense, useful, max(computed, useful))


@dataclass(frozen=True, slots=True)
class _Operands:
    """What a call works on."""

    query: TensorSpec
    key: TensorSpec
    value: TensorSpec
    mask: TensorSpec | None
    pairs: Pairs

    @property
    def read(self) -> int:
        """Bytes of query, key, value and mask."""
        mask = self.mask.bytes if self.mask else 0
        return self.query.bytes + self.key.bytes + self.value.bytes + mask

    @property
    def output_bytes(self) -> int:
        """Bytes of the output: a value vector for each query row."""
        return self.pairs.rows * self.value.shape[-1] * self.query.item_bytes


def _operands(call: Call, row: Row) -> _Operands | None:
    query, key, value = (tensor(call, row.query + place) for place in range(3))
    if query is None or key is None or value is None or _quantized(call, row):
        return None
    sizes = _sizes(call, row, query, key)
    pairs = _pairs(call, row, sizes) if sizes else None
    return _Operands(query, key, value, _mask_tensor(call, row), pairs) if pairs else None


def _quantized(call: Call, row: Row) -> bool:
    """Whether this is the fp8 overload, whose arguments stand elsewhere."""
    there = row.quantized >= 0 and tensor(call, row.quantized) is not None
    return there or call.attributes.get("overload") == "quantized"


def _forward(call: Call) -> Work | None:
    row = _ROWS[call.name]
    operands = _operands(call, row)
    if operands is None:
        return None
    saves = row.logsumexp < 0 or flag(call, row.logsumexp) is not False
    sums = operands.pairs.rows * _LOGSUMEXP_BYTES if saves and not row.every_pair else 0
    work = attention(
        operands.pairs,
        operands.query.shape[-1],
        operands.value.shape[-1],
        biased=operands.mask is not None,
    )
    return work + Work(bytes_read=operands.read, bytes_written=operands.output_bytes + sums)


def _backward(call: Call) -> Work | None:
    row = _ROWS[call.name]
    operands = _operands(call, row)
    if operands is None:
        return None
    needed = flags(call, row.needed) if row.needed >= 0 else None
    query, key, value, *bias = needed or (True, True, True)
    work = attention_backward(
        operands.pairs,
        operands.query.shape[-1],
        operands.value.shape[-1],
        Needed(query, key, value),
        biased=operands.mask is not None,
    )
    gradients = [(query, operands.query), (key, operands.key), (value, operands.value)]
    written = sum(spec.numel * spec.item_bytes for wanted, spec in gradients if wanted)
    if any(bias) and operands.mask:
        written += operands.mask.numel * operands.mask.item_bytes
    sums = operands.pairs.rows * _LOGSUMEXP_BYTES
    # The output and its gradient are read too, for D = rowsum(dO * O) and for dP.
    return work + Work(
        bytes_read=operands.read + 2 * operands.output_bytes + sums, bytes_written=written
    )


def register_rows(forward: Mapping[str, Row], backward: Mapping[str, Row]) -> None:
    """Makes the formulas of attention those of the operators in both tables."""
    _ROWS.update(forward)
    _ROWS.update(backward)
    for name, row in forward.items():
        matrix_operator(name, operand=row.query)(register(name)(_forward))
    for name, row in backward.items():
        matrix_operator(name, operand=row.query)(register(name)(_backward))


def row_of(name: str) -> Row | None:
    """Where the attention operator `name` keeps its arguments; None for any other."""
    return _ROWS.get(name)


register_rows(FORWARD, BACKWARD)
