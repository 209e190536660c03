"""Process values, and how often they mislead and find on recorded processes.

The recordings are nanoseconds of single-threaded float32 products on a contended machine of two
cores: in each of 40 processes, interleaved calls of an anchor, of `A` and of `A2` (the same
product) and of `B` (5.08 % more FLOPs); and 60 processes of one product alone.
"""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.measure.anchored import anchored, anchored_all
from goodput.measure.exact import rank_sum, signed_rank
from goodput.measure.findings import finding
from goodput.measure.shifts import paired_shift, unpaired_shift

DRAWS = 3000
PROCESSES = 9
TIMES = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=20)


@given(TIMES, TIMES, st.floats(0.1, 10))
def test_a_slower_machine_changes_nothing_and_a_slower_call_counts_in_full(calls, anchor, factor):
    value = anchored(calls, anchor)
    assert anchored([factor * c for c in calls], [factor * a for a in anchor]) == pytest.approx(
        value, abs=1e-9
    )
    assert anchored([factor * c for c in calls], anchor) == pytest.approx(value + math.log(factor))


def test_everything_but_the_anchor_is_anchored():
    process = {"anchor": [2.0], "a": [4.0], "b": [1.0]}
    assert anchored_all(process) == pytest.approx({"a": math.log(2), "b": -math.log(2)})


@pytest.fixture(scope="module")
def values(repository):
    recorded = json.loads(
        (repository / "tests/data/cpu_interleaved_processes.json").read_text(encoding="utf-8")
    )
    processes = [anchored_all(process) for _, process in recorded]
    return {name: np.array([p[name] for p in processes]) for name in ("A", "A2", "B")}


def found(differences, draws):
    """The share of draws of processes in which a difference is found."""
    findings = [
        finding(paired_shift(differences[draw]), signed_rank(differences[draw])) for draw in draws
    ]
    return np.mean([f in {"higher", "lower"} for f in findings])


@pytest.fixture(scope="module", params=["without", "with"])
def draws(request):
    random = np.random.default_rng(20)
    replace = request.param == "with"
    return [random.choice(40, PROCESSES, replace=replace) for _ in range(DRAWS)]


def test_recorded_processes_are_judged_rightly(values, draws, capsys):
    same = found(values["A2"] - values["A"], draws)
    five = found(values["B"] - values["A"], draws)
    ten = found(values["A2"] + math.log(1.1) - values["A"], draws)  # a recorded copy, scaled
    with capsys.disabled():
        print(f"\n  interleaved: A/A {same:.2%}, +5.08 % {five:.1%}, +10 % (scaled) {ten:.1%}")  # noqa: T201 - the figures
    assert same <= 0.005
    assert five >= 0.90
    assert ten >= 0.95


def test_without_the_margin_a_small_true_bias_would_be_found(values, draws):
    # The twin: the rule can fail. A copy that is 3 % off is called different nearly always.
    assert found(values["A2"] + 0.03 - values["A"], draws[:300]) > 0.9


def test_processes_of_two_builds_that_ran_apart(repository, capsys):
    # Unpaired and without an anchor: what a comparison with a stored figure would have to rest on.
    recorded = json.loads(
        (repository / "tests/data/cpu_same_code_processes.json").read_text(encoding="utf-8")
    )
    logs = np.array([anchored(calls, [1.0]) for _, calls in recorded])
    random = np.random.default_rng(21)
    wrong = missed = 0
    for _ in range(300):
        draw = random.permutation(len(logs))
        here, there = logs[draw[:PROCESSES]], logs[draw[PROCESSES : 2 * PROCESSES]]
        scaled = here + math.log(1.1)
        wrong += finding(unpaired_shift(here, there), rank_sum(here, there)) in {"higher", "lower"}
        missed += finding(unpaired_shift(scaled, there), rank_sum(scaled, there)) != "higher"
    with capsys.disabled():
        print(f"\n  apart, no anchor: A/A {wrong / 300:.2%}, +10 % (scaled) {1 - missed / 300:.1%}")  # noqa: T201 - the figures
    assert wrong / 300 <= 0.02
