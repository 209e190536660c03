"""The events of a torch.profiler file as numpy columns beside string tables; no object an event.

Three tables: what the host did (operators, annotations, launches), what the device did (kernels,
copies, fills), and the Python frames that name a module or the user's own source. Attributes
nothing to anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from goodput.readers.kineto_chunks import CHUNK_BYTES, Args, Event, TraceFile, arguments

Column: TypeAlias = NDArray[Any]
Signature: TypeAlias = tuple[bytes, bytes, bytes, bytes]


class Host(IntEnum):
    """What a host event is."""

    OPERATOR = 0
    ANNOTATION = 1
    LAUNCH = 2


class Activity(IntEnum):
    """What a device event is."""

    KERNEL = 0
    MEMCPY = 1
    MEMSET = 2


_HOST = {
    "cpu_op": Host.OPERATOR,
    "user_annotation": Host.ANNOTATION,
    "cuda_runtime": Host.LAUNCH,
    "cuda_driver": Host.LAUNCH,
    "xpu_runtime": Host.LAUNCH,
    "mtia_runtime": Host.LAUNCH,
    "privateuse1_runtime": Host.LAUNCH,
    "privateuse1_driver": Host.LAUNCH,
}
_DEVICE = {
    "kernel": Activity.KERNEL,
    "gpu_memcpy": Activity.MEMCPY,
    "gpu_memset": Activity.MEMSET,
}
MODULE_FRAME = "nn.Module: "
_FRAME = "python_function"
# Frames of the framework and of C functions never say where the user's program was.
_FOREIGN_FRAMES = ("<", "torch/", "multiprocessing/", "threading.py", "contextlib.py", "runpy.py")
_MICROSECOND = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class HostEvents:
    """Columns of the host's events, in no order.

    Attributes:
        what: a value of `Host`.
        name: string index.
        thread: index of the (process, thread) pair.
        start, end: seconds since the file's first event.
        external, correlation, sequence: the profiler's ids, -1 where absent.
        forward_thread: of a backward node, torch's own number of the thread that ran its forward.
        signature: index into `Events.signatures`, -1 where no shapes were recorded.
        fqn: string index of a module marker's name.
    """

    what: Column
    name: Column
    thread: Column
    start: Column
    end: Column
    external: Column
    correlation: Column
    sequence: Column
    forward_thread: Column
    signature: Column
    fqn: Column


@dataclass(frozen=True, slots=True, eq=False)
class DeviceEvents:
    """Columns of the device's activities: `what` is a value of `Activity`, times are in seconds."""

    what: Column
    name: Column
    device: Column
    start: Column
    end: Column
    external: Column
    correlation: Column


