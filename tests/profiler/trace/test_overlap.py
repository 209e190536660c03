"""Each instant has one owner class, shared equally, and the owned seconds sum to the union."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.trace.overlap import busy_intervals, owned_seconds
from goodput.trace.table import Kind

# Eighths, so that many intervals share their ends.
INTERVALS = st.lists(
    st.tuples(st.integers(0, 80), st.integers(0, 30), st.sampled_from(list(Kind))), max_size=30
)


def columns(intervals):
    start = np.array([a / 8 for a, _, _ in intervals], dtype=float)
    length = np.array([d / 8 for _, d, _ in intervals], dtype=float)
    return start, start + length, np.array([k for _, _, k in intervals], dtype=np.int64)


def owned_instant_by_instant(start, end, kind):
    """The definition, in quadratic time."""
    owned, union = [0.0] * len(start), 0.0
    points = sorted({*start.tolist(), *end.tolist()})
    for begin, finish in pairwise(points):
        live = [i for i in range(len(start)) if start[i] <= begin and end[i] >= finish]
        if live:
            union += finish - begin
            top = [i for i in live if kind[i] == min(kind[j] for j in live)]
            for i in top:
                owned[i] += (finish - begin) / len(top)
    return owned, union


@given(INTERVALS)
def test_agrees_with_the_definition(intervals):
    start, end, kind = columns(intervals)
    owned, union = owned_seconds(start, end, kind)
    expected, expected_union = owned_instant_by_instant(start, end, kind)
    assert owned == pytest.approx(expected, abs=1e-9)
    assert union == pytest.approx(expected_union, abs=1e-9)
    assert owned.sum() == pytest.approx(union, rel=1e-9, abs=1e-9)


@given(INTERVALS)
def test_the_busy_pieces_are_apart_and_as_long_as_the_union(intervals):
    start, end, kind = columns(intervals)
    begins, ends = busy_intervals(start, end)
    assert (begins[1:] > ends[:-1]).all()
    assert (ends - begins).sum() == pytest.approx(owned_seconds(start, end, kind)[1], abs=1e-9)


def test_compute_hides_the_communication_under_it():
    start, end = np.array([0.0, 1.0, 1.0]), np.array([4.0, 6.0, 2.0])
    kind = np.array([Kind.COMPUTE, Kind.COMMUNICATION, Kind.COPIES])
    owned, union = owned_seconds(start, end, kind)
    assert owned.tolist() == [4.0, 2.0, 0.0]
    assert union == 6.0


def test_an_interval_that_ends_before_it_starts_owns_nothing():
    owned, union = owned_seconds(np.array([2.0, 0.0]), np.array([1.0, 3.0]), np.array([0, 0]))
    assert owned.tolist() == [0.0, 3.0]
    assert union == 3.0


def test_far_from_the_origin_of_the_clock_nanoseconds_survive():
    start = 1.7e9 + np.array([0.0, 1e-6])
    owned, _ = owned_seconds(start, start + 1e-6, np.zeros(2, np.int64))
    assert owned == pytest.approx(np.diff([*start, start[1] + 1e-6]), abs=3e-7)


def test_a_million_intervals_in_one_sweep():
    rng = np.random.default_rng(0)
    start = np.sort(rng.random(1_000_000))
    end = start + rng.random(1_000_000) * 1e-5
    kind = rng.integers(0, 3, 1_000_000)
    owned, union = owned_seconds(start, end, kind)
    assert owned.sum() == pytest.approx(union, rel=1e-9)
