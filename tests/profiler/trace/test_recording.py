"""What a recording says of itself."""

from __future__ import annotations

import statistics

from hypothesis import given
from hypothesis import strategies as st

from goodput.trace.recording import Recording
from goodput.trace.table import Invocations, Trace

EMPTY = Trace(device=None, framework="torch", steps=(), invocations=Invocations.of({}), strings=())


@given(st.lists(st.floats(1e-3, 1e3), min_size=1), st.booleans())
def test_a_step_is_the_median_and_the_mean_where_steps_are_of_many_kinds(seconds, mixed):
    recording = Recording("train.py", "", EMPTY, tuple(seconds), "host", mixed=mixed)
    middle = statistics.fmean if mixed else statistics.median
    assert recording.step_seconds == middle(seconds)


def test_without_an_undisturbed_step_there_is_no_time():
    assert Recording("train.py", "", EMPTY, (), "host").step_seconds is None
