import math

from hypothesis import given, settings
from hypothesis import strategies as st

from goodput.capacity.measurement import STATUSES, Check, Measurement
from goodput.renderers.peaks_figures import best_of, levels_of, rate_of, worst_status

SIZES = st.lists(st.integers(1, 2**40), max_size=30)


def of_size(size: int) -> Measurement:
    return Measurement("memory", "copy", "burst", 1.0, "B", "ok", size=size)


@settings(deadline=None)
@given(SIZES, st.integers(2, 8))
def test_levels_are_few_apart_and_keep_both_ends(sizes: list[int], most: int) -> None:
    levels = levels_of(map(of_size, sizes), most)
    assert len(levels) <= most
    assert list(levels) == sorted(levels)
    if sizes:
        assert levels[0][0] == min(sizes)
        assert levels[-1][1] == max(sizes)
    for low, high in levels:
        assert low <= high <= low * math.sqrt(2)


@settings(deadline=None)
@given(SIZES)
def test_every_size_has_a_level_where_there_is_room(sizes: list[int]) -> None:
    levels = levels_of(map(of_size, sizes), 1000)
    assert all(sum(low <= size <= high for low, high in levels) == 1 for size in sizes)


FIGURES = st.builds(
    Measurement,
    st.just("matmul"),
    st.just("tf32"),
    st.just("burst"),
    st.none() | st.floats(0, 1e18),
    st.just("FLOP"),
    st.sampled_from(STATUSES),
    checks=st.booleans().map(lambda ok: (Check("correct", ok, None, ""),)),
)


@settings(deadline=None)
@given(st.lists(FIGURES, max_size=6))
def test_the_best_is_the_highest_valid_one(figures: list[Measurement]) -> None:
    best = best_of(figures)
    valid = [one.rate for one in figures if one.valid and one.rate is not None]
    assert rate_of(best) == (max(valid) if valid else None)
    assert (best is None) == (not figures)


@settings(deadline=None)
@given(st.lists(FIGURES, min_size=1))
def test_the_worst_status_is_one_of_them_and_none_is_worse(figures: list[Measurement]) -> None:
    worst = worst_status(figures)
    places = [STATUSES.index(one.status) for one in figures]
    assert STATUSES.index(worst) == max(places)
