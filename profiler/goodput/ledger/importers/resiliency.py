"""Events of AI-Hypercomputer/resiliency's `goodput_measure`: jobs and checkpoints, and no steps.

What lies between two checkpoints of one life is taken for as many steps of equal length as their
numbers say; what follows the last checkpoint of a life is `unattributed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from goodput.events import wire
from goodput.events.wire import Entry
from goodput.ledger.importers.times import nanoseconds

_STARTED, _ENDED = "job_started", "job_terminated"
_LOADED, _SAVED = "checkpoint_loaded", "checkpoint_saved"
_TYPES = (_STARTED, _ENDED, _LOADED, _SAVED)


def is_one(entry: dict[str, Any]) -> bool:
    """Whether `entry` is such an event."""
    return _type(entry) in _TYPES


def entries(found: Iterable[dict[str, Any]]) -> Iterator[Entry]:
    """The entries of a ledger."""
    last: tuple[int, int] | None = None
    for event in found:
        kind, at = _type(event), nanoseconds(_value(event, "timestamp", "event_timestamp", "time"))
        end = at
        if kind in {_LOADED, _SAVED}:
            step = int(str(_value(event, "step")))
            length = _value(event, "duration", "duration_seconds", otherwise=0)
            start = at - nanoseconds(length)
            if kind == _SAVED and last is not None:
                yield from _steps(last, (step, start))
            event_kind = wire.CHECKPOINT_SAVE if kind == _SAVED else wire.CHECKPOINT_LOAD
            yield Entry(event_kind, start_ns=start, end_ns=end, step=step)
            last = (step, end)
        elif kind == _STARTED:
            yield Entry(wire.OPEN, time_ns=at, job=str(event.get("job_name", "")))
            last = (0, at)
        elif kind == _ENDED:
            # It is written by a signal handler, too: nothing beyond the checkpoints is proven.
            yield Entry(wire.JOB_END, time_ns=at, clean=False)
            last = None


def _steps(since: tuple[int, int], until: tuple[int, int]) -> Iterator[Entry]:
    (first, start), (last, end) = since, until
    count = last - first
    if count <= 0:
        return
    edges = [start + (end - start) * place // count for place in range(count + 1)]
    for place in range(count):
        yield Entry(
            wire.STEP, start_ns=edges[place], end_ns=edges[place + 1], step=first + place + 1
        )


def _type(event: dict[str, Any]) -> str:
    return str(_value(event, "event_type", "event", "type", "name", otherwise=""))


def _value(event: dict[str, Any], *names: str, otherwise: object = None) -> object:
    return next((event[name] for name in names if name in event), otherwise)