@dataclass(frozen=True, slots=True, eq=False)
class FrameEvents:
    """Columns of the Python frames that name a module or the user's source."""

    name: Column
    thread: Column
    start: Column
    end: Column


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Everything in the file that goodput uses.

    Attributes:
        host, device, frames: the tables.
        strings: the string table; entry 0 is "".
        signatures: the distinct (dims, types, concrete inputs, strides), as JSON text.
        process: index of the process of each thread.
        head: the file's own keys beside its events.
        count: events of any kind in the file.
    """

    host: HostEvents
    device: DeviceEvents
    frames: FrameEvents
    strings: list[str]
    signatures: list[Signature]
    process: Column
    head: dict[str, Any]
    count: int


class Interner(dict[Hashable, int]):
    """The index of each distinct key, in order of first use."""

    def __missing__(self, key: Hashable) -> int:
        """The next free index."""
        index = self[key] = len(self)
        return index


class _Foreign(dict[str, bool]):
    """Whether a frame's name says nothing of the user's program; asked once for each name."""

    def __missing__(self, name: str) -> bool:
        foreign = self[name] = name.startswith(_FOREIGN_FRAMES)
        return foreign


def read_events(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Events:
    """The columns of the file at `path`.

    Raises:
        UsageError, TraceFormatError: as `TraceFile.batches`.
    """
    file = TraceFile(path)
    columns = _Columns()
    for batch in file.batches(chunk_bytes):
        columns.take(batch)
    return columns.events(file.head)


class _Columns:
    """Grows the columns batch by batch."""

    def __init__(self) -> None:
        self._strings = Interner()
        self._strings[""] = 0
        self._threads = Interner()
        self._signatures = Interner()
        self._foreign = _Foreign()
        self._parts: dict[type, list[dict[str, Column]]] = {
            HostEvents: [],
            DeviceEvents: [],
            FrameEvents: [],
        }
        self._count = 0

    def take(self, batch: Sequence[Event]) -> None:
        """Adds one batch."""
        self._count += len(batch)
        by_category: defaultdict[str, list[Event]] = defaultdict(list)
        for event in batch:
            by_category[event.cat].append(event)
        host = [e for category in _HOST for e in by_category[category] if e.ph == "X"]
        device = [e for category in _DEVICE for e in by_category[category] if e.ph == "X"]
        foreign = self._foreign
        frames = [e for e in by_category[_FRAME] if not foreign[e.name] and e.ph == "X"]
        self._parts[HostEvents].append(self._host(host))
        self._parts[DeviceEvents].append(self._device(device))
        self._parts[FrameEvents].append(self._common(frames) | self._thread(frames))

    def events(self, head: dict[str, Any]) -> Events:
        """The whole table, its clock set to zero at the first event."""
        host = HostEvents(**self._joined(HostEvents))
        device = DeviceEvents(**self._joined(DeviceEvents))
        frames = FrameEvents(**self._joined(FrameEvents))
        starts = np.concatenate([table.start for table in (host, device, frames)])
        origin = starts[np.isfinite(starts)].min(initial=np.inf) if len(starts) else 0.0
        for table in (host, device, frames):
            for column in (table.start, table.end):
                np.subtract(column, origin, out=column)
                np.multiply(column, _MICROSECOND, out=column)
        return Events(
            host=host,
            device=device,
            frames=frames,
            strings=[str(name) for name in self._strings],
            signatures=list(self._signatures),  # type: ignore[arg-type]  # only signatures are put in
            process=self._processes(),
            head=head,
            count=self._count,
        )

    def _processes(self) -> Column:
        numbers = Interner()
        pids = (cast("tuple[Hashable, Hashable]", thread)[0] for thread in self._threads)
        return _ids((numbers[pid] for pid in pids), len(self._threads))

    def _joined(self, table: type[HostEvents | DeviceEvents | FrameEvents]) -> dict[str, Column]:
        parts = self._parts.pop(table)
        return {f.name: np.concatenate([part[f.name] for part in parts]) for f in fields(table)}

    def _common(self, events: list[Event], *, must_end: bool = False) -> dict[str, Column]:
        start = _floats(map(attrgetter("ts"), events), len(events))
        length = _floats(map(attrgetter("dur"), events), len(events))
        if not must_end:
            length[np.isnan(length)] = 0.0
        name = map(self._strings.__getitem__, map(attrgetter("name"), events))
        return {"start": start, "end": start + length, "name": _ids(name, len(events))}

    def _thread(self, events: list[Event]) -> dict[str, Column]:
        keys = zip(map(attrgetter("pid"), events), map(attrgetter("tid"), events), strict=True)
        return {"thread": _ids(map(self._threads.__getitem__, keys), len(events))}

    def _host(self, events: list[Event]) -> dict[str, Column]:
        args = list(map(arguments, events))
        names = map(self._strings.__getitem__, map(attrgetter("fqn"), args))
        return {
            **self._common(events),
            **self._thread(events),
            "what": _ids(map(_HOST.__getitem__, map(attrgetter("cat"), events)), len(events)),
            "external": _big_ids(args, "external"),
            "correlation": _big_ids(args, "correlation"),
            "sequence": _big_ids(args, "sequence"),
            "forward_thread": _big_ids(args, "forward_thread"),
            "signature": _ids(map(self._signature, args), len(events)),
            "fqn": _ids(names, len(events)),
        }

    def _signature(self, args: Args) -> int:
        if not args.dims:
            return -1
        texts = (bytes(args.dims), bytes(args.types), bytes(args.concrete), bytes(args.strides))
        return self._signatures[texts]

    def _device(self, events: list[Event]) -> dict[str, Column]:
        args = list(map(arguments, events))
        return {
            **self._common(events, must_end=True),
            "what": _ids(map(_DEVICE.__getitem__, map(attrgetter("cat"), events)), len(events)),
            "device": _big_ids(args, "device"),
            "external": _big_ids(args, "external"),
            "correlation": _big_ids(args, "correlation"),
        }


def _floats(values: Iterable[float], count: int) -> Column:
    return np.fromiter(values, np.float64, count)


def _ids(values: Iterable[int], count: int) -> Column:
    return np.fromiter(values, np.int32, count)


def _big_ids(args: list[Args], name: str) -> Column:
    """A column of the profiler's ids; one beyond 63 bits is no id (2^64 - 1 stands for none)."""
    values = map(attrgetter(name), args)
    try:
        return np.fromiter(values, np.int64, len(args))
    except OverflowError:
        limit = np.iinfo(np.int64).max
        kept = (getattr(a, name) if abs(getattr(a, name)) <= limit else -1 for a in args)
        return np.fromiter(kept, np.int64, len(args))
