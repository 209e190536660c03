"""Places of tiles and bytes of memory against a count of every single one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput.readers.ttir_index import (
    EVERY,
    Index,
    Mask,
    applied,
    constant,
    masked,
    tile,
)
from goodput.readers.ttir_places import classes, count, partial, spread
from goodput.readers.ttir_traffic import Access, Traffic, merged

ROWS, COLUMNS, PROGRAMS = 4, 8, 6
SHAPE = (ROWS, COLUMNS)
NUMBERS = st.lists(st.integers(-9, 9), min_size=PROGRAMS, max_size=PROGRAMS)
SCALARS = st.one_of(NUMBERS, st.lists(st.integers(-9, 9), min_size=1, max_size=1))


def along(axis, scale):
    laid = [0 if place == axis else None for place in range(2)]
    return tile(np.arange(SHAPE[axis])).times(scale).moved(laid, SHAPE)


@st.composite
def indices(draw):
    """A number a program, plus multiples of the row and the column, some of it wrapped round."""
    found = Index(SHAPE, np.array(draw(SCALARS), np.int64))
    for axis in (0, 1):
        if draw(st.booleans()):
            found += along(axis, draw(st.integers(-3, 3)))
    if draw(st.booleans()):
        modulus = draw(st.integers(1, 7))
        wrapped = applied("%", (found, constant(modulus, SHAPE)), np.mod)
        found = wrapped + along(1, draw(st.integers(0, 2)))
    return found


@st.composite
def masks(draw):
    found = Mask.everywhere(SHAPE)
    for _ in range(draw(st.integers(0, 3))):
        part = draw(indices()).below_zero()
        kind = draw(st.integers(0, 2))
        if kind == 1:
            part = ~part
        if kind == 2:
            part = masked("or", (part, draw(indices()).below_zero()), np.logical_or)
        found &= part
    return found


def every(value):
    return np.broadcast_to(value.values(np.arange(PROGRAMS)), (PROGRAMS, *SHAPE))


@settings(max_examples=200, deadline=None)
@given(masks())
def test_open_places_are_counted_one_by_one(mask):
    expected = every(mask).sum((1, 2))
    found = count(mask, SHAPE, PROGRAMS)
    assert np.broadcast_to(found, PROGRAMS).tolist() == expected.tolist()
    less = count(partial(mask, SHAPE, PROGRAMS), SHAPE, PROGRAMS)
    assert np.broadcast_to(less, PROGRAMS).tolist() == expected.tolist()


@settings(max_examples=200, deadline=None)
@given(indices(), masks(), st.lists(st.booleans(), min_size=PROGRAMS, max_size=PROGRAMS))
def test_bytes_touched_are_counted_one_by_one(index, mask, active):
    active = EVERY if all(active) else np.array(active)
    traffic = Traffic()
    address = index.times(2).plus(1000)
    traffic.add(Access(address, mask, SHAPE, 2), active, PROGRAMS)
    running = np.broadcast_to(active, PROGRAMS)
    open_ = every(mask) & running[:, None, None]
    starts = every(address)[open_]
    assert traffic.bytes == len({start + byte for start in starts.tolist() for byte in (0, 1)})
    counted = spread(count(mask, SHAPE, PROGRAMS), active, int(running.sum()))
    assert counted == int(open_.sum())


@given(indices(), indices())
def test_sums_and_products_are_what_they_say(one, other):
    assert (every(one + other) == every(one) + every(other)).all()
    assert (every(one - other) == every(one) - every(other)).all()
    assert (every(one * other) == every(one) * every(other)).all()
    assert (every(-one) == -every(one)).all()
    assert (every((one - other).below_zero()) == (every(one) < every(other))).all()


@given(masks())
def test_a_mask_laid_over_another_axis(mask):
    found = mask.moved((1, None, 0), (COLUMNS, 3, ROWS))
    values = np.broadcast_to(found.values(np.arange(PROGRAMS)), (PROGRAMS, COLUMNS, 3, ROWS))
    assert (values == every(mask).transpose(0, 2, 1)[:, :, None, :]).all()


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), min_size=1))
def test_runs_merge_into_what_they_cover(runs):
    starts = np.array([start for start, _ in runs])
    ends = starts + np.array([length for _, length in runs])
    begins, stops = merged(starts, ends)
    covered = {place for start, length in runs for place in range(start, start + length)}
    assert sum((stops - begins).tolist()) == len(covered)
    assert (begins[1:] > stops[:-1]).all()


@given(NUMBERS, NUMBERS)
def test_programs_that_agree_in_all_numbers_are_one_class(one, other):
    leaves = [np.array(one), np.array(other)]
    chosen, kind = classes(leaves, np.arange(PROGRAMS))
    assert len(chosen) == len(set(zip(one, other, strict=True)))
    for program, own in enumerate(kind.tolist()):
        assert [leaf[chosen[own]] for leaf in leaves] == [leaf[program] for leaf in leaves]


def test_many_runs_are_merged_on_the_way(monkeypatch):
    monkeypatch.setattr("goodput.readers.ttir_traffic._HELD", 10)
    traffic = Traffic()
    programs = 100
    for first in range(3):
        address = Index((), np.arange(programs, dtype=np.int64) * 8 + 2 * first)
        traffic.add(Access(address, Mask.everywhere(()), (), 4), EVERY, programs)
    assert traffic.bytes == programs * 8
    assert traffic.is_whole
    monkeypatch.setattr("goodput.readers.ttir_traffic._MOST", 20)
    for first in range(2):
        address = Index((), np.arange(programs, dtype=np.int64) * 80 + 40 * first)
        traffic.add(Access(address, Mask.everywhere(()), (), 4), EVERY, programs)
    assert not traffic.is_whole


@pytest.mark.parametrize("value", [True, False])
def test_a_mask_of_all_programs_alike(value):
    mask = Mask(SHAPE, np.array([value]))
    assert count(mask, SHAPE, PROGRAMS).tolist() == [value * ROWS * COLUMNS]
