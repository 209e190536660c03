"""The bout protocol on a clock that only the candidates move."""

from contextlib import contextmanager
from itertools import cycle, pairwise

import pytest

from goodput.measure.bouts import Bench, Protocol, Result, bout, describe, tournament
from goodput.measure.clock import HostStopwatch
from goodput.measure.samples import Samples
from goodput_kernels.candidate import Candidate

PROTOCOL = Protocol(train_seconds=0.0, bout_seconds=0.0)


class FakeClock:
    """Time that passes only when a call or a sleep says so."""

    def __init__(self):
        self.time = 0.0
        self.slept = []

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.time += seconds

    def epoch(self):
        return self.time

    def date(self):
        return "2026-01-01T00:00:00+00:00"


def kernel(clock, name, seconds, log=None, amount=1, **rest):
    """A candidate that takes `seconds()` (or a fixed number) a call."""

    def call():
        clock.time += seconds() if callable(seconds) else seconds
        if log is not None:
            log.append((clock.time, name))

    unit = rest.pop("unit", "flops")
    return Candidate(name, "fake", unit, amount, lambda: call, **rest)


def bench(clock, **changes):
    return Bench(clock, HostStopwatch(clock), changes.pop("protocol", PROTOCOL), **changes)


def test_a_bout_warms_up_and_takes_the_fewest_trains():
    clock, log = FakeClock(), []
    samples = bout(kernel(clock, "a", 0.5, log), HostStopwatch(clock), PROTOCOL)
    assert samples == Samples((0.5, 0.5, 0.5))
    assert len(log) == 1 + 3  # the second call is timed to size the train, and counts


def test_a_bout_of_short_calls_makes_trains_and_lasts():
    clock, log = FakeClock(), []
    protocol = Protocol(train_seconds=1.0, bout_seconds=10.0, most=40)
    samples = bout(kernel(clock, "a", 0.25, log), HostStopwatch(clock), protocol)
    assert len(samples.seconds) == 10
    assert len(log) == 2 + 10 * 4
    protocol = Protocol(train_seconds=1.0, bout_seconds=10.0, most=5)
    assert len(bout(kernel(clock, "a", 0.25), HostStopwatch(clock), protocol).seconds) == 5


def test_small_contractions_rotate_their_operands_and_others_do_not():
    clock, prepared = FakeClock(), []

    def prepare():
        prepared.append(1)

        def call():
            clock.time += 1

        return call

    protocol = Protocol(train_seconds=4.0, rotate_below_bytes=100)
    for unit, size, copies in [("flops", 99, 2), ("flops", 100, 1), ("bytes", 99, 1)]:
        prepared.clear()
        bout(Candidate("x", "fake", unit, 1, prepare, size), HostStopwatch(clock), protocol)
        assert len(prepared) == copies


def test_calls_run_inside_the_candidate_s_scope():
    clock, inside = FakeClock(), []

    @contextmanager
    def scope():
        inside.append("in")
        yield
        inside.append("out")

    def call():
        clock.time += 1
        assert inside == ["in"]

    bout(Candidate("x", "fake", "flops", 1, lambda: call, 0, scope), HostStopwatch(clock), PROTOCOL)
    assert inside == ["in", "out"]


def test_the_fastest_wins_and_is_measured_again_alone():
    clock = FakeClock()
    rivals = [kernel(clock, str(n), 1.0 / n, amount=2) for n in (3, 1, 5, 2, 4)]
    outcome = tournament({"g": rivals}, bench(clock))
    winner = outcome.winners["g"]
    assert winner.candidate.name == "5"
    assert len(winner.selecting) == 2
    assert len(winner.confirmed) == 3
    assert winner.rates(0.5) == pytest.approx((10.0, 10.0, 10.0))
    assert not winner.contended
    assert describe(winner, 0.5) == "fake 5; 3 bouts of 3 trains, 50th percentile"


def test_a_lucky_first_bout_does_not_make_the_roof():
    clock = FakeClock()
    times = iter([0.1] * 4)  # one fast bout, then always slow
    lucky = kernel(clock, "lucky", lambda: next(times, 1.0))
    outcome = tournament({"g": [lucky, kernel(clock, "steady", 0.9)]}, bench(clock))
    winner = outcome.winners["g"]
    assert winner.rates(0.5) == pytest.approx((1 / 1.0,) * 3)


