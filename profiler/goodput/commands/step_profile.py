"""Where a step's seconds go, operator by operator, in a session of its own. Judges nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from goodput.commands.streams import tell
from goodput.frontends.timed_case import Profile
from goodput.measure.anchored import CPU, share_of
from goodput.measure.statistics import quantile
from goodput.recording.session import Session
from goodput.report.per_step import seconds_by_step
from goodput.trace.recording import Recording

_STEPS = 12
"""One is counted, one is timed, the others are profiled."""


def profiled_step(framework: str, step: Callable[[], None]) -> Profile:
    """Where the seconds of `step` go; nothing, and a line on stderr, where that cannot be had."""
    session = Session(1, 0, lambda _recording, _error: None, tell, framework)
    with session:
        for _ in range(_STEPS):
            step()
            session.step()
    recording = session.recording
    return Profile() if recording is None else profile_of(recording)


def profile_of(recording: Recording) -> Profile:
    """What the profiled steps of a recording tell; of a contended CPU its undisturbed ones."""
    trace = recording.trace
    kind = trace.device.kind if trace.device else ""
    operators = {
        " ".join(filter(None, key)): quantile(seconds, share_of(kind))
        for key, seconds in seconds_by_step(trace).items()
    }
    return Profile(operators, None if kind in {"", CPU} else _launches(recording))


def _launches(recording: Recording) -> float | None:
    """The median over steps of the kernels that are launched; None without profiled steps."""
    trace = recording.trace
    if not trace.steps:
        return None
    table = trace.invocations
    kernels = np.bincount(table.step, table.kernels, minlength=len(trace.steps))
    return float(np.median(kernels))
