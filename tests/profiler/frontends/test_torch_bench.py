"""The event stopwatch, on a device that only notes what is asked of it."""

import pytest

torch = pytest.importorskip("torch", reason="the stopwatch is torch's")

from goodput.frontends.torch_bench import EventStopwatch  # noqa: E402 - after the skip


@pytest.fixture
def asked(monkeypatch):
    """What was asked of the device, in order."""
    log = []

    class Event:
        def __init__(self, *, enable_timing):
            assert enable_timing

        def record(self):
            log.append("event")

        def synchronize(self):
            log.append("wait")

        def elapsed_time(self, other):
            assert other is not self
            return 12.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("idle"))
    monkeypatch.setattr(torch.cuda, "_sleep", log.append)
    return log


def test_a_train_runs_behind_a_gate_between_two_events(asked):
    assert EventStopwatch().seconds([lambda: asked.append("call")] * 2) == 0.012
    assert asked == ["idle", 80_000, "event", "call", "call", "event", "wait"]


def test_the_gate_is_never_long(asked):
    EventStopwatch().seconds([lambda: None] * 100_000)
    assert asked[1] == 40_000_000


def test_without_a_gate_it_still_times(asked, monkeypatch):
    monkeypatch.delattr(torch.cuda, "_sleep")
    assert EventStopwatch().seconds([lambda: None]) == 0.012
    assert asked == ["idle", "event", "event", "wait"]