def test_rounds_start_at_least_a_second_apart():
    clock, log = FakeClock(), []
    tournament({"g": [kernel(clock, "a", 0.01, log)]}, bench(clock))
    starts = [time for time, _ in log][::4]
    assert all(b - a >= 1.0 - 1e-9 for a, b in pairwise(starts))
    assert len(starts) == 5


def test_candidates_of_all_groups_are_interleaved_in_a_seeded_order():
    def order(seed):
        clock, log = FakeClock(), []
        groups = {g: [kernel(clock, f"{g}{n}", 1.0, log) for n in range(4)] for g in "ab"}
        tournament(groups, bench(clock, protocol=Protocol(seed=seed, keep=(1,), extra=0)))
        return [name for _, name in log][::4][:8]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1) != sorted(order(1))
    assert sorted(order(1)) == sorted(order(2))


def test_bouts_that_differ_are_contended_and_measured_some_more():
    clock, times = FakeClock(), cycle([1.0] * 4 + [2.0] * 4)  # every other bout is slow
    slow = kernel(clock, "a", lambda: next(times))
    calm = kernel(clock, "b", 1.0)
    outcome = tournament({"slow": [slow], "calm": [calm]}, bench(clock))
    assert outcome.winners["slow"].contended
    assert len(outcome.winners["slow"].confirmed) == 5
    assert not outcome.winners["calm"].contended
    assert len(outcome.winners["calm"].confirmed) == 3


def test_a_spread_of_a_tenth_is_the_limit():
    for seconds, contended in [(1.09, False), (1.11, True)]:
        result = Result(kernel(FakeClock(), "a", 1.0))
        result.confirmed = [Samples((1.0,)), Samples((seconds,))]
        assert result.contended is contended


@pytest.mark.parametrize("error", [RuntimeError("no kernel\nstack"), AttributeError("no kernel")])
def test_what_cannot_run_is_named_and_left_out(error):
    clock = FakeClock()

    def fail():
        raise error

    broken = Candidate("broken", "fake", "flops", 1, fail)
    groups = {"g": [broken, kernel(clock, "a", 1.0)], "nothing": [broken], "empty": []}
    outcome = tournament(groups, bench(clock))
    assert set(outcome.winners) == {"g"}
    assert outcome.winners["g"].candidate.name == "a"
    assert outcome.unable == {"fake broken": "no kernel"}


def test_a_mistake_in_a_kernel_is_not_hidden():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tournament({"g": [Candidate("a", "fake", "flops", 1, fail)]}, bench(FakeClock()))


def test_the_deadline_ends_the_rounds_but_every_group_is_measured_once():
    clock = FakeClock()
    groups = {g: [kernel(clock, f"{g}{n}", 1.0) for n in range(3)] for g in "abc"}
    outcome = tournament(groups, bench(clock, deadline=2.0))
    assert set(outcome.winners) == {"a", "b", "c"}
    assert clock.time == 3 * 4
    assert all(len(result.bouts) == 1 for result in outcome.winners.values())


def test_progress_is_told():
    clock, said = FakeClock(), []
    tournament({"g": [kernel(clock, "a", 1.0)]}, bench(clock, progress=said.append))
    assert said[0] == "round 1, 1 of 1: fake a"
    assert len(said) == 5


def test_selecting_bouts_are_shorter_than_those_that_count():
    clock = FakeClock()
    protocol = Protocol(train_seconds=0.0, select_seconds=5.0, bout_seconds=10.0)
    winner = tournament({"g": [kernel(clock, "a", 1.0)]}, bench(clock, protocol=protocol))
    result = winner.winners["g"]
    assert [len(samples.seconds) for samples in result.selecting] == [5, 5]
    assert [len(samples.seconds) for samples in result.confirmed] == [10, 10, 10]


def test_every_bout_counts_where_time_was_too_short_to_confirm():
    slow, fast = Samples((2.0,)), Samples((1.0,))
    result = Result(kernel(FakeClock(), "a", 1.0), [fast], [slow], complete=2)
    assert result.rates(0.5) == (1.0, 0.5)
    result.confirmed.append(slow)
    assert result.rates(0.5) == (0.5, 0.5)


