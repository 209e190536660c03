"""The recording file: one versioned, compressed JSON document; nothing in it is executed."""

from __future__ import annotations

import gzip
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import numpy as np

from goodput.capacity.profile import Capacity
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError
from goodput.readers.recording_head import SCHEMA, VERSION, check_schema, content_of, not_whole
from goodput.trace.recording import Recording
from goodput.trace.table import DeviceShare, Invocations, StepTime, Trace

_STRING_COLUMNS = ("operator", "module", "source", "shapes", "mode", "kernel")


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
    shares: tuple[DeviceShare, ...] = ()


class _Document(msgspec.Struct):
    schema: str
    recording: dict[str, Any]
    trace: _TraceDocument
    capacity: Capacity | None


def save(recording: Recording, path: Path, capacity: Capacity | None = None) -> None:
    """Writes `recording`, with the capacity it was held against, to `path`.

    Raises:
        NotMeasuredError: the file cannot be written; an older one is left as it was.
    """
    content = gzip.compress(encode(recording, capacity), compresslevel=1)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)  # a device or a pipe must stay what it is
        else:
            _replace(path.resolve(), content)  # through a link, not over it
    except OSError as error:
        raise NotMeasuredError(
            f"the recording could not be saved to {path} ({error.strerror}); name another place"
        ) from error


def _replace(path: Path, content: bytes) -> None:
    """Puts `content` into `path`, whole or not at all: a full disk must not cut a file off."""
    partial = path.with_name(f"{path.name}.part")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        if partial.is_file():
            partial.unlink()
        raise


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


def load(path: Path) -> tuple[Recording, Capacity | None]:
    """The recording in `path` and the capacity saved with it.

    Raises:
        TraceFormatError: it is not a recording, or it is cut off.
        SchemaVersionError: a newer goodput wrote it.
    """
    return decode(content_of(path), str(path))


def decode(content: bytes, name: str = "the recording") -> tuple[Recording, Capacity | None]:
    """The recording in `content`; `name` stands in the errors.

    Raises:
        TraceFormatError: it is not a recording, or it is cut off.
        SchemaVersionError: a newer goodput wrote it.
    """
    try:
        check_schema(content, name)
        document = msgspec.json.decode(content, type=_Document)
        hints = get_type_hints(Recording)
        plain = {
            key: msgspec.convert(value, type=hints[key])
            for key, value in document.recording.items()
            if key in hints
        }
        recording = Recording(trace=_trace(document.trace), **plain)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise not_whole(name, error) from error
    return recording, document.capacity


def _trace(document: _TraceDocument) -> Trace:
    plain = {f: getattr(document, f) for f in document.__struct_fields__ if f != "columns"}
    table = Invocations.of(document.columns)
    strings = np.concatenate([getattr(table, name) for name in _STRING_COLUMNS])
    if len(strings) and not 0 <= int(strings.min()) <= int(strings.max()) < len(document.strings):
        raise ValueError("a column points outside the string table")
    return Trace(invocations=table, **plain)
