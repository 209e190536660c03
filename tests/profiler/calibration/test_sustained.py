"""Sustained rates on a clock that only the kernel moves: the settled part counts."""

import pytest

from goodput.calibration.sustained import COUNTED, WINDOW_SECONDS, sustain
from goodput.measure.bouts import Bench, Protocol
from goodput.measure.clock import HostStopwatch
from goodput_kernels.candidate import Candidate


class FakeClock:
    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time


def sustained(seconds, seconds_of_call, others=lambda: None, cores=1):
    """What `sustain` finds of a call that takes `seconds_of_call(now)`."""
    clock, said = FakeClock(), []

    def call():
        clock.time += seconds_of_call(clock.time)

    candidate = Candidate("mm", "fake", "flops", 10, lambda: call)
    watch = HostStopwatch(clock)
    bench = Bench(clock, watch, Protocol(), progress=said.append, others=others, cores=cores)
    return sustain(candidate, seconds, bench), said


def test_only_the_settled_part_counts():
    # Fast until the power limit bites, a quarter of the way in.
    result, said = sustained(4.0, lambda now: 0.001 if now < 1.0 else 0.002)
    (settled,) = result.confirmed
    assert {round(s, 9) for s in settled.seconds} == {0.002}
    assert result.rates(0.5) == pytest.approx((10 / 0.002,))
    assert said == ["sustained, 4 s: fake mm"]


def test_windows_are_a_tenth_of_a_second_back_to_back():
    result, _ = sustained(4.0, lambda _: 0.001)
    (settled,) = result.confirmed
    assert len(settled.seconds) == pytest.approx(COUNTED * 4.0 / WINDOW_SECONDS, abs=2)
    ((start, end),) = result.spans
    assert end - start == pytest.approx(4.0, abs=0.2)


def test_a_call_longer_than_all_the_time_is_one_window():
    result, _ = sustained(1.0, lambda _: 7.0)
    assert result.confirmed[0].seconds == (7.0,)


def test_what_others_had_meanwhile_is_kept():
    clocked = iter([3.0, 5.0])
    result, _ = sustained(4.0, lambda _: 0.001, others=lambda: next(clocked), cores=2)
    assert result.taken == pytest.approx(2.0)
    assert result.others_share(2) == pytest.approx(2.0 / 8.0, rel=0.05)
    assert sustained(4.0, lambda _: 0.001)[0].others_share(2) is None
