"""Entries of ml-goodput-measurement (`GoodputRecorder`), as JSON lines or a list of log entries.

It writes only the starts of steps: a step lasts until the next one starts or, the last, until the
job's end. A step number that comes again begins a new life of the job, and so does a job start. It
tells no checkpoints: what a life did before the step that the next one begins with was kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from goodput.events import wire
from goodput.events.wire import Entry
from goodput.ledger.importers.times import nanoseconds

_PAIRS = {
    "tpu_init": (wire.INITIALISATION, ""),
    "training_prep": (wire.CUSTOM, "training preparation"),
    "data_loading": (wire.DATA_WAIT, ""),
    "custom_badput_event": (wire.CUSTOM, ""),
}
_STEP, _COUNT = "step_start_time", "step_count"
_JOB_START, _JOB_END = "job_start_time", "job_end_time"


def is_one(entry: dict[str, Any]) -> bool:
    """Whether `entry` is of ml-goodput-measurement."""
    found = _payload(entry)
    return "job_name" in found and any(key.endswith(("_start_time", "_end_time")) for key in found)


def entries(found: Iterable[dict[str, Any]]) -> Iterator[Entry]:
    """The entries of a ledger, in the order in which the log has them."""
    open_pairs: dict[str, int] = {}
    step: tuple[int, int] | None = None
    reached = -1
    begun = False
    for payload in map(_payload, found):
        if _JOB_START in payload:
            start = nanoseconds(payload[_JOB_START])
            yield from _cut(step)
            step, open_pairs = None, {}
            yield Entry(wire.OPEN, time_ns=start, job=str(payload.get("job_name", "")))
            begun = True
        elif _STEP in payload:
            at, number = nanoseconds(payload[_STEP]), int(payload[_COUNT])
            if step is not None:
                yield Entry(wire.STEP, start_ns=step[1], end_ns=at, step=step[0])
            if not begun or (number <= reached and step is not None):
                yield Entry(wire.OPEN, time_ns=at, job=str(payload.get("job_name", "")))
                begun = True
            step, reached = (number, at), number
        elif _JOB_END in payload:
            end = nanoseconds(payload[_JOB_END])
            if step is not None:
                yield Entry(wire.STEP, start_ns=step[1], end_ns=end, step=step[0])
                step = None
            yield Entry(wire.JOB_END, time_ns=end, clean=True)
        else:
            yield from _pair(payload, open_pairs)
    yield from _cut(step)


def _cut(step: tuple[int, int] | None) -> Iterator[Entry]:
    """A last step that nothing ended."""
    if step is not None:
        yield Entry(wire.STEP, start_ns=step[1], step=step[0])


def _pair(payload: dict[str, Any], started: dict[str, int]) -> Iterator[Entry]:
    """Half of a span: its start is kept until its end comes."""
    for prefix, (event, name) in _PAIRS.items():
        if f"{prefix}_start_time" in payload:
            started[prefix] = nanoseconds(payload[f"{prefix}_start_time"])
        elif f"{prefix}_end_time" in payload and prefix in started:
            own = name or str(payload.get(f"{prefix}_type", ""))
            end = nanoseconds(payload[f"{prefix}_end_time"])
            yield Entry(event, start_ns=started.pop(prefix), end_ns=end, name=own)


def _payload(entry: dict[str, Any]) -> dict[str, Any]:
    """What was written, without what a log service puts around it."""
    inner = entry.get("jsonPayload", entry.get("payload", entry))
    return inner if isinstance(inner, dict) else entry