def test_what_others_had_of_the_cores_is_summed_over_the_bouts():
    clock = FakeClock()
    protocol = Protocol(train_seconds=0.0, bout_seconds=0.0, extra=0)
    outcome = tournament(
        {"g": [kernel(clock, "a", 0.5)]},
        bench(clock, protocol=protocol, others=lambda: 0.25 * clock.time, cores=2),
    )
    result = outcome.winners["g"]
    assert len(result.spans) == 5
    assert result.others_share(2) == pytest.approx(0.125)
    assert result.others_share(1) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("length", "taken", "share"),
    [
        (1.0, 0.3, 0.15),
        (1.0, -0.3, 0.0),  # the grain of the counters
        (1.0, None, None),
        (0.09, 0.05, None),  # too short for counters of hundredths of a second
    ],
)
def test_the_share_of_others_is_told_where_it_can_be(length, taken, share):
    result = Result(kernel(FakeClock(), "a", 1.0))
    assert result.others_share(2) is None
    result.ran(5.0, 5.0 + length, taken)
    assert result.others_share(2) == (None if share is None else pytest.approx(share))


def test_the_grain_of_the_counters_cancels_out():
    result = Result(kernel(FakeClock(), "a", 1.0))
    for number in range(10):
        result.ran(number, number + 0.1, 0.01 if number % 2 else -0.01)
    assert result.others_share(1) == pytest.approx(0.0)


def test_the_outcome_so_far_is_told_after_each_confirming_round():
    clock, told = FakeClock(), []

    def checkpoint(outcome):
        told.append((set(outcome.winners), len(outcome.winners["g"].confirmed)))

    tournament({"g": [kernel(clock, "a", 1.0)]}, bench(clock, checkpoint=checkpoint))
    assert told == [({"g"}, 1), ({"g"}, 2), ({"g"}, 3)]


def test_selection_leaves_time_to_confirm():
    clock = FakeClock()
    rivals = [kernel(clock, str(n), 1.0) for n in range(100)]
    outcome = tournament({"g": rivals}, bench(clock, deadline=100.0))
    assert outcome.untried == 100 - 15  # 60 s of bouts of 4 s
    assert len(outcome.ranked["g"]) == 15
    assert len(outcome.winners["g"].confirmed) == 3
    assert clock.time < 100.0
    assert tournament({"g": rivals}, bench(clock)).untried == 0


def test_the_ranking_is_that_of_the_first_bouts():
    clock = FakeClock()
    times = {"slow": 4.0, "fast": 1.0, "middle": 2.0}
    rivals = [kernel(clock, name, seconds) for name, seconds in times.items()]
    outcome = tournament({"g": rivals, "empty": []}, bench(clock))
    assert [c.name for c in outcome.ranked["g"]] == ["fast", "middle", "slow"]


def test_where_time_is_short_the_first_of_each_group_have_had_their_turn():
    clock, log = FakeClock(), []
    groups = {g: [kernel(clock, f"{g}{n}", 1.0, log) for n in range(8)] for g in "abc"}
    tournament(groups, bench(clock, deadline=80.0))  # 48 s of bouts of 4 s
    assert {name for _, name in log} == {f"{g}{n}" for g in "abc" for n in range(4)}


def test_what_is_far_below_the_best_is_not_timed_again_to_be_sure():
    clock, log = FakeClock(), []
    rivals = [kernel(clock, "best", 1.0, log), kernel(clock, "hopeless", 5.0, log)]
    outcome = tournament({"g": rivals}, bench(clock, protocol=Protocol(keep=(1,), seed=0)))
    assert log[0][1] == "best"
    assert [name for _, name in log].count("hopeless") == 2  # to warm up, and once
    assert [c.name for c in outcome.ranked["g"]] == ["best", "hopeless"]
    short = Protocol(train_seconds=0.0, bout_seconds=0.0)
    assert len(bout(rivals[1], HostStopwatch(clock), short, 6.0, hopeless=0.25).seconds) == 3
    assert len(bout(rivals[1], HostStopwatch(clock), short, 4.0, hopeless=0.25).seconds) == 1
    assert len(bout(rivals[1], HostStopwatch(clock), short, 4.0, hopeless=0.19).seconds) == 3
