"""The recording file: one versioned, compressed JSON document; nothing in it is executed."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import numpy as np

from goodput.capacity.profile import Capacity
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError, SchemaVersionError, TraceFormatError
from goodput.trace.recording import Recording
from goodput.trace.table import Invocations, StepTime, Trace

SCHEMA = "goodput.recording"
VERSION = 1
# Whoever wrote the JSON may have put spaces between its parts.
_BEGINS = re.compile(rb'\s*\{\s*"schema"\s*:\s*"' + SCHEMA.encode())
_GZIP_MAGIC = b"\x1f\x8b"
# The head of the decompressed file is enough to tell a recording from a trace.
_HEAD_BYTES = 4096
_STRING_COLUMNS = ("operator", "module", "source", "shapes", "mode", "kernel")


class _Head(msgspec.Struct):
    schema: str


class _TraceDocument(msgspec.Struct):
    device: DeviceIdentity | None
    framework: str
    steps: tuple[StepTime, ...]
    columns: dict[str, list[int | float | bool]]
    strings: tuple[str, ...]
    basis: str
    edge_seconds: float
    unlinked_launches: int
    world_size: int
    rank: int
    warnings: tuple[str, ...]
    environment: dict[str, str]


class _Document(msgspec.Struct):
    schema: str
    recording: dict[str, Any]
    trace: _TraceDocument
    capacity: Capacity | None


def save(recording: Recording, path: Path, capacity: Capacity | None = None) -> None:
    """Writes `recording`, with the capacity it was held against, to `path`.

    Raises:
        NotMeasuredError: the file cannot be written.
    """
    try:
        path.write_bytes(gzip.compress(encode(recording, capacity), compresslevel=1))
    except OSError as error:
        raise NotMeasuredError(
            f"the recording could not be saved to {path} ({error.strerror}); choose another place "
            "with -o FILE"
        ) from error


def encode(recording: Recording, capacity: Capacity | None = None) -> bytes:
    """The JSON of a recording, uncompressed."""
    trace = recording.trace
    plain = {f.name: getattr(recording, f.name) for f in fields(Recording) if f.name != "trace"}
    document = _Document(
        schema=f"{SCHEMA}/{VERSION}",
        recording=plain,
        trace=_TraceDocument(
            columns={
                name: getattr(trace.invocations, name).tolist()
                for name in Invocations.column_types()
            },
            **{f.name: getattr(trace, f.name) for f in fields(Trace) if f.name != "invocations"},
        ),
        capacity=capacity,
    )
    return msgspec.json.encode(document)


def is_recording(path: Path) -> bool:
    """Whether `path` holds a goodput recording, judged by its content."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(_GZIP_MAGIC):
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, _HEAD_BYTES)
        except zlib.error:
            return False
    return _BEGINS.match(head) is not None


def load(path: Path) -> tuple[Recording, Capacity | None]:
    """The recording in `path` and the capacity saved with it.

    Raises:
        TraceFormatError: it is not a recording, or it is cut off.
        SchemaVersionError: a newer goodput wrote it.
    """
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TraceFormatError(f"{path} is cut off ({error}); copy or record it again") from error
    except OSError as error:
        raise TraceFormatError(f"{path} cannot be read: {error.strerror}") from error
    return decode(content, str(path))


def decode(content: bytes, name: str = "the recording") -> tuple[Recording, Capacity | None]:
    """The recording in `content`; `name` stands in the errors.

    Raises:
        TraceFormatError: it is not a recording, or it is cut off.
        SchemaVersionError: a newer goodput wrote it.
    """
    try:
        _check_schema(msgspec.json.decode(content, type=_Head).schema, name)
        document = msgspec.json.decode(content, type=_Document)
        hints = get_type_hints(Recording)
        plain = {
            key: msgspec.convert(value, type=hints[key])
            for key, value in document.recording.items()
            if key in hints
        }
        recording = Recording(trace=_trace(document.trace), **plain)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise TraceFormatError(
            f"{name} is not a whole goodput recording ({error}); record it again with goodput run"
        ) from error
    return recording, document.capacity


def _check_schema(schema: str, name: str) -> None:
    family, _, version = schema.partition("/")
    if family != SCHEMA:
        raise TraceFormatError(f"{name} holds {schema!r}, which is not a goodput recording")
    if not version.isdigit() or int(version) > VERSION:
        raise SchemaVersionError(
            f"{name} was written by a newer goodput ({schema}; this one reads up to "
            f"{SCHEMA}/{VERSION}): upgrade goodput-profiler"
        )


def _trace(document: _TraceDocument) -> Trace:
    plain = {f: getattr(document, f) for f in document.__struct_fields__ if f != "columns"}
    table = Invocations.of(document.columns)
    strings = np.concatenate([getattr(table, name) for name in _STRING_COLUMNS])
    if len(strings) and not 0 <= int(strings.min()) <= int(strings.max()) < len(document.strings):
        raise ValueError("a column points outside the string table")
    return Trace(invocations=table, **plain)
