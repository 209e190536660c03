"""The events of an XSpace as columns: what the device ran, and what the host did for it.

Only leaves: a loop's own event spans those of its body. Reads; decides nothing about steps.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from goodput.readers.xspace import message_classes
from goodput.trace.table import Floats, Integers

METADATA, HOST = "/host:metadata", "/host:CPU"
_DEVICE = "/device:"
_PICOSECONDS, _NANOSECONDS = 1e-12, 1e-9
_STEP, _CALL = "step_num", "PjitFunction("
_XLA_OPS, _CATEGORY = "XLA Ops", "hlo_category"
_WORKERS, _CORRELATION = "tf_", "correlation_id"
_NAME, _MODULE, _PROGRAM, _LAUNCH, _RUN, _COPY, _DEVICE_NUMBER, _OTHER = range(8)
_WANTED = {
    "hlo_op": _NAME,
    "hlo_module": _MODULE,
    "program_id": _PROGRAM,
    _CORRELATION: _LAUNCH,
    "run_id": _RUN,
    "device_ordinal": _DEVICE_NUMBER,
    "memcpy_details": _COPY,
    "memset_details": _COPY,
}
_COLUMNS = ("op", "line", "launch", "run", "device")
# Distinct stats that are kept decoded.
_MOST_STATS = 1 << 18
_COPIES = ("Memcpy", "Memset", "__amd_rocclr_copy", "__amd_rocclr_fill")
# Lines of a TPU that summarise others.
_SUMMARIES = ("Steps", "XLA Modules", "XLA TraceMe", "Framework", "Source", "Async XLA Ops")


@dataclass(frozen=True, slots=True)
class Op:
    """What ran: an HLO instruction of one program, or something without one.

    Attributes:
        module: `name(program id)`, the key of its HLO; "" where the file does not say.
        name: the instruction's, "" without one.
        event: the event's own name, of a kernel say.
        copies: whether it is a copy.
        flops, bytes: what the profiler itself counts, None where it does not.
    """

    module: str
    name: str
    event: str
    copies: bool = False
    flops: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DeviceOps:
    """What one device ran, by begin.

    Attributes:
        op: index into `ops`.
        start, end: seconds.
        line: index of the line (a stream, a thread).
        launch: the correlation of its launch, 0 without one.
        run: which run of its program, 0 where the file does not say.
        device: the number of the device, 0 where the file does not say.
        ops: the distinct operations.
    """

    op: Integers
    start: Floats
    end: Floats
    line: Integers
    launch: Integers
    run: Integers
    device: Integers
    ops: tuple[Op, ...]


@dataclass(slots=True)
class HostMarks:
    """What the host left: marked steps, calls of jitted functions, launches.

    Attributes:
        steps: `(name, number, start, end)` of each marked step.
        calls: `(start, end)` of the calls of each jitted function.
        launches: when each correlation was launched.
    """

    steps: list[tuple[str, int, float, float]] = field(default_factory=list)
    calls: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    launches: dict[int, float] = field(default_factory=dict)


class Plane:
    """One plane, its names looked up once."""

    def __init__(self, message: Any) -> None:
        self.message = message
        self.name: str = message.name
        self._stat_names: dict[int, str] = {e.key: e.value.name for e in message.stat_metadata}
        self._events: dict[int, Any] = {e.key: e.value for e in message.event_metadata}
        self.event_names: dict[int, str] = {key: e.name for key, e in self._events.items()}

    def stats(self, stats: Iterable[Any]) -> dict[str, Any]:
        """Decoded stats, of a plane or of an event's metadata, by name."""
        return dict(map(self._named, stats))

    def stat_of(self, content: bytes) -> tuple[str, Any]:
        """Name and value of an undecoded stat of an event."""
        return self._named(message_classes()["XStat"].FromString(content))

    def _named(self, stat: Any) -> tuple[str, Any]:
        kind = stat.WhichOneof("value")
        value: Any = getattr(stat, kind) if kind else None
        if kind == "ref_value":
            value = self._stat_names.get(value, "")
        return self._stat_names.get(stat.metadata_id, ""), value

    def events_with_metadata(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The name of each event metadata, and its stats."""
        for event in self._events.values():
            yield event.name, self.stats(event.stats)

    def metadata(self, number: int) -> Any:
        """The metadata of an event."""
        return self._events.get(number)


def modules_of(planes: list[Plane]) -> dict[str, bytes]:
    """The HLO of each live program, by `name(program id)`."""
    found: dict[str, bytes] = {}
    for plane in planes:
        if plane.name != METADATA:
            continue
        for name, stats in plane.events_with_metadata():
            content = next((v for v in stats.values() if isinstance(v, bytes)), None)
            if content:
                found[name] = content
    return found


def is_device(plane: Plane) -> bool:
    """Whether a plane is of a device of its own."""
    return plane.name.startswith(_DEVICE) and any(len(line.events) for line in plane.message.lines)


def ops_of(plane: Plane, modules: Mapping[str, bytes], names: AbstractSet[str]) -> DeviceOps:
    """All that ran on the device of `plane`, or on the host's XLA threads.

    Args:
        plane: of a device, or the host's.
        modules: the HLO in the file, by `name(program id)`.
        names: of all instructions; what else the host's threads did is left out.
    """
    on_host = not is_device(plane)
    lines = [line for line in plane.message.lines if not line.name.startswith(_SUMMARIES)]
    wanted = {n for n, name in plane.event_names.items() if not on_host or name in names}
    ops, rows = _Ops(plane, modules), _Rows()
    for number, line in enumerate([each for each in lines if each.name == _XLA_OPS] or lines):
        rows.read(line, number, wanted, ops)
    return rows.sorted(ops)


class _Rows:
    """The columns of what ran, in the order of the file."""

    def __init__(self) -> None:
        self._whole = {name: array("q") for name in _COLUMNS}
        self._start, self._end = array("d"), array("d")

    def read(self, line: Any, number: int, wanted: AbstractSet[int], ops: _Ops) -> None:
        """Adds the events of `line` that are `wanted`."""
        place, base = ops.place, line.timestamp_ns * _NANOSECONDS
        add_op, add_launch, add_run, add_device = (
            self._whole[name].append for name in ("op", "launch", "run", "device")
        )
        add_start, add_end, before = self._start.append, self._end.append, len(self._start)
        for event in line.events:
            metadata = event.metadata_id
            if metadata not in wanted:
                continue
            op, launch, run, device = place(metadata, event.stats)
            start = base + event.offset_ps * _PICOSECONDS
            add_op(op)
            add_launch(launch)
            add_run(run)
            add_device(device)
            add_start(start)
            add_end(start + event.duration_ps * _PICOSECONDS)
        self._whole["line"].extend([number] * (len(self._start) - before))

    def sorted(self, ops: _Ops) -> DeviceOps:
        """The columns by begin."""
        start = np.asarray(self._start, np.float64)
        order = np.argsort(start, kind="stable")
        whole = {n: np.asarray(c, np.int64)[order] for n, c in self._whole.items()}
        return DeviceOps(
            **whole, start=start[order], end=np.asarray(self._end)[order], ops=tuple(ops.known)
        )


class _Ops:
    """The distinct operations of a plane, numbered as they come.

    A file may hold millions of events, so that every stat is decoded once: most are the same ones
    again, all but the numbers of launches and runs.
    """

    def __init__(self, plane: Plane, modules: Mapping[str, bytes]) -> None:
        self._plane = plane
        self._by_program = {name.rpartition("(")[2].rstrip(")"): name for name in modules}
        self._numbers: dict[Op, int] = {}
        self._places: dict[tuple[Any, ...], int] = {}
        self._stats: dict[bytes, tuple[int, Any]] = {}

    @property
    def known(self) -> list[Op]:
        """All of them, in the order of their numbers."""
        return list(self._numbers)

    def place(self, metadata: int, stats: Iterable[bytes]) -> tuple[int, int, int, int]:
        """Number of the operation, correlation, run and device of an event."""
        found: list[Any] = ["", "", 0, 0, 0, 0, 0, None]
        decoded = self._stats
        for content in stats:
            known = decoded.get(content)
            if known is None:
                known = self._decode(content)
            found[known[0]] = known[1]
        name, module, program, launch, run, copied, device, _ = found
        key = (metadata, name, module, program, copied)
        number = self._places.get(key)
        if number is None:
            op = self._op(metadata, name, module, program, copied=bool(copied))
            number = self._places[key] = self._numbers.setdefault(op, len(self._numbers))
        return number, launch, run, device

    def _decode(self, content: bytes) -> tuple[int, Any]:
        name, value = self._plane.stat_of(content)
        slot = _WANTED.get(name, _OTHER)
        if slot == _COPY:
            value = 1
        found = (slot, value)
        if len(self._stats) < _MOST_STATS:
            self._stats[content] = found
        return found

    def _op(self, number: int, name: str, module: str, program: object, *, copied: bool) -> Op:
        event = self._plane.event_names.get(number, "")
        metadata = self._plane.metadata(number)
        stats = self._plane.stats(metadata.stats) if metadata is not None else {}
        module = f"{module}({program})" if module else ""
        if _CATEGORY in stats:  # a TPU, whose events are instructions themselves
            name = metadata.display_name or event.partition(" = ")[0].lstrip("%")
            module = self._by_program.get(str(stats.get("program_id", program)), "")
        return Op(
            module=module,
            name=name,
            event=event,
            copies=copied or event.startswith(_COPIES),
            flops=_known(stats.get("model_flops", stats.get("flops"))),
            bytes=_known(stats.get("bytes_accessed")),
        )


def _known(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def host_marks(planes: list[Plane], *, launches: bool) -> HostMarks:
    """What the host's threads say about steps, calls and, if asked for, launches."""
    marks = HostMarks()
    for plane in planes:
        if plane.name == HOST:
            for line in plane.message.lines:
                # The program's own thread is called as its command: python, goodput, pytest.
                if launches or not line.name.startswith(_WORKERS):
                    _read_line(plane, line, marks)
    marks.steps.sort(key=lambda step: step[2])
    return marks


def _read_line(plane: Plane, line: Any, marks: HostMarks) -> None:
    calls = {
        number: name[len(_CALL) : -1]
        for number, name in plane.event_names.items()
        if name.startswith(_CALL)
    }
    for event in line.events:
        name = calls.get(event.metadata_id)
        if name is not None:
            marks.calls.setdefault(name, []).append(_span(line, event))
            continue
        for content in event.stats:
            word, value = plane.stat_of(content)
            if word == _STEP:
                title = plane.event_names.get(event.metadata_id, "")
                marks.steps.append((title, int(value), *_span(line, event)))
            elif word == _CORRELATION and value:
                marks.launches[int(value)] = _span(line, event)[0]


def _span(line: Any, event: Any) -> tuple[float, float]:
    """Begin and end of an event in seconds."""
    start = line.timestamp_ns * _NANOSECONDS + event.offset_ps * _PICOSECONDS
    return start, start + event.duration_ps * _PICOSECONDS
