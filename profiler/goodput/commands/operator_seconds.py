"""Where a step's seconds go, operator by operator, in a session of its own. Judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from goodput.commands.streams import tell
from goodput.measure.anchored import share_of
from goodput.measure.statistics import quantile
from goodput.recording.session import Session
from goodput.report.per_step import seconds_by_step
from goodput.trace.recording import Recording

_STEPS = 12
"""One is counted, one is timed, the others are profiled."""


def operator_seconds(framework: str, step: Callable[[], None]) -> Mapping[str, float]:
    """Seconds of the operators of `step`; none, and a line on stderr, where they are not had."""
    session = Session(1, 0, lambda _recording, _error: None, tell, framework)
    with session:
        for _ in range(_STEPS):
            step()
            session.step()
    recording = session.recording
    return {} if recording is None else seconds_by_operator(recording)


def seconds_by_operator(recording: Recording) -> dict[str, float]:
    """Seconds of a step by `operator phase mode`, as its own are told: of the undisturbed steps."""
    device = recording.trace.device
    share = share_of(device.kind if device else "")
    return {
        " ".join(filter(None, key)): quantile(seconds, share)
        for key, seconds in seconds_by_step(recording.trace).items()
    }
