"""Families of tests, the number of processes, and what is found."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.measure.exact import least_p
from goodput.measure.families import holm, processes_for, processes_needed
from goodput.measure.findings import finding
from goodput.measure.shifts import Shift, paired_shift

P_VALUES = st.dictionaries(st.integers(), st.floats(0, 1), min_size=1, max_size=10)


@given(P_VALUES)
def test_holm_keeps_the_order_and_lies_between_nothing_and_bonferroni(p_values):
    adjusted = holm(p_values)
    assert list(adjusted) == list(p_values)
    for key, p in p_values.items():
        assert p <= adjusted[key] <= min(1, p * len(p_values)) + 1e-12
    order = sorted(p_values, key=lambda key: p_values[key])
    assert [adjusted[key] for key in order] == sorted(adjusted.values())


def test_holm_steps_down():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06}
    )
    assert holm({}) == {}


@given(st.integers(1, 5000))
def test_the_processes_let_the_family_reach_its_level(comparisons):
    count = processes_for(comparisons)
    assert count == max(9, math.ceil(math.log2(200 * comparisons)))
    assert least_p(count) * comparisons <= 0.01
    assert count == 9 or least_p(count - 1) * comparisons > 0.01


def test_the_processes_that_noise_needs_are_about_enough():
    random = np.random.default_rng(0)
    ratios = []
    for _ in range(40):
        needed = processes_needed(paired_shift(random.normal(0, 0.03, 9)), 9, 0.01)
        ratios.append(paired_shift(random.normal(0, 0.03, min(needed, 400))).half_width / 0.01)
    assert np.median(ratios) == pytest.approx(1, abs=0.35)


def test_the_processes_needed_are_more_than_there_were_and_not_endless():
    assert processes_needed(Shift(0, -math.inf, math.inf, 1), 4, 0.01) == 9
    assert processes_needed(Shift(0, -0.011, 0.011, 0.95), 9, 0.01) == 11
    assert processes_needed(Shift(0, -0.001, 0.001, 0.95), 9, 0.01) == 10
    assert processes_needed(Shift(0, -90.0, 90.0, 0.95), 9, 0.01) == 10_000


@pytest.mark.parametrize(
    ("ends", "p", "expected"),
    [
        ((0.02, 0.05), 0.005, "higher"),
        ((-0.05, -0.02), 0.01, "lower"),
        ((-0.05, -0.02), 0.011, "unclear"),  # not proven
        ((0.002, 0.008), 0.001, "same"),  # proven, and too small to matter
        ((0.002, 0.014), 0.001, "unclear"),  # proven, perhaps large enough
        ((-0.2, 0.2), 0.9, "unclear"),  # noise is not sameness
        ((-math.inf, math.inf), 1.0, "unclear"),
    ],
)
def test_findings(ends, p, expected):
    estimate = sum(ends) / 2 if math.isfinite(ends[0]) else 0.0
    assert finding(Shift(estimate, *ends, 0.95), p) == expected
