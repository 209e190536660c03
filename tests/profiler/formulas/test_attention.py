from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.attention import (
    Needed,
    Pairs,
    attention,
    attention_backward,
    below_diagonal,
    causal_pairs,
    window_pairs,
)

LENGTH = st.integers(0, 12)
SIDE = st.one_of(st.none(), st.integers(0, 14))
DIM = st.integers(1, 256)


def enumerated(queries: int, keys: int, visible) -> int:
    return sum(bool(visible(i, j)) for i in range(queries) for j in range(keys))


@given(LENGTH, LENGTH, st.integers(-20, 20))
def test_pairs_below_a_diagonal_by_enumeration(queries, keys, offset) -> None:
    expected = enumerated(queries, keys, lambda i, j: j <= i + offset)
    assert below_diagonal(queries, keys, offset) == expected


@given(LENGTH, LENGTH)
def test_causal_pairs_by_enumeration(queries: int, keys: int) -> None:
    assert causal_pairs(queries, keys) == enumerated(queries, keys, lambda i, j: j <= i)
    aligned = enumerated(queries, keys, lambda i, j: j <= i + keys - queries)
    assert causal_pairs(queries, keys, bottom_right=True) == aligned


@given(st.integers(0, 10**6))
def test_causal_pairs_of_a_square_are_half_and_the_diagonal(length: int) -> None:
    assert causal_pairs(length, length) == length * (length + 1) // 2
    assert causal_pairs(length, length, bottom_right=True) == length * (length + 1) // 2


def test_causal_alignment_of_a_short_query() -> None:
    # xformers pull request 1402: 4 queries on 10 keys.
    assert causal_pairs(4, 10) == 1 + 2 + 3 + 4
    assert causal_pairs(4, 10, bottom_right=True) == 7 + 8 + 9 + 10


@given(LENGTH, LENGTH, SIDE, SIDE, st.booleans())
def test_window_pairs_by_enumeration(queries, keys, left, right, bottom_right) -> None:
    shift = keys - queries if bottom_right else 0

    def visible(i: int, j: int) -> bool:
        after = left is None or j >= i + shift - left
        return after and (right is None or j <= i + shift + right)

    found = window_pairs(queries, keys, left, right, bottom_right=bottom_right)
    assert found == enumerated(queries, keys, visible)


@st.composite
def pairs(draw) -> Pairs:
    rows, keys = draw(st.integers(0, 1000)), draw(st.integers(0, 1000))
    dense = rows * keys
    unmasked = draw(st.integers(0, dense))
    return Pairs(rows, dense, unmasked, draw(st.integers(unmasked, dense)))


@given(pairs(), DIM, DIM, st.booleans())
def test_forward_closed_form(found: Pairs, head_dim: int, value_dim: int, biased: bool) -> None:
    work = attention(found, head_dim, value_dim, biased=biased)
    each = 2 * (head_dim + value_dim)
    assert work.flops == each * found.unmasked
    assert work.dense_flops == each * found.dense
    assert work.executed_flops == each * found.computed
    assert work.vector_flops == (5 + biased) * found.computed
    assert work.special == found.computed
    assert work.recompute_flops == 0


@given(pairs(), DIM, DIM)
def test_backward_is_twice_forward_and_one_product_of_recompute(found, head_dim, value_dim) -> None:
    forward = attention(found, head_dim, value_dim)
    backward = attention_backward(found, head_dim, value_dim)
    assert backward.flops == 2 * forward.flops
    assert backward.dense_flops == 2 * forward.dense_flops
    assert backward.recompute_flops == 2 * head_dim * found.unmasked
    five = 2 * (2 * value_dim + 3 * head_dim)
    assert backward.executed_flops == five * found.computed


def test_equal_dimensions_execute_two_and_a_half_times_the_forward_pass() -> None:
    found = Pairs(8, 64, 36, 36)
    assert 2 * attention_backward(found, 64, 64).executed_flops == (
        5 * attention(found, 64, 64).executed_flops
    )


@given(pairs(), DIM, DIM, st.booleans(), st.booleans(), st.booleans())
def test_unneeded_gradients_are_executed_not_useful(found, d, v, query, key, value) -> None:
    whole = attention_backward(found, d, v)
    part = attention_backward(found, d, v, Needed(query, key, value))
    assert part.executed_flops == whole.executed_flops
    products = value * v + (query or key) * v + query * d + key * d
    assert part.flops == 2 * products * found.unmasked


@given(pairs(), DIM)
def test_work_is_additive_over_heads(found: Pairs, dim: int) -> None:
    doubled = replace(
        found,
        rows=2 * found.rows,
        dense=2 * found.dense,
        unmasked=2 * found.unmasked,
        computed=2 * found.computed,
    )
    assert attention(doubled, dim, dim) == attention(found, dim, dim) * 2
    assert attention_backward(doubled, dim, dim) == attention_backward(found, dim, dim) * 2
