"""Shifts and their intervals: what they promise, and that it is held by drawn values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.measure.exact import rank_sum, signed_rank
from goodput.measure.shifts import Shift, geometric_mean, paired_shift, unpaired_shift

VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=14)


@given(VALUES, st.floats(-50, 50))
def test_moving_all_moves_the_shift(values, by):
    one, moved = paired_shift(values), paired_shift([v + by for v in values])
    assert moved.estimate == pytest.approx(one.estimate + by, abs=1e-9)
    assert (moved.low, moved.high) == pytest.approx((one.low + by, one.high + by), abs=1e-9)


@given(VALUES)
def test_the_estimate_is_within_its_interval(values):
    shift = paired_shift(values)
    assert shift.low <= shift.estimate <= shift.high
    assert shift.confidence >= 0.95 - 1e-12


@given(VALUES, VALUES)
def test_exchanging_the_sets_turns_the_shift_round(values, others):
    one, turned = unpaired_shift(values, others), unpaired_shift(others, values)
    assert turned.estimate == pytest.approx(-one.estimate)
    assert (turned.low, turned.high) == pytest.approx((-one.high, -one.low))


@given(st.integers(8, 14), st.integers(0, 10_000))
def test_the_paired_interval_is_what_the_test_cannot_reject(count, seed):
    values = np.random.default_rng(seed).normal(0, 1, count)  # without ties among the means
    shift = paired_shift(values)
    inside = (shift.low + shift.high) / 2
    assert signed_rank([v - shift.low + 1e-9 for v in values]) <= 0.05
    assert signed_rank([v - shift.high - 1e-9 for v in values]) <= 0.05
    assert signed_rank([v - inside for v in values]) > 0.05


@given(st.integers(5, 9), st.integers(5, 9), st.integers(0, 10_000))
def test_the_unpaired_interval_is_what_the_test_cannot_reject(count, other, seed):
    random = np.random.default_rng(seed)
    values, others = random.normal(0, 1, count), random.normal(0, 1, other)
    shift = unpaired_shift(values, others)
    for end, step in ((shift.low, -1e-9), (shift.high, 1e-9)):
        assert rank_sum([v - end - step for v in values], others) <= 0.05


def test_few_values_have_no_interval():
    shift = paired_shift([0.1, 0.2, 0.3, 0.4, 0.5])
    assert (shift.low, shift.high, shift.confidence) == (-math.inf, math.inf, 1.0)
    assert (shift.ratio.low, shift.ratio.high) == (0.0, math.inf)
    assert not shift.within(10)


@pytest.mark.parametrize("count", [9, 15])
def test_coverage_is_at_least_what_is_asked_for(count):
    random = np.random.default_rng(5)
    shifts = [paired_shift(0.3 + random.standard_t(3, count)) for _ in range(600)]
    covered = np.mean([shift.low <= 0.3 <= shift.high for shift in shifts])
    promised = shifts[0].confidence
    assert covered == pytest.approx(promised, abs=3.5 * math.sqrt(promised * (1 - promised) / 600))


def test_a_table_s_interval():
    # n = 9: the sixth of the 45 means from either end, at 96.1 %.
    shift = paired_shift(range(1, 10))
    assert shift.confidence == pytest.approx(1 - 2 * 10 / 512)
    assert (shift.estimate, shift.low, shift.high) == (5, 2.5, 7.5)


def test_a_geometric_mean_of_ratios_over_cases():
    logs = np.log([[2.0, 8.0]] * 9)
    mean = geometric_mean(logs)
    assert mean.estimate == pytest.approx(4)
    assert (mean.low, mean.high) == pytest.approx((4, 4))


@given(st.lists(st.floats(-2, 2), min_size=6, max_size=12))
def test_the_mean_of_one_case_is_its_shift(values):
    mean, shift = geometric_mean([[v] for v in values]), paired_shift(values).ratio
    assert mean == shift


def test_nothing_has_no_shift():
    with pytest.raises(ValueError, match="no shift"):
        paired_shift([])
    with pytest.raises(ValueError, match="no shift"):
        unpaired_shift([], [1.0])


def test_within_is_about_the_whole_interval():
    assert Shift(0.0, -0.01, 0.01, 0.95).within(0.01)
    assert not Shift(0.0, -0.01, 0.02, 0.95).within(0.01)
