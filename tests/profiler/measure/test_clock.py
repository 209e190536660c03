"""The real clock and the host stopwatch, without waiting."""

from datetime import datetime

from goodput.measure.clock import HostClock, HostStopwatch


def test_the_host_clock_goes_forward():
    clock = HostClock()
    first = clock.now()
    clock.sleep(0)
    assert clock.now() >= first
    assert datetime.fromisoformat(clock.date()).timestamp() <= clock.epoch() + 1


def test_the_stopwatch_runs_the_train_once_between_two_readings():
    class Steps:
        def __init__(self):
            self.value = 0.0

        def now(self):
            return self.value

    clock, order = Steps(), []

    def call(name):
        def run():
            order.append(name)
            clock.value += 2.0

        return run

    assert HostStopwatch(clock).seconds([call("a"), call("b")]) == 4.0
    assert order == ["a", "b"]
