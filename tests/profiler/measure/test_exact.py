"""Exact tests against enumeration of every sign and every division into groups."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.measure.exact import (
    least_p,
    rank_sum,
    rank_sum_masses,
    sign_test,
    signed_rank,
    signed_rank_masses,
)

FEW = st.lists(st.integers(-6, 6), min_size=1, max_size=8)
SHORT = st.lists(st.integers(-4, 4), min_size=1, max_size=4)
SIDES = st.sampled_from(["both", "greater", "less"])


def mean_ranks(values):
    return [(sum(o < v for o in values) + sum(o <= v for o in values) + 1) / 2 for v in values]


def tail(statistics, observed, side):
    less = np.mean([s <= observed + 1e-9 for s in statistics])
    greater = np.mean([s >= observed - 1e-9 for s in statistics])
    return {"less": less, "greater": greater, "both": min(1, 2 * min(less, greater))}[side]


@given(FEW, SIDES)
def test_signed_rank_is_the_share_of_all_signs(values, side):
    kept = [v for v in values if v]
    ranks = mean_ranks([abs(v) for v in kept])
    sums = [
        sum(r for r, s in zip(ranks, signs, strict=True) if s)
        for signs in product((0, 1), repeat=len(kept))
    ]
    observed = sum(r for r, v in zip(ranks, kept, strict=True) if v > 0)
    assert signed_rank(values, side) == pytest.approx(tail(sums, observed, side))


@given(SHORT, SHORT, SIDES)
def test_rank_sum_is_the_share_of_all_divisions(values, others, side):
    ranks = mean_ranks(values + others)
    sums = [sum(chosen) for chosen in combinations(ranks, len(values))]
    observed = sum(ranks[: len(values)])
    assert rank_sum(values, others, side) == pytest.approx(tail(sums, observed, side))


@given(FEW, SIDES)
def test_the_sign_test_is_the_share_of_all_signs(values, side):
    count = sum(v != 0 for v in values)
    sums = [sum(signs) for signs in product((0, 1), repeat=count)]
    assert sign_test(values, side) == pytest.approx(tail(sums, sum(v > 0 for v in values), side))


@given(st.integers(1, 30))
def test_masses_are_symmetric_and_sum_to_one(count):
    masses = signed_rank_masses(count)
    assert masses.sum() == pytest.approx(1)
    assert masses == pytest.approx(masses[::-1])
    assert len(masses) == count * (count + 1) // 2 + 1


@given(st.integers(1, 12), st.integers(1, 12))
def test_masses_of_pairs_won_are_symmetric_and_sum_to_one(count, others):
    masses = rank_sum_masses(count, others)
    assert masses.sum() == pytest.approx(1)
    assert masses == pytest.approx(masses[::-1])
    assert len(masses) == count * others + 1


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=12))
def test_exchanging_the_sides_exchanges_the_answers(values):
    turned = [-v for v in values]
    assert signed_rank(values, "less") == pytest.approx(signed_rank(turned, "greater"))
    assert signed_rank(values) == pytest.approx(signed_rank(turned))


def test_known_values():
    # Wilcoxon's tables: n = 9, all one sign 1/512 each side; 5 against 5, wholly apart, 1/252.
    assert signed_rank(range(1, 10), "greater") == pytest.approx(1 / 512)
    assert signed_rank(range(1, 10)) == pytest.approx(least_p(9)) == pytest.approx(2 / 512)
    assert rank_sum([6, 7, 8, 9, 10], [1, 2, 3, 4, 5], "greater") == pytest.approx(1 / 252)
    assert sign_test(range(1, 10)) == pytest.approx(2 / 512)


@pytest.mark.parametrize("test", [signed_rank, sign_test])
@pytest.mark.parametrize("values", [[], [0.0, 0.0]])
def test_no_difference_shows_nothing(test, values):
    assert test(values) == 1.0


def test_the_level_is_held_where_nothing_differs():
    # Over all signs of nine values no more than a share of alpha lies at or below alpha.
    values = [
        signed_rank([r * s for r, s in zip(range(1, 10), signs, strict=True)])
        for signs in product((-1, 1), repeat=9)
    ]
    for alpha in (0.002, 0.005, 0.01, 0.05, 0.2):
        assert np.mean([p <= alpha for p in values]) <= alpha
