"""A capacity as a file: versioned JSON, read back exactly. Never measures, never seeks a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from goodput.capacity.profile import Capacity
from goodput.capacity.schema import check_schema
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError, UsageError, WrongDeviceError

FAMILY = "goodput.capacity"
VERSION = 1
SCHEMA = f"{FAMILY}/{VERSION}"


class _Envelope(msgspec.Struct, rename={"schema_name": "schema"}):
    """What a file holds: the name of its schema beside the capacity."""

    schema_name: str
    capacity: Capacity


class _Head(msgspec.Struct, rename={"schema_name": "schema"}):
    """The part of a file that every version has."""

    schema_name: str


def to_json(capacity: Capacity) -> bytes:
    """`capacity` as JSON, indented for people."""
    return msgspec.json.format(msgspec.json.encode(_Envelope(SCHEMA, capacity)), indent=1)


def from_json(content: bytes, name: str = "the capacity file") -> Capacity:
    """The capacity in `content`; `name` is what an error calls it.

    Raises:
        SchemaVersionError: a newer goodput wrote it.
        UsageError: it is no capacity file.
    """
    try:
        check_schema(msgspec.json.decode(content, type=_Head).schema_name, FAMILY, VERSION, name)
        return msgspec.json.decode(content, type=_Envelope).capacity
    except msgspec.DecodeError as error:
        raise UsageError(f"{name} is not a goodput capacity file ({error})") from error


def load(path: Path) -> Capacity:
    """The capacity in the file `path`.

    Raises:
        UsageError: the file cannot be read, or it is no capacity file.
        SchemaVersionError: a newer goodput wrote it.
    """
    return from_json(read(path, "the capacity file"), str(path))


def save(path: Path, capacity: Capacity) -> None:
    """Write `capacity` to the file `path`.

    Raises:
        NotMeasuredError: the file cannot be written.
    """
    write(path, to_json(capacity), "the capacity")


def read(path: Path, what: str) -> bytes:
    """The content of the file `path`, which an error calls `what`.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {what} {path}: {error.strerror}") from error


def write(path: Path, content: bytes, what: str) -> None:
    """Put `content`, which an error calls `what`, into the file `path`.

    Raises:
        NotMeasuredError: it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise NotMeasuredError(
            f"cannot write {what} to {path}: {error.strerror}; choose another place"
        ) from error


def check_device(capacity: Capacity, device: DeviceIdentity) -> None:
    """Nothing, if `capacity` is of `device`.

    Raises:
        WrongDeviceError: the two have different names or kinds.
    """
    if (capacity.device.kind, capacity.device.name) == (device.kind, device.name):
        return
    raise WrongDeviceError(
        f"the capacity is of {_named(capacity.device)}, but the recording is of {_named(device)}; "
        "give --capacity FILE measured on that device, or leave --capacity out"
    )


def _named(device: DeviceIdentity) -> str:
    return f"{device.name or 'an unnamed device'} ({device.kind})"
