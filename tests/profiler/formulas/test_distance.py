"""Distances by product and one by one, counted as the loops that make them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.contraction import contraction
from goodput.formulas.distance import (
    pair_distances,
    pair_distances_backward,
    product_distances,
)
from goodput.work import Work

SIZE = st.integers(1, 100)


@given(SIZE, SIZE)
def test_orders_differ_by_their_roots_and_powers(pairs, coordinates) -> None:
    plain = Work(vector_flops=3 * pairs * coordinates)
    assert pair_distances(pairs, coordinates, 1) == plain
    assert pair_distances(pairs, coordinates, math.inf) == plain
    assert pair_distances(pairs, coordinates) == plain + Work(special=pairs)
    third = pair_distances(pairs, coordinates, 3)
    assert third == plain + Work(special=pairs + pairs * coordinates)


@given(SIZE, SIZE, SIZE, SIZE)
def test_a_product_has_the_norms_as_two_more_coordinates(batch, p, r, coordinates) -> None:
    work = product_distances(batch, p, r, coordinates)
    assert work.flops == contraction(batch, p, r, coordinates + 2).flops
    assert work.special == batch * p * r
    norms = (p + r) * (2 * coordinates - 1)
    assert work.vector_flops == batch * (norms + p * coordinates + p * r)


@given(SIZE, SIZE, st.sampled_from([1, 2]))
def test_gradients_of_one_end_or_both(pairs, coordinates, ends) -> None:
    each = pairs * coordinates
    manhattan = pair_distances_backward(pairs, coordinates, 1, ends=ends)
    assert manhattan == Work(vector_flops=(2 + ends) * each)
    euclidean = pair_distances_backward(pairs, coordinates, 2, ends=ends)
    assert euclidean == manhattan + Work(vector_flops=pairs)
    third = pair_distances_backward(pairs, coordinates, 3, ends=ends)
    assert third == euclidean + Work(vector_flops=2 * each, special=each + pairs)


@pytest.mark.parametrize("power", [0, 1, 2, 3.5, math.inf])
def test_no_pairs_are_no_work(power) -> None:
    assert pair_distances(0, 9, power) == pair_distances_backward(0, 9, power) == Work()
