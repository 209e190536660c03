"""Change points: steps are found where they are, noise and outliers are none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput.measure.changes import FEWEST, change_points
from goodput.measure.interleaved import Plan, interleaved


def nights(random, count=60, deviation=0.015):
    """Logs of nightly figures with an outlier of 5 % now and then."""
    values = random.normal(0, deviation, count)
    return values + (random.random(count) < 0.05) * random.choice([-0.05, 0.05], count)


def test_a_step_is_found_where_it_is(capsys):
    random = np.random.default_rng(1)
    found = 0
    for seed in range(30):
        values = nights(random)
        values[30:] += 0.03
        points = change_points(values, seed=seed)
        found += any(abs(point.place - 30) <= 5 and point.after > point.before for point in points)
    with capsys.disabled():
        print(f"\n  history: a step of +3 % found in {found} of 30")  # noqa: T201 - the figure
    assert found >= 27


def test_noise_and_outliers_are_no_change(capsys):
    random = np.random.default_rng(2)
    wrong = sum(bool(change_points(nights(random), seed=seed)) for seed in range(60))
    with capsys.disabled():
        print(f"\n  history: {wrong} of 60 histories without a change have one")  # noqa: T201 - the figure
    assert wrong <= 3


def test_two_steps_are_both_found():
    random = np.random.default_rng(3)
    values = random.normal(0, 0.004, 45)
    values[15:] += 0.05
    values[30:] -= 0.03
    points = change_points(values)
    assert [point.place for point in points] == [15, 30]
    assert points[0].after == pytest.approx(points[1].before)


def test_a_step_smaller_than_the_effect_does_not_count():
    values = [0.0] * 20 + [0.005] * 20
    assert not change_points(values, effect=0.01)
    assert [point.place for point in change_points(values, effect=0.001)] == [20]


@given(st.lists(st.floats(-1, 1), max_size=2 * FEWEST - 1))
def test_few_values_have_no_change(values):
    assert change_points(values) == ()


@settings(max_examples=30)
@given(st.floats(-5, 5), st.integers(0, 40))
def test_what_never_moves_has_no_change(value, count):
    assert change_points([value] * count) == ()


@settings(max_examples=10)
@given(st.integers(0, 1000), st.integers(-3, 3))
def test_moving_all_values_moves_no_change(seed, by):
    values = np.random.default_rng(seed).normal(0, 0.01, 24)
    values[12:] += 0.1
    points = change_points(values)
    assert 12 in [point.place for point in points]
    moved = change_points(values + by)
    assert [point.place for point in moved] == [point.place for point in points]


class Ticking:
    """A clock that each call moves on."""

    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time


def test_the_step_and_the_anchor_are_timed_in_turns_and_what_prepares_is_not():
    clock, order = Ticking(), []

    def spend(name, seconds):
        order.append(name)
        clock.time += seconds

    rounds = interleaved(
        lambda: spend("step", 2.0),
        lambda: spend("anchor", 1.0),
        clock,
        Plan(warmup=1, seconds=10.0, fewest=2, most=3),
        lambda: spend("prepare", 5.0),
    )
    assert order[3:6] == ["anchor", "prepare", "step"]
    assert rounds.step == (2.0, 2.0)
    assert rounds.anchor == (1.0, 1.0)
