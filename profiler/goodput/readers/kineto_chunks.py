"""A torch.profiler file as batches of typed events, a few megabytes of text at a time.

Keeps no event beyond its batch and knows nothing of operators. What it must cope with: gzip under
any name, one event over many lines, a bare list of events, an empty `{}` among them, control
characters and `inf` where JSON has none, numbers written as strings, and files that end too early.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from goodput.errors import TraceFormatError, UsageError

CHUNK_BYTES = 8 * 2**20
_GZIP_MAGIC = b"\x1f\x8b"
_KEYS = rb"ph|name|cat|pid|tid|ts|dur|args|id|bp|s"
# Between two events; inside a string the quote would be escaped, and a cut inside a nested list is
# seen because the text before it does not parse.
_BREAK = re.compile(rb'\}(\s*,\s*)\{\s*"(?:' + _KEYS + rb')"\s*:')
_BREAK_SEARCH_BYTES = 2**16
_EVENTS_KEY = re.compile(rb'"traceEvents"\s*:\s*\[')
_HEAD_LIMIT_BYTES = 8 * CHUNK_BYTES
_NOT_JSON = re.compile(rb":\s*[-+]?(?:inf|nan|infinity)\b", re.IGNORECASE)
_CONTROL = bytes(range(32))
_NO_CONTROL = bytes.maketrans(_CONTROL, b" " * len(_CONTROL))
_SPACE = b" \t\r\n"
_SPACES = re.compile(r"[\s,]*")
# Nothing that long is one event: it is damage, and reading on for its end would take all memory.
_LONGEST_EVENT_BYTES = 32 * 2**20
_NOTHING = msgspec.Raw(b"")


class Args(msgspec.Struct, gc=False):
    """The arguments of an event that goodput reads; lists stay text until their first use."""

    external: int = msgspec.field(name="External id", default=-1)
    correlation: int = msgspec.field(name="correlation", default=-1)
    sequence: int = msgspec.field(name="Sequence number", default=-1)
    forward_thread: int = msgspec.field(name="Fwd thread id", default=0)
    device: int = -1
    dims: msgspec.Raw = msgspec.field(name="Input Dims", default=_NOTHING)
    types: msgspec.Raw = msgspec.field(name="Input type", default=_NOTHING)
    concrete: msgspec.Raw = msgspec.field(name="Concrete Inputs", default=_NOTHING)
    strides: msgspec.Raw = msgspec.field(name="Input Strides", default=_NOTHING)
    fqn: str = ""


class Event(msgspec.Struct, gc=False):
    """One event of the Chrome trace format; times in microseconds, as in the file.

    A missing time is NaN; a host event without an end takes no time.
    """

    ph: str = ""
    cat: str = ""
    name: str = ""
    pid: int | float | str | None = None
    tid: int | float | str | None = None
    ts: float = math.nan
    dur: float = math.nan
    args: msgspec.Raw = _NOTHING


_NO_ARGS = Args()
_ARGS_DECODER = msgspec.json.Decoder(Args)
_LAX_ARGS_DECODER = msgspec.json.Decoder(Args, strict=False)
_DECODER = msgspec.json.Decoder(list[Event])
_SCANNER = json.JSONDecoder(strict=False)


def arguments(event: Event) -> Args:
    """The arguments of an event; most events' are never looked at, so they wait as text.

    Raises:
        TraceFormatError: they are none that the profiler writes.
    """
    if not event.args:
        return _NO_ARGS
    try:
        return _ARGS_DECODER.decode(event.args)
    except msgspec.DecodeError:
        pass
    try:
        found = _SCANNER.decode(bytes(event.args).decode("utf-8", "replace"))
        plain = {} if found is None else _without_nulls(found)
        return _LAX_ARGS_DECODER.decode(msgspec.json.encode(plain))
    except (ValueError, AttributeError) as error:
        raise TraceFormatError(
            f"the arguments of {event.name} at {event.ts} us are none that torch.profiler writes "
            f"({error}); export the trace again"
        ) from error


class TraceFile:
    """One file: iterate `batches()` to its end, then `head` holds what is beside the events."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head: dict[str, Any] = {}
        self._count = 0

    def batches(self, chunk_bytes: int = CHUNK_BYTES) -> Iterator[list[Event]]:
        """The events, in batches of about `chunk_bytes` of text.

        Raises:
            UsageError: the file cannot be opened.
            TraceFormatError: it is empty, cut off, damaged, or no trace at all.
        """
        try:
            with _opened(self.path) as stream:
                yield from self._events(_Text(stream, chunk_bytes))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._cut_off(f"its gzip data ends early or is damaged ({error})") from error
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be read ({error.strerror or error}); "
                "check the path and its permissions"
            ) from error

    def _events(self, text: _Text) -> Iterator[list[Event]]:
        is_list = self._enter(text)
        ended = False
        while not ended:
            more = text.read()
            events, ended = self._batch(text, last=not more)
            self._count += len(events)
            yield events
        self._leave(text, is_list=is_list)

    def _enter(self, text: _Text) -> bool:
        """Moves `text` to the first event; whether the file is a bare list."""
        text.read()
        text.drop(len(text.held) - len(text.held.lstrip(_SPACE + b"\xef\xbb\xbf")))
        if not text.held:
            raise TraceFormatError(
                f"{self.path} is empty; the program may have ended before the profiler wrote it"
            )
        if text.held.startswith(b"["):
            text.drop(1)
            return True
        if not text.held.startswith(b"{"):
            raise self._no_trace(text.held)
        match = _EVENTS_KEY.search(text.held)
        while match is None and len(text.held) < _HEAD_LIMIT_BYTES and text.read():
            match = _EVENTS_KEY.search(text.held)
        if match is None:
            raise self._no_trace(text.held)
        self._read_head(text.held[: match.start()].rstrip(_SPACE).removesuffix(b",") + b"}")
        text.drop(match.end())
        return False

    def _no_trace(self, held: bytes) -> TraceFormatError:
        json_like = held.startswith(b"{")
        why = "it has no traceEvents list" if json_like else "it is not JSON"
        if json_like and not held.rstrip(_SPACE).endswith(b"}"):
            why = "it is cut off before its events, or has no traceEvents list"
        return TraceFormatError(
            f"{self.path} is not a trace: {why}; give the file that "
            "torch.profiler's export_chrome_trace wrote"
        )

    def _read_head(self, text: bytes) -> None:
        try:
            found = _SCANNER.decode(text.decode("utf-8", "replace"))
        except ValueError as error:
            raise self._cut_off("what surrounds its events is not whole JSON") from error
        self.head.update(found)

    def _batch(self, text: _Text, *, last: bool) -> tuple[list[Event], bool]:
        """The next whole events, and whether their list has ended."""
        place = _last_break(text.held)
        if place is None:
            return self._scanned(text, len(text.held)) if last else ([], False)
        until, after = place
        events = _decoded(text.held[:until])
        if events is not None:
            text.drop(after)
            return events, False
        events, ended = self._scanned(text, until)
        if last and not events and not ended:
            return self._scanned(text, len(text.held))
        return events, ended

    def _scanned(self, text: _Text, until: int) -> tuple[list[Event], bool]:
        """As `_batch`, event by event: slow, but it finds the end of the list and any damage."""
        until = text.make_plain(until)
        whole = text.held[:until].decode()
        complete = until == len(text.held) or until > _LONGEST_EVENT_BYTES
        events: list[Event] = []
        at = _after_spaces(whole, 0)
        while at < len(whole) and whole[at] != "]":
            try:
                found, end = _SCANNER.raw_decode(whole, at)
            except ValueError as error:
                if complete:
                    raise self._damaged(error, len(events)) from error
                break  # the cut was inside a nested list
            events.extend(self._converted(found))
            at = _after_spaces(whole, end)
        ended = at < len(whole) and whole[at] == "]"
        if complete and not ended:
            raise self._cut_off("its list of events does not end")
        text.drop(len(whole[: at + ended].encode()))
        return events, ended

    def _converted(self, found: object) -> Iterator[Event]:
        if not isinstance(found, dict):
            return
        known = _without_nulls(found)
        known["args"] = msgspec.Raw(msgspec.json.encode(known.get("args", {})))
        try:
            yield msgspec.convert(known, Event, strict=False)
        except msgspec.ValidationError as error:
            if known.get("ph") == "X" and known.get("cat") in ("cpu_op", "kernel"):
                raise TraceFormatError(
                    f"{self.path} has an event that is no profiler event ({error}): "
                    f"{str(found)[:80]}; export the trace again"
                ) from error

    def _leave(self, text: _Text, *, is_list: bool) -> None:
        while text.read():
            pass
        rest = text.held.strip(_SPACE)
        if not is_list:
            self._read_head(b"{" + rest.removeprefix(b",").lstrip(_SPACE))

    def _damaged(self, error: ValueError, scanned: int) -> TraceFormatError:
        return self._cut_off(
            f"event {self._count + scanned + 1} is not whole JSON ({str(error).split(':')[0]})"
        )

    def _cut_off(self, why: str) -> TraceFormatError:
        return TraceFormatError(
            f"{self.path} is cut off or damaged: {why}; copy it again, or profile again and let "
            "the program finish writing the file"
        )


