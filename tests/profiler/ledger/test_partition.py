"""The partition against one that books every nanosecond by itself."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from goodput.ledger.intervals import first_owns, joined, union_of
from goodput.ledger.partition import ORDER, Timeline, ordered

stretches = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 25)).map(lambda p: (p[0], p[0] + p[1])),
    max_size=8,
)


def columns(spans):
    spans = sorted(spans, key=lambda span: span[0])
    return np.array([s for s, _ in spans], np.int64), np.array([e for _, e in spans], np.int64)


def owner_of(moment, spans):
    # The class that stands first; in it, the label of the span that began first.
    for event in ORDER:
        for start, end, label in sorted(spans.get(event, []), key=lambda span: span[0]):
            if start <= moment < end:
                return event, label
    return "down", 0


@given(
    st.dictionaries(st.sampled_from(ORDER), stretches, max_size=5),
    st.integers(0, 40),
    st.integers(0, 60),
)
def test_every_nanosecond_has_the_owner_that_the_order_says(found, start, length):
    spans = {
        event: [(s, e, n % 3) for n, (s, e) in enumerate(sorted(own, key=lambda p: p[0]))]
        for event, own in found.items()
    }
    claims = {
        event: ordered(*columns([(s, e) for s, e, _ in own]), np.array([n for *_, n in own], int))
        for event, own in spans.items()
    }
    split = Timeline(claims).split(start, start + length)
    expected = Counter(owner_of(moment, spans) for moment in range(start, start + length))
    assert {owner: time for owner, time in split.items() if time} == dict(expected)
    assert sum(split.values()) == length


@given(stretches, stretches)
def test_a_union_holds_what_either_holds(one, other):
    both = joined(union_of(*columns(one)), union_of(*columns(other)))
    covered = {t for start, end in (*one, *other) for t in range(start, end)}
    assert both.measure == len(covered)
    assert (both.start[1:] > both.end[:-1]).all()


@given(stretches, st.integers(0, 90), st.integers(0, 90))
def test_what_lies_within_is_measured(spans, low, high):
    low, high = sorted((low, high))
    covered = {t for start, end in spans for t in range(start, end) if low <= t < high}
    union = union_of(*columns(spans))
    assert union.within(np.array([low]), np.array([high])).tolist() == [len(covered)]


@given(stretches)
def test_the_first_to_begin_owns_and_nothing_is_lost(spans):
    start, end = columns(spans)
    moved = first_owns(start, end)
    pieces = [(s, e) for s, e in zip(moved.tolist(), end.tolist(), strict=True) if e > s]
    assert sum(e - s for s, e in pieces) == union_of(start, end).measure
    assert all(later[0] >= earlier[1] for earlier, later in pairwise(pieces))
