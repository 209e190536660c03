"""All that `goodput peak` found as a file: versioned JSON, read back exactly. Never measures.

The keys of `Peaks` stand beside `schema`; a number that is not finite becomes `null`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from goodput.capacity.measurement import Peaks
from goodput.capacity.schema import check_schema
from goodput.capacity.store import read, write
from goodput.errors import UsageError

FAMILY = "goodput.peaks"
VERSION = 1
SCHEMA = f"{FAMILY}/{VERSION}"
"""Its number changes only when the meaning of a key does; keys are added freely."""


class _Head(msgspec.Struct, rename={"schema_name": "schema"}):
    """The part of a file that every version has."""

    schema_name: str


def to_json(peaks: Peaks) -> str:
    """`peaks` as JSON, indented for people."""
    encoded = msgspec.json.encode({"schema": SCHEMA, **msgspec.to_builtins(peaks)})
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


def from_json(content: str | bytes, name: str = "the peaks file") -> Peaks:
    """The peaks in `content`; `name` is what an error calls it.

    Raises:
        SchemaVersionError: a newer goodput wrote it.
        UsageError: it holds no peaks, or it is cut off.
    """
    try:
        check_schema(msgspec.json.decode(content, type=_Head).schema_name, FAMILY, VERSION, name)
        return msgspec.json.decode(content, type=Peaks)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{name} is not a file of goodput peak ({error}); make one with goodput peak --json"
        ) from error


def is_peaks(content: bytes) -> bool:
    """Whether `content` says that it is of this kind, of whatever version."""
    try:
        return msgspec.json.decode(content, type=_Head).schema_name.startswith(f"{FAMILY}/")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def load(path: Path) -> Peaks:
    """The peaks in the file `path`.

    Raises:
        UsageError: the file cannot be read, or it holds no peaks.
        SchemaVersionError: a newer goodput wrote it.
    """
    return from_json(read(path, "the peaks file"), str(path))


def save(path: Path, peaks: Peaks) -> None:
    """Write `peaks` to the file `path`.

    Raises:
        NotMeasuredError: the file cannot be written.
    """
    write(path, to_json(peaks).encode(), "the peaks")