class _Text:
    """The part of the file that is read and not yet used."""

    def __init__(self, stream: IO[bytes], chunk_bytes: int) -> None:
        self.held = b""
        self._stream = stream
        self._chunk_bytes = chunk_bytes

    def read(self) -> bool:
        """Whether there was more to read."""
        block = self._stream.read(self._chunk_bytes)
        self.held += block
        return bool(block)

    def drop(self, count: int) -> None:
        """Forgets the first `count` bytes."""
        self.held = self.held[count:]

    def make_plain(self, until: int) -> int:
        """Replaces what is no UTF-8 or no number before `until`; where that place is now."""
        clean = _NOT_JSON.sub(b":null", self.held[:until].decode("utf-8", "replace").encode())
        self.held = clean + self.held[until:]
        return len(clean)


def _opened(path: Path) -> IO[bytes]:
    stream = path.open("rb")
    magic = stream.read(len(_GZIP_MAGIC))
    stream.seek(0)
    if magic != _GZIP_MAGIC:
        return stream
    stream.close()
    return cast("IO[bytes]", gzip.open(path, "rb"))


def _last_break(held: bytes) -> tuple[int, int] | None:
    """Where the last whole event ends and where the next one begins; None without such a place."""
    window = _BREAK_SEARCH_BYTES
    while True:
        begin = max(len(held) - window, 0)
        place = None
        for match in _BREAK.finditer(held, begin):
            place = match
        if place is not None:
            return place.start(1), place.end(1)
        if begin == 0:
            return None
        window *= 16


def _decoded(text: bytes) -> list[Event] | None:
    """The events of `text`, or None where it is not plain JSON."""
    whole = b"[" + text + b"]"
    try:
        return _DECODER.decode(whole)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return _DECODER.decode(_NOT_JSON.sub(b":null", whole.translate(_NO_CONTROL)))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _after_spaces(text: str, at: int) -> int:
    return cast("re.Match[str]", _SPACES.match(text, at)).end()


def _without_nulls(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value is not None}
