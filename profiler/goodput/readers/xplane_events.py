"""The events of an XSpace as columns: what the device ran, and what the host did for it.

Only leaves: a loop's own event spans those of its body. Reads; decides nothing about steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodput.readers.xevents import ABSENT, EMPTY, Events, StatReader, blocks, distinct
from goodput.readers.xplane_completions import Completions, Parts, Thunks
from goodput.readers.xspace import damaged
from goodput.trace.table import Flags, Floats, Integers

METADATA, HOST = "/host:metadata", "/host:CPU"
_DEVICE = "/device:"
_PICOSECONDS, _NANOSECONDS = 1e-12, 1e-9
_STEP, _CALL = "step_num", "PjitFunction("
_XLA_OPS, _CATEGORY = "XLA Ops", "hlo_category"
_WORKERS, _CORRELATION = "tf_", "correlation_id"
_NAME, _MODULE, _PROGRAM, _LAUNCH, _RUN, _DEVICE_NUMBER, _COPY = range(7)
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
_MARK_STATS = {_STEP: 0, _CORRELATION: 1}
_WHOLE, _TIMES = ("op", "launch", "run", "device", "line"), ("start", "end")
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
        start, end: seconds, of its event; `parts` has what came later.
        line: index of the line (a stream, a thread).
        launch: the correlation of its launch, 0 without one.
        run: which run of its program, 0 where the file does not say.
        device: the number of the device, 0 where the file does not say.
        event: the place of its event among all of the plane.
        ops: the distinct operations.
        parts: what threads of a CPU did for an event after it had ended.
    """

    op: Integers
    start: Floats
    end: Floats
    line: Integers
    launch: Integers
    run: Integers
    device: Integers
    event: Integers
    ops: tuple[Op, ...]
    parts: Parts


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
    """One plane, its names looked up once.

    Args:
        message: the plane in its file.
        path: the file's.
        origin_ns: what times are told from.
    """

    def __init__(self, message: Any, path: Path, origin_ns: int = 0) -> None:
        self.message = message
        self._path = path
        self._origin_ns = origin_ns
        self.name: str = message.name
        self._stat_names: dict[int, str] = {e.key: e.value.name for e in message.stat_metadata}
        self._events: dict[int, Any] = {e.key: e.value for e in message.event_metadata}
        self.event_names: dict[int, str] = {key: e.name for key, e in self._events.items()}

    def stats(self, stats: Iterable[Any]) -> dict[str, Any]:
        """Decoded stats, of a plane or of an event's metadata, by name."""
        return dict(map(self._named, stats))

    def events(self, line: Any) -> Iterator[Events]:
        """The events of one of its lines, block by block.

        Raises:
            TraceFormatError: they are none.
        """
        return blocks(line.events, damaged(self._path))

    def spans(self, line: Any, events: Events) -> tuple[Floats, Floats]:
        """Begin and end of events of one of its lines in seconds, since the origin."""
        begin = (line.timestamp_ns - self._origin_ns) * _NANOSECONDS
        start = begin + events.offset * _PICOSECONDS
        return start, start + events.duration * _PICOSECONDS

    def reader(self, places: Mapping[str, int]) -> StatReader:
        """Reads the stats of its events that bear these names."""
        mine = {number: places[n] for number, n in self._stat_names.items() if n in places}
        return StatReader(mine, self._stat_names, max(places.values()) + 1)

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


def origin_ns(planes: Iterable[Any]) -> int:
    """The begin of the earliest line.

    Some profilers tell the time since 1970, of which a float64 holds a quarter of a microsecond.
    """
    begins = (line.timestamp_ns for plane in planes for line in plane.lines if len(line.events))
    return min(begins, default=0)


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


def busy_picoseconds(plane: Plane) -> int:
    """The durations of all events of a plane."""
    return sum(
        int(events.duration.sum()) for line in plane.message.lines for events in plane.events(line)
    )


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
    completions = Completions(plane.event_names if on_host else {}, names)
    for number, line in enumerate([each for each in lines if each.name == _XLA_OPS] or lines):
        for block in plane.events(line):
            rows.read(plane, line, number, block.select(_among(block.metadata, wanted)), ops)
            if completions.wanted:
                marks = block.select(_among(block.metadata, completions.wanted))
                completions.read(number, marks, *plane.spans(line, marks))
    found = rows.sorted(ops)
    texts = [op.name for op in found.ops]
    thunks = Thunks(texts, found.op, found.start, found.end, found.line)
    return replace(found, parts=completions.parts(thunks))


