"""OpenTelemetry spans that Megatron-LM flags `is_goodput_span`: JSON lines or an OTLP file.

Spans of training that hold several steps (`train`, one a save interval, with the first and the last
iteration) are taken for as many of equal length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from goodput.events import wire
from goodput.events.wire import Entry

FLAG = "is_goodput_span"
_STEP_KEYS = ("iteration", "step", "start_iteration")
_END_KEYS = ("end_iteration", "last_iteration")
_KINDS = (
    ("load_checkpoint", wire.CHECKPOINT_LOAD),
    ("checkpoint.load", wire.CHECKPOINT_LOAD),
    ("checkpoint.save", wire.CHECKPOINT_SAVE),
    ("save_checkpoint", wire.CHECKPOINT_SAVE),
    ("evaluate", wire.EVALUATION),
    ("compile", wire.COMPILE),
    ("startup", wire.INITIALISATION),
    ("pre_startup", wire.INITIALISATION),
    ("train", wire.STEP),
)


def is_one(entry: dict[str, Any]) -> bool:
    """Whether `entry` is an OpenTelemetry span, or a batch of them."""
    return "resourceSpans" in entry or (_start(entry) is not None and "name" in entry)


def entries(found: Iterable[dict[str, Any]]) -> Iterator[Entry]:
    """The entries of a ledger, by their ends, as a writer would have told them."""
    spans = [span for entry in found for span in _spans(entry) if _is_flagged(span)]
    spans.sort(key=lambda span: (int(_end(span) or 0), -int(_start(span) or 0)))
    if not spans:
        return
    yield Entry(wire.OPEN, time_ns=min(int(_start(span) or 0) for span in spans))
    for span in spans:
        yield from _entry(span)


def _entry(span: dict[str, Any]) -> Iterator[Entry]:
    name, start, end = str(span["name"]), int(_start(span) or 0), _end(span)
    event = next((kind for prefix, kind in _KINDS if name.startswith(prefix)), wire.CUSTOM)
    attributes = _attributes(span)
    step = _integer(attributes, _STEP_KEYS)
    if event == wire.STEP and end is not None:
        last = _integer(attributes, _END_KEYS)
        if step is not None:
            yield from _steps(step, step if last is None else last, start, int(end))
        return
    ok = str(span.get("status", {}).get("code", "")) not in {"2", "STATUS_CODE_ERROR", "ERROR"}
    # A parent (checkpoint.save) and its parts (checkpoint.save.io_write) claim the time once.
    yield Entry(
        event,
        start_ns=start,
        end_ns=None if end is None else int(end),
        step=step,
        ok=ok,
        name=name if event == wire.CUSTOM else "",
    )


def _steps(first: int, last: int, start: int, end: int) -> Iterator[Entry]:
    count = max(last - first + 1, 1)
    for place in range(count):
        low, high = (start + (end - start) * at // count for at in (place, place + 1))
        yield Entry(wire.STEP, start_ns=low, end_ns=high, step=first + place)


def _spans(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in entry.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            yield from scope.get("spans", ())
    if "resourceSpans" not in entry:
        yield entry


def _start(span: dict[str, Any]) -> Any:
    return span.get("startTimeUnixNano", span.get("start_time_unix_nano"))


def _end(span: dict[str, Any]) -> Any:
    return span.get("endTimeUnixNano", span.get("end_time_unix_nano"))


def _attributes(span: dict[str, Any]) -> dict[str, Any]:
    """The attributes by name; OTLP has a list of keys and typed values."""
    found = span.get("attributes", {})
    if isinstance(found, dict):
        return found
    return {each["key"]: next(iter(each.get("value", {}).values()), None) for each in found}


def _is_flagged(span: dict[str, Any]) -> bool:
    return str(_attributes(span).get(FLAG, "")).lower() in {"true", "1"}


def _integer(attributes: dict[str, Any], names: Iterable[str]) -> int | None:
    found = (attributes[name] for name in names if name in attributes)
    value = next(found, None)
    return None if value is None else int(value)
