"""Kept results are told by time, which others on the machine disturb: when that is believed."""

from types import SimpleNamespace

import pytest

from goodput.comparison.checks import _REPEATS, _ROUNDS, Examination
from goodput.comparison.trust import Trust
from goodput.report.compared_verdicts import SUSPECT

KEPT = Trust("kept", ("kept results",), 1, 0, 0.0)


def examined(rounds):
    """The fault where each round's calls take these seconds: of new values, and of old ones."""
    now = [0.0]
    takes = iter([t for new, again in rounds for _ in range(_REPEATS) for t in (new, again)])

    def run(*_):
        now[0] += next(takes)

    problem = SimpleNamespace(values=lambda seed: (seed,), arguments=lambda *_: (), run=run)
    truths = SimpleNamespace(seeds=(1,))
    clock = SimpleNamespace(now=lambda: now[0])
    examination = Examination(problem, "b", truths, KEPT, clock)
    examination._kept_results()
    return examination.findings.fault


def test_results_that_are_kept_are_quick_in_every_round():
    fault = examined([(1e-3, 1e-4)] * _ROUNDS)
    assert fault.verdict == SUSPECT
    assert "10 times less" in fault.text


@pytest.mark.parametrize("quiet", range(_ROUNDS))
def test_one_round_without_it_clears_a_variant(quiet):
    rounds = [(1e-3, 1e-4)] * _ROUNDS
    rounds[quiet] = (1e-3, 1e-3)
    assert examined(rounds) is None


def test_calls_that_are_python_s_own_time_alone_are_not_judged():
    assert examined([(1e-5, 1e-7)] * _ROUNDS) is None
