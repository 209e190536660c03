"""What was measured as a recording: a counted or a timed step is enough for one."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")

from goodput.device import DeviceIdentity
from goodput.frontends.measured import Measured
from goodput.frontends.step_instruments import PassResults
from goodput.recording.assemble import recording_of, tokens_of
from goodput.report.build import build
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.work import Work

CPU, GPU = DeviceIdentity("cpu", "a CPU"), DeviceIdentity("cuda", "a GPU")
COUNTED = WorkPass((WorkEntry("aten::mm", "forward", "", "", "float32", Work(flops=10)),))


def measured(device=CPU, **results):
    return Measured(PassResults(**{"steps_seen": 4, **results}), None, device)


def recorded(found, **options):
    recording, reason = recording_of(found, "train.py", "2026-01-01", **options)
    assert (recording is None) == bool(reason)
    return recording, reason


@pytest.mark.parametrize(
    "results", [{"work": COUNTED}, {"wall_seconds": (0.1,)}, {"work": COUNTED, "steps_seen": 1}]
)
def test_a_counted_or_a_timed_step_makes_a_recording_and_a_report(results):
    recording, _ = recorded(measured(**results))
    assert recording is not None
    assert recording.trace.steps == ()
    assert recording.wall_seconds == results.get("wall_seconds", ())
    assert build(recording, None).coverage.untimed


@pytest.mark.parametrize(("seen", "told"), [(0, "no step was seen"), (1, "no whole step")])
def test_nothing_measured_is_one_sentence_with_what_to_do(seen, told):
    recording, reason = recorded(measured(steps_seen=seen))
    assert recording is None
    assert told in reason
    assert "--steps" in reason
    assert "\n" not in reason


def test_what_was_asked_for_is_remembered():
    recording, _ = recorded(measured(work=COUNTED), count_only=True)
    assert recording is not None
    assert recording.count_only
    assert "--count-only" in build(recording, None).coverage.untimed


def test_the_hosts_clock_tells_no_step_of_a_gpu():
    found = measured(GPU, work=COUNTED, wall_seconds=(0.1, 0.1), basis="host")
    recording, _ = recorded(found)
    assert recording is not None
    assert recording.wall_seconds == ()
    assert "queued" in recording.warnings[-1]
    by_events, _ = recorded(replace(found, results=replace(found.results, basis="event")))
    assert by_events is not None
    assert by_events.wall_seconds == (0.1, 0.1)
    assert by_events.warnings == ()


def test_tokens_are_the_rows_that_the_first_embedding_looked_up():
    lookup = WorkEntry("aten::embedding", "forward", "token", "f32[9,4] i64[8,16]", "", None)
    assert tokens_of(WorkPass((lookup,))) == 128
    assert tokens_of(WorkPass(())) is None
