"""The closed forms against a job that is played through, failure by failure."""

import heapq
import math
import random

import numpy as np
import pytest

from goodput.errors import UsageError
from goodput.ledger.whatif import Failures, available, best, daly, goodput, intervals, young

GRID = [
    (mtbf, save, restart)
    for mtbf in (600.0, 3600.0, 10_800.0, 86_400.0, 604_800.0)
    for save in (5.0, 30.0, 90.0)
    for restart in (0.0, 60.0, 600.0)
]
DEATHS = 40_000


def lives(failures):
    """How long the job is up between failures: evenly spread over their distribution."""
    return -failures.mtbf * np.log((np.arange(DEATHS) + 0.5) / DEATHS)


def played(interval, failures):
    """The goodput of a job that saves after each `interval`, over many lives, one after the other.

    Of a life, the stretches of work whose save was whole before the failure are kept; no formula.
    """
    up = lives(failures)
    kept = np.floor(up / (interval + failures.save)) * interval
    return kept.sum() / (up + failures.restart).sum()


@pytest.mark.parametrize(("mtbf", "save", "restart"), GRID)
def test_the_expected_goodput_is_that_of_the_simulation(mtbf, save, restart):
    failures = Failures(mtbf, save, restart)
    for interval in (best(failures), young(failures), available(failures), 2 * young(failures)):
        assert goodput(interval, failures) == pytest.approx(played(interval, failures), rel=0.02)


def simulated(interval, failures, saves, seed):
    """The goodput of a job that is run event by event until it has saved so many times.

    A failure strikes at a random moment, also while a save is written, and takes the job back to
    its last whole save; it is armed anew when the job trains again.
    """
    draw = random.Random(seed)  # noqa: S311 - failures, no secrets
    kept = 0
    events = []

    def train(now):
        events[:] = [
            (now + interval + failures.save, "saved"),
            (now + draw.expovariate(1 / failures.mtbf), "failed"),
        ]
        heapq.heapify(events)

    train(0.0)
    now = 0.0
    while kept < saves:
        now, what = heapq.heappop(events)
        if what == "saved":
            kept += 1
            heapq.heappush(events, (now + interval + failures.save, "saved"))
        elif what == "failed":
            events[:] = [(now + failures.restart, "restarted")]
        else:
            train(now)
    return kept * interval / now


@pytest.mark.parametrize("mtbf", [600.0, 3600.0, 10_800.0, 86_400.0])
@pytest.mark.parametrize("save", [30.0, 90.0])
def test_the_expected_goodput_is_that_of_a_job_run_event_by_event(mtbf, save):
    failures = Failures(mtbf, save, 360.0)
    for interval in (best(failures), daly(failures), young(failures)):
        # The lost share varies as the failures do: some 10,000 of them tell it within 1 %.
        saves = int(10_000 * mtbf / (interval + save))
        found = simulated(interval, failures, saves, seed=1)
        assert goodput(interval, failures) == pytest.approx(found, rel=0.02)


@pytest.mark.parametrize(("mtbf", "save", "restart"), GRID)
def test_the_best_interval_is_that_of_the_simulation(mtbf, save, restart):
    failures = Failures(mtbf, save, restart)
    around = best(failures) * np.exp(np.linspace(-0.4, 0.4, 41))
    curve = np.array([played(interval, failures) for interval in around])
    # The top is flat: a parabola in log(interval) finds it better than the highest point does.
    a, b, _ = np.polyfit(np.log(around), curve, 2, w=np.exp(-(np.linspace(-2, 2, 41) ** 2)))
    assert math.exp(-b / (2 * a)) == pytest.approx(best(failures), rel=0.02)
    assert played(best(failures), failures) >= curve.max() * 0.999


@pytest.mark.parametrize(("mtbf", "save", "restart"), GRID)
def test_daly_and_young_are_near_the_best_where_failures_are_rare(mtbf, save, restart):
    failures = Failures(mtbf, save, restart)
    if save / mtbf < 0.02:
        assert daly(failures) == pytest.approx(best(failures), rel=0.02)
    for interval in (daly(failures), young(failures)):
        assert goodput(interval, failures) >= 0.98 * goodput(best(failures), failures)


def test_the_availability_optimum_maximises_its_own_availability():
    failures = Failures(10_800.0, 90.0, 360.0)

    def availability(period):
        up = 1 - failures.save / period
        return up / (1 + (failures.restart + period / 2) / failures.mtbf)

    period = available(failures) + failures.save
    assert all(
        availability(period) > availability(period * factor)
        for factor in (0.99, 0.999, 1.001, 1.01)
    )


def test_the_best_comes_first_and_ones_own_last():
    ways = intervals(Failures(10_800.0, 90.0, 360.0), 600.0)
    assert [way.name for way in ways] == ["best", "Daly", "Young", "availability", "yours"]
    assert ways[0].goodput == max(way.goodput for way in ways)


def test_a_save_that_takes_longer_than_failures_leave():
    failures = Failures(60.0, 600.0, 60.0)
    assert 0 < best(failures) <= 60.0
    assert goodput(1e9, failures) == 0.0
    assert daly(failures) == 60.0


@pytest.mark.parametrize("times", [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_times_that_are_none(times):
    with pytest.raises(UsageError, match="must be more than 0"):
        Failures(*times)
