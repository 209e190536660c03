"""What a recording file tells without its columns: that it is one, its schema, its capacity.

Never touches numpy, so that it can be asked before a program runs that sets numpy's environment.
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import msgspec

from goodput.capacity.profile import Capacity
from goodput.errors import SchemaVersionError, TraceFormatError

SCHEMA = "goodput.recording"
VERSION = 1
# Whoever wrote the JSON may have put spaces between its parts.
_BEGINS = re.compile(rb'\s*\{\s*"schema"\s*:\s*"' + SCHEMA.encode())
_GZIP_MAGIC = b"\x1f\x8b"
# The head of the decompressed file is enough to tell a recording from a trace.
_HEAD_BYTES = 4096


class _Head(msgspec.Struct):
    schema: str


class _WithCapacity(msgspec.Struct):
    capacity: Capacity | None


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


def content_of(path: Path) -> bytes:
    """The JSON in `path`, decompressed.

    Raises:
        TraceFormatError: it cannot be read, or it is cut off.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TraceFormatError(f"{path} is cut off ({error}); copy or record it again") from error
    except OSError as error:
        raise TraceFormatError(f"{path} cannot be read: {error.strerror}") from error


def capacity_in(path: Path) -> Capacity | None:
    """The capacity that was saved with the recording in `path`.

    Raises:
        TraceFormatError: it is not a recording, or it is cut off.
        SchemaVersionError: a newer goodput wrote it.
    """
    content = content_of(path)
    try:
        check_schema(content, str(path))
        return msgspec.json.decode(content, type=_WithCapacity).capacity
    except msgspec.MsgspecError as error:
        raise not_whole(str(path), error) from error


def check_schema(content: bytes, name: str) -> None:
    """Passes where `content` has the schema of a recording of this version or an older one.

    Raises:
        TraceFormatError: it has another schema.
        SchemaVersionError: a newer goodput wrote it.
        msgspec.MsgspecError: it is no JSON object with a schema.
    """
    schema = msgspec.json.decode(content, type=_Head).schema
    family, _, version = schema.partition("/")
    if family != SCHEMA:
        raise TraceFormatError(f"{name} holds {schema!r}, which is not a goodput recording")
    if not version.isdigit() or int(version) > VERSION:
        raise SchemaVersionError(
            f"{name} was written by a newer goodput ({schema}; this one reads up to "
            f"{SCHEMA}/{VERSION}): upgrade goodput-profiler"
        )


def not_whole(name: str, error: Exception) -> TraceFormatError:
    """The error for a recording whose content is damaged."""
    return TraceFormatError(
        f"{name} is not a whole goodput recording ({error}); record it again with goodput run"
    )
