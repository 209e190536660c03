"""Scaled dot-product attention in neutral terms: which query-key pairs there are, and their cost.

Pure integers. Softmax arithmetic is vector work and its exponentials are special functions; only
the matrix products are FLOPs. Sources: Vaswani et al. 2017 for the forward pass; Dao 2023
(FlashAttention-2, section 2.3 and algorithm 2) for the backward pass and its recomputed product.
"""

from __future__ import annotations

from dataclasses import dataclass

from goodput.work import Work

SOFTMAX_FLOPS = 5
"""Vector FLOPs a pair: scale, running maximum, subtract, sum, divide; exp is special."""

SOFTMAX_BACKWARD_FLOPS = 5
"""Vector FLOPs a pair: scale and subtract to rebuild P, then dS = scale P (dP - D)."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Query-key pairs, summed over the batch and the *query* heads.

    Attributes:
        rows: query rows, `batch heads queries`.
        dense: all pairs.
        unmasked: pairs that the model's math needs.
        computed: pairs that the kernel works on; between the two.
    """

    rows: int
    dense: int
    unmasked: int
    computed: int


@dataclass(frozen=True, slots=True)
class Needed:
    """Which gradients a backward pass was asked for."""

    query: bool = True
    key: bool = True
    value: bool = True


def _clamped_sum(end: int, limit: int) -> int:
    """The sum of `min(max(t, 0), limit)` over all integers t below `end`."""
    rising = min(max(end, 0), limit + 1)
    return rising * (rising - 1) // 2 + max(end - limit - 1, 0) * limit


def below_diagonal(queries: int, keys: int, offset: int) -> int:
    """Pairs (i, j) with `j <= i + offset`, out of `queries` x `keys`."""
    first = offset + 1
    return _clamped_sum(first + queries, keys) - _clamped_sum(first, keys)


def window_pairs(
    queries: int, keys: int, left: int | None, right: int | None, *, bottom_right: bool = True
) -> int:
    """Pairs with `-left <= j - i - shift <= right`, for one head of one sequence.

    None is an open side. `shift` is `keys - queries` where the mask is aligned bottom-right, as
    FlashAttention does, and 0 where it is aligned top-left.
    """
    shift = keys - queries if bottom_right else 0
    upper = queries * keys if right is None else below_diagonal(queries, keys, shift + right)
    lower = 0 if left is None else below_diagonal(queries, keys, shift - left - 1)
    return max(upper - lower, 0)


def causal_pairs(queries: int, keys: int, *, bottom_right: bool = False) -> int:
    """Pairs that a causal mask leaves, for one head of one sequence.

    Top-left, as torch's `is_causal`: query i sees keys 0..i. Bottom-right, as a decoder with a
    cache: the last query sees all keys. They are the same where `queries == keys`.
    """
    return window_pairs(queries, keys, None, 0, bottom_right=bottom_right)


def fullest_packing(tokens: int, longest: int, sequences: int) -> tuple[int, ...]:
    """The lengths of `sequences` sequences of `tokens` tokens together that make most pairs.

    No sequence has more than `longest` tokens. As many as fit are of that length: pairs grow with
    the square, so two of middling length make fewer. They may be less than `tokens` together where
    `longest` and `sequences` do not allow more.
    """
    if longest <= 0:
        return ()
    whole = min(tokens // longest, sequences)
    rest = min(tokens - whole * longest, longest) if whole < sequences else 0
    return (longest,) * whole + ((rest,) if rest else ())


def attention(pairs: Pairs, head_dim: int, value_dim: int, *, biased: bool = False) -> Work:
    """The forward pass: `softmax(Q K^T / sqrt(head_dim) + bias) V`.

    2 (head_dim + value_dim) FLOP a pair. `biased` adds one vector FLOP a computed pair.
    """
    per_pair = 2 * (head_dim + value_dim)
    return Work(
        flops=per_pair * pairs.unmasked,
        dense_flops=per_pair * pairs.dense,
        padding_flops=per_pair * (pairs.computed - pairs.unmasked),
        vector_flops=(SOFTMAX_FLOPS + biased) * pairs.computed,
        special=pairs.computed,
    )


def attention_backward(
    pairs: Pairs,
    head_dim: int,
    value_dim: int,
    needed: Needed = Needed(),
    *,
    biased: bool = False,
) -> Work:
    """The backward pass of a fused kernel.

    Four products are the model's: dV = P^T dO and dP = dO V^T (value_dim each), dQ = dS K and
    dK = dS^T Q (head_dim each): twice the forward pass. The kernel makes them all, and Q K^T once
    more; that fifth one, and those that no needed gradient asks for, are recomputation.
    """
    useful = value_dim * (needed.value + (needed.query or needed.key))
    useful += head_dim * (needed.query + needed.key)
    executed = 2 * value_dim + 3 * head_dim
    return Work(
        flops=2 * useful * pairs.unmasked,
        dense_flops=2 * useful * pairs.dense,
        recompute_flops=2 * (executed - useful) * pairs.unmasked,
        padding_flops=2 * executed * (pairs.computed - pairs.unmasked),
        # D = rowsum(dO * O) is 2 value_dim a query row.
        vector_flops=(SOFTMAX_BACKWARD_FLOPS + biased) * pairs.computed
        + 2 * value_dim * pairs.rows,
        special=pairs.computed,
    )
