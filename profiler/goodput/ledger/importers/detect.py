"""Which format a file has, by its content, and its entries whatever that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from goodput.errors import UsageError
from goodput.events.wire import Entry
from goodput.ledger.collect import Collector
from goodput.ledger.importers import google, logs, resiliency, sacct, spans
from goodput.ledger.read import RANK_IN_NAME, read
from goodput.ledger.sessions import Session

LEDGER = "ledger"
_JSON: dict[str, tuple[Callable[[dict[str, Any]], bool], Callable[..., Iterator[Entry]]]] = {
    "ml-goodput-measurement": (google.is_one, google.entries),
    "resiliency": (resiliency.is_one, resiliency.entries),
    "otel": (spans.is_one, spans.entries),
}
SOURCES = (LEDGER, *_JSON, "sacct", *logs.TRAINERS)
"""What a file may be of."""
_HEAD = 1 << 16


def sessions_of(file: Path, source: str | None = None, pattern: str | None = None) -> list[Session]:
    """The sessions in `file`, of the format `source` or of the one that its content shows.

    Args:
        file: to be read.
        source: one of `SOURCES`; None to look.
        pattern: a regular expression of a step, for a log of another trainer.

    Raises:
        UsageError: it is of no format that goodput reads.
    """
    kind = source or ("" if pattern else _kind(file))
    if kind == LEDGER:
        return read(file)
    collector = Collector(str(file), RANK_IN_NAME.sub("", file.stem))
    try:
        collector.add(list(_entries(file, kind, pattern)))
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is no whole file of {kind or 'that pattern'}: {error}") from error
    found = collector.sessions()
    if not found:
        raise UsageError(
            f"{file} holds nothing that {kind or 'the pattern'} finds; --from says what it is of: "
            + ", ".join(SOURCES)
        )
    return found


def _entries(file: Path, kind: str, pattern: str | None) -> Iterator[Entry]:
    if kind in _JSON:
        yield from _JSON[kind][1](_objects(file))
        return
    with file.open(encoding="utf-8", errors="replace") as lines:
        if kind == "sacct":
            yield from sacct.entries(lines)
        else:
            chosen = logs.custom(pattern) if pattern else logs.TRAINERS[kind]
            yield from logs.entries(lines, chosen)


def _kind(file: Path) -> str:
    """The format of `file` by its beginning: a ledger where nothing else shows."""
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    text = head.decode(errors="replace")
    if sacct.is_one(text.partition("\n")[0]):
        return "sacct"
    first = next(iter(_objects_in(head, whole=len(head) < _HEAD)), None)
    if first is not None:
        return next((name for name, (is_one, _) in _JSON.items() if is_one(first)), LEDGER)
    lines = text.splitlines()
    for name, patterns in logs.TRAINERS.items():
        if any(pattern.expression.search(line) for line in lines for pattern in patterns):
            return name
    return LEDGER


def _objects(file: Path) -> Iterable[dict[str, Any]]:
    return _objects_in(file.read_bytes(), whole=True)


def _objects_in(content: bytes, *, whole: bool) -> list[dict[str, Any]]:
    """The JSON objects of a list, of one object, or of lines; a line that is none is left out."""
    stripped = content.lstrip()
    if whole and stripped.startswith((b"[", b"{")):
        try:
            found = msgspec.json.decode(stripped)
        except msgspec.DecodeError:
            pass
        else:
            return [each for each in (found if isinstance(found, list) else [found]) if each]
    objects = []
    for line in content.splitlines():
        try:
            decoded = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if isinstance(decoded, dict):
            objects.append(decoded)
    return objects