class _Rows:
    """The columns of what ran, in the order of the file."""

    def __init__(self) -> None:
        self._whole = {name: [np.zeros(0, np.int64)] for name in _WHOLE}
        self._times = {name: [np.zeros(0, np.float64)] for name in _TIMES}

    def read(self, plane: Plane, line: Any, number: int, events: Events, ops: _Ops) -> None:
        """Adds events of `line`."""
        if not len(events.metadata):
            return
        for name, column in zip(_WHOLE, ops.place(events), strict=False):
            self._whole[name].append(column)
        self._whole["line"].append(np.full(len(events.metadata), number))
        for name, times in zip(_TIMES, plane.spans(line, events), strict=True):
            self._times[name].append(times)

    def sorted(self, ops: _Ops) -> DeviceOps:
        """The columns by begin."""
        order = np.argsort(np.concatenate(self._times["start"]), kind="stable")
        whole = {name: np.concatenate(parts)[order] for name, parts in self._whole.items()}
        start, end = (np.concatenate(self._times[name])[order] for name in _TIMES)
        event, known = np.arange(len(start)), tuple(ops.known)
        return DeviceOps(**whole, start=start, end=end, event=event, ops=known, parts=Parts.none())


def _among(numbers: Integers, wanted: Iterable[int]) -> Flags:
    return np.isin(numbers, np.fromiter(wanted, np.int64))


class _Ops:
    """The distinct operations of a plane, numbered as they come.

    A file may hold millions of events, so that Python sees each distinct one once a block.
    """

    def __init__(self, plane: Plane, modules: Mapping[str, bytes]) -> None:
        self._plane = plane
        self._by_program = {name.rpartition("(")[2].rstrip(")"): name for name in modules}
        self._numbers: dict[Op, int] = {}
        self._places: dict[tuple[int, ...], int] = {}
        self._reader = plane.reader(_WANTED)

    @property
    def known(self) -> list[Op]:
        """All of them, in the order of their numbers."""
        return list(self._numbers)

    def place(self, events: Events) -> tuple[Integers, ...]:
        """Number of the operation, correlation, run and device of each event."""
        stats = self._reader.read(events)
        named = [stats[place] for place in (_NAME, _MODULE, _PROGRAM)]
        columns = [events.metadata, stats[_COPY].kind != ABSENT]
        columns += chain.from_iterable((stat.kind, stat.number) for stat in named)
        first, place = distinct(columns)
        keys = zip(*(column[first].tolist() for column in columns), strict=True)
        numbers = np.fromiter(map(self._number, keys), np.int64, len(first))
        rest = (stats[each].whole() for each in (_LAUNCH, _RUN, _DEVICE_NUMBER))
        return numbers[place], *rest

    def _number(self, key: tuple[int, ...]) -> int:
        number = self._places.get(key)
        if number is None:
            metadata, copied, *stats = key
            values = (
                self._reader.value(*pair) for pair in zip(stats[::2], stats[1::2], strict=True)
            )
            name, module, program = values
            op = self._op(metadata, name or "", module or "", program or 0, copied=bool(copied))
            number = self._places[key] = self._numbers.setdefault(op, len(self._numbers))
        return number

    def _op(self, number: int, name: str, module: str, program: object, *, copied: bool) -> Op:
        event = self._plane.event_names.get(number, "")
        metadata = self._plane.metadata(number)
        stats = self._plane.stats(metadata.stats) if metadata is not None else {}
        module = f"{module}({program})" if module else ""
        if _CATEGORY in stats:  # a TPU, whose events are instructions themselves
            name = metadata.display_name or event.partition(" = ")[0].lstrip("%")
            of = str(stats.get("program_id", program))
            module = self._by_program.get(of, f"program({of})")
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
    reader = plane.reader(_MARK_STATS)
    for block in plane.events(line):
        called = _among(block.metadata, calls)
        events = block.select(called)
        for number, *span in _rows(events.metadata, *plane.spans(line, events)):
            marks.calls.setdefault(calls[number], []).append((span[0], span[1]))
        _read_marks(plane, reader, line, block.select(~called), marks)


def _read_marks(
    plane: Plane, reader: StatReader, line: Any, events: Events, marks: HostMarks
) -> None:
    step, launch = reader.read(events)
    start, end = plane.spans(line, events)
    launched = np.flatnonzero(launch.whole())
    marks.launches.update(_rows(launch.number[launched], start[launched]))
    marked = np.flatnonzero(step.kind > EMPTY)
    columns = (events.metadata, step.kind, step.number, start, end)
    for number, kind, bits, *span in _rows(*(column[marked] for column in columns)):
        title = plane.event_names.get(number, "")
        marks.steps.append((title, int(reader.value(kind, bits)), span[0], span[1]))


def _rows(*columns: NDArray[Any]) -> Iterator[Any]:
    return zip(*(column.tolist() for column in columns), strict=True)
