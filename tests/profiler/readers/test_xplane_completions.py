"""Work of XLA:CPU's pool after an event has ended, as its marks tell it; times in seconds."""

from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

from goodput.readers.xplane_completions import Completions, Thunks

BUSY, IDLE = "ThreadpoolListener::StartRegion", "ThreadpoolListener::StopRegion"
NAMES = [BUSY, IDLE, "ThunkExecutor::Execute (wait for completion)", "end: dot", "end: tanh"]
NUMBERS = dict(enumerate(NAMES))
PROGRAM, FIRST, SECOND = 0, 1, 2  # threads


def parts_of(thunks, marks):
    """Seconds of later work by the place of the event.

    Args:
        thunks: `(name, start, end, line)`, by start.
        marks: `(name, start, end, line)`.
    """
    completions = Completions(NUMBERS, {"dot", "tanh"})
    for line in (PROGRAM, FIRST, SECOND):
        mine = [mark for mark in marks if mark[3] == line]
        metadata = np.array([NAMES.index(name) for name, *_ in mine], np.int64)
        start, end = (np.array([mark[place] for mark in mine], float) for place in (1, 2))
        completions.read(line, SimpleNamespace(metadata=metadata), start, end)
    names = sorted({name for name, *_ in thunks})
    found = completions.parts(
        Thunks(
            names,
            np.array([names.index(name) for name, *_ in thunks], np.int64),
            np.array([start for _, start, _, _ in thunks], float),
            np.array([end for _, _, end, _ in thunks], float),
            np.array([line for *_, line in thunks], np.int64),
        )
    )
    seconds = defaultdict(float)
    for row, start, end in zip(found.row.tolist(), found.start, found.end, strict=True):
        seconds[row] += end - start
    return dict(seconds)


def busy(line, start, end):
    return [(BUSY, start, start, line), (IDLE, end, end, line)]


def test_a_product_that_two_threads_finish_while_the_program_waits():
    thunks = [("dot", 1, 2, PROGRAM)]
    marks = [
        (NAMES[2], 2, 10, PROGRAM),
        *busy(PROGRAM, 0, 10),
        *busy(FIRST, 1.5, 9),
        *busy(SECOND, 1.5, 7),
        ("end: dot", 9, 9, FIRST),
    ]
    assert parts_of(thunks, marks) == {0: pytest.approx(7.5 + 5.5)}


def test_what_waited_runs_before_the_mark_and_is_not_the_product_s():
    thunks = [("dot", 1, 2, PROGRAM), ("tanh", 6, 9, FIRST)]
    marks = [
        *busy(FIRST, 1, 9.5),
        ("end: tanh", 8.9, 8.9, FIRST),
        ("end: dot", 9.2, 9.2, FIRST),
    ]
    assert parts_of(thunks, marks) == {0: pytest.approx(5)}


def test_the_next_run_of_the_same_product_begins_before_the_mark_of_the_last():
    thunks = [("dot", 0, 1, PROGRAM), ("tanh", 4, 5, FIRST), ("dot", 5, 6, FIRST)]
    marks = [
        *busy(FIRST, 1, 6.5),
        ("end: tanh", 4.9, 4.9, FIRST),
        ("end: dot", 6.2, 6.2, FIRST),
        *busy(SECOND, 6.5, 8),
        ("end: dot", 8, 8, SECOND),
    ]
    assert parts_of(thunks, marks) == {0: pytest.approx(3), 2: pytest.approx(0.3 + 0.2 + 1.5)}


def test_of_two_under_way_the_one_that_is_done_first_has_the_work():
    thunks = [("dot", 0, 1, PROGRAM), ("tanh", 1, 2, PROGRAM)]
    marks = [
        *busy(FIRST, 2, 5),
        ("end: dot", 5, 5, FIRST),
        *busy(FIRST, 5.5, 7),
        ("end: tanh", 7, 7, FIRST),
    ]
    assert parts_of(thunks, marks) == {0: pytest.approx(3), 1: pytest.approx(1.5)}


def test_what_was_done_with_its_event_has_no_later_work():
    thunks = [("dot", 0, 3, FIRST)]
    marks = [*busy(FIRST, 0, 3), ("end: dot", 2.9, 2.9, FIRST), *busy(SECOND, 4, 6)]
    assert parts_of(thunks, marks) == {}


def test_work_of_the_pool_for_nothing_that_is_known_is_nobody_s():
    assert parts_of([("dot", 0, 1, PROGRAM)], busy(FIRST, 2, 5)) == {}


def test_a_profile_that_begins_amid_work():
    thunks = [("dot", 0, 1, PROGRAM)]
    marks = [(IDLE, 0.5, 0.5, FIRST), *busy(FIRST, 1, 4), ("end: dot", 4, 4, FIRST)]
    assert parts_of(thunks, marks) == {0: pytest.approx(3)}


def test_a_profile_without_marks_of_the_pool_tells_no_later_work():
    assert parts_of([("dot", 0, 1, PROGRAM)], [("end: dot", 2, 2, PROGRAM)]) == {}
    assert parts_of([("dot", 0, 1, PROGRAM)], []) == {}
    assert parts_of([], [("end: dot", 2, 2, FIRST), *busy(FIRST, 0, 3)]) == {}
    other = [("tanh", 0, 1, PROGRAM)]
    assert parts_of(other, [("end: dot", 2, 2, FIRST), *busy(FIRST, 0, 3)]) == {}
