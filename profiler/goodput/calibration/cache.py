"""Measured profiles on disk, one file a device and set of library versions, and the host's lock.

Directory: `$GOODPUT_CACHE`, else `$XDG_CACHE_HOME/goodput`, else `~/.cache/goodput`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from goodput.calibration.questions import Source
from goodput.capacity.measurement import Peaks
from goodput.capacity.profile import Capacity
from goodput.capacity.schema import check_schema
from goodput.device import DeviceIdentity
from goodput.errors import UsageError
from goodput.measure.clock import Clock
from goodput.work import Contraction
from goodput_kernels.convolution import Convolution

FAMILY = "goodput.profile"
VERSION = 1
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Profile:
    """A capacity with what is needed to check and to extend it.

    Attributes:
        capacity: the roofs.
        products, convolutions: the programs' own shapes that were measured.
        winners: the problem behind the roof of each mode.
        peaks: what `goodput peak` found, where it ran.
        checked_at: seconds since 1970 of the last measurement or spot check.
        measured_at: seconds since 1970 of the end of `peaks`; 0 without them.
    """

    capacity: Capacity
    products: tuple[Contraction, ...] = ()
    convolutions: tuple[Convolution, ...] = ()
    winners: dict[str, Source] = field(default_factory=dict)
    checked_at: float = 0.0
    peaks: Peaks | None = None
    measured_at: float = 0.0


class _Envelope(msgspec.Struct, rename={"schema_name": "schema"}):
    schema_name: str
    profile: Profile


def directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Where profiles are kept."""
    if own := environment.get("GOODPUT_CACHE"):
        return Path(own)
    if base := environment.get("XDG_CACHE_HOME"):
        return Path(base) / "goodput"
    try:
        return Path.home() / ".cache" / "goodput"
    except RuntimeError:  # a container's user without a home
        return Path(tempfile.gettempdir()) / f"goodput-{os.getuid()}"


def path_of(device: DeviceIdentity, software: Mapping[str, str], folder: Path) -> Path:
    """The file for `device` with the library versions `software`."""
    key = msgspec.json.encode((device.kind, device.name, device.units, sorted(software.items())))
    digest = hashlib.sha256(key).hexdigest()[:12]
    stem = re.sub(r"[^a-z0-9]+", "-", device.name.lower()).strip("-") or device.kind
    return folder / f"{stem}-{digest}.json"


def read(path: Path) -> Profile | None:
    """The profile in `path`; None where there is no such file.

    Raises:
        UsageError: the file is damaged, or a newer goodput wrote it, or it may not be read.
    """
    try:
        envelope = msgspec.json.decode(path.read_bytes(), type=_Envelope)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    check_schema(envelope.schema_name, FAMILY, VERSION, str(path))
    return envelope.profile


def write(path: Path, profile: Profile) -> None:
    """Put `profile` into `path`, whole or not at all.

    Raises:
        OSError: there is no room, or no permission.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = msgspec.json.encode(_Envelope(f"{FAMILY}/{VERSION}", profile))
    handle, name = tempfile.mkstemp(prefix=path.stem, suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def host_lock(folder: Path, clock: Clock, wait_seconds: float) -> Iterator[str]:
    """Inside, no other process of this host measures; the value is "" or why that is not sure.

    The ranks of a job wait here for the first, and then find its profile.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / f"{socket.gethostname()}.lock").open("ab")
    except OSError as error:
        yield f"there is no lock in {folder} ({error.strerror})"
        return
    with file:
        yield _acquire(file.fileno(), clock, wait_seconds)


def _acquire(descriptor: int, clock: Clock, wait_seconds: float) -> str:
    """Take the lock, which the closing of the file gives back; "" or why it could not be had."""
    end = clock.now() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.now() >= end:
                return f"another process has been measuring for {wait_seconds:.0f} s"
            clock.sleep(_POLL_SECONDS)
        except OSError as error:
            return f"this file system has no locks ({error.strerror})"
        else:
            return ""
