"""A profile of JAX (`*.xplane.pb`) -> `Trace`: kernels and thunks, by HLO instruction.

Needs no jax. Work comes from the optimised HLO that stands in the file, instruction by instruction,
times from the leaves that ran: on a loop's body as often as it ran.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from goodput.device import DeviceIdentity
from goodput.errors import TraceFormatError
from goodput.readers import kineto_steps, xplane_events, xplane_steps
from goodput.readers.hlo import Program, program_of
from goodput.readers.hlo_calls import CONTAINERS, FUSIONS
from goodput.readers.hlo_work import Executed, executed
from goodput.readers.kineto_links import Strings
from goodput.readers.kineto_steps import NO_STEP
from goodput.readers.xplane_doubts import doubts_of
from goodput.readers.xplane_events import DeviceOps, HostMarks, Op, Plane
from goodput.readers.xplane_shares import shares_by_plane, shares_of
from goodput.readers.xspace import parse_module, read_space
from goodput.trace.overlap import owned_seconds
from goodput.trace.scopes import place_in
from goodput.trace.table import (
    WORK_COLUMNS,
    Flags,
    Floats,
    Integers,
    Invocations,
    Kind,
    Link,
    Phase,
    Trace,
)
from goodput.work import Work

_VENDORS = {"AMD": "hip", "Nvidia": "cuda", "NVIDIA": "cuda"}
_COLLECTIVE_KERNELS = ("nccl", "rccl")
_NO_WORD = re.compile(r"\W")


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a distinct operation."""

    executed: Executed
    link: Link
    kind: Kind
    phase: Phase
    module: str


def read(path: Path) -> Trace:
    """The trace in the XSpace file at `path`.

    Raises:
        UsageError: it cannot be opened.
        TraceFormatError: it is empty, cut off, of another tool, or holds no operation of XLA.
        NotMeasuredError: protobuf is not installed.
    """
    messages = read_space(path).planes
    origin = xplane_events.origin_ns(messages)
    planes = [Plane(message, path, origin) for message in messages]
    modules = xplane_events.modules_of(planes)
    plane, warnings = _one_device(planes)
    programs = {name: program_of(parse_module(modules[name], name)) for name in modules}
    on_device = xplane_events.is_device(plane)
    marks = xplane_events.host_marks(planes, launches=on_device)
    found = _of_plane(plane, modules, programs, marks)
    if found is None:
        raise TraceFormatError(
            f"{path} holds no operation that XLA ran; profile calls of a jitted function with "
            "jax.profiler.trace, and wait for their results inside of it"
        )
    others = [each for each in planes if xplane_events.is_device(each) and each is not plane]
    if others:
        traces = {each.name: _of_plane(each, modules, programs, marks) for each in others}
        traces[plane.name] = found
        known = [(name, trace) for name, trace in sorted(traces.items()) if trace is not None]
        found = replace(found, shares=shares_by_plane(known))
    return replace(
        found,
        device=_identity(plane),
        warnings=(*warnings, *found.warnings),
        environment=_environment(planes),
    )


def _of_plane(
    plane: Plane,
    modules: Mapping[str, bytes],
    programs: Mapping[str, Program],
    marks: HostMarks,
) -> Trace | None:
    """What ran on the device of one plane; None where nothing did."""
    names = frozenset(name for program in programs.values() for name in program.places)
    ops = xplane_events.ops_of(plane, modules, names)
    ops = _pick_rows(ops, _leaves(ops, programs))
    if not len(ops.op):
        return None
    named, device = _by_kernel_name(programs), _identity(plane)
    known = [_known(op, programs, named, device) for op in ops.ops]
    trace = _device_trace if xplane_events.is_device(plane) else _host_trace
    found = trace(ops, known, marks)
    works = [of.executed.work for of in known]
    doubts = doubts_of(ops, works, [of.link is not Link.NONE for of in known])
    return replace(found, warnings=(*doubts, *found.warnings))


def _host_trace(ops: DeviceOps, known: list[_Known], marks: HostMarks) -> Trace:
    """Operations that ran on the threads of a CPU; those at one time share it."""
    steps = xplane_steps.marked(marks) or xplane_steps.runs_of(ops) or xplane_steps.window(ops)
    step = steps.of(ops.start)
    row, start, end = _with_parts(ops)
    kind = _of_ops(ops, [int(k.kind) for k in known])
    owned, _ = owned_seconds(start, end, kind[row])
    inside = step != NO_STEP
    # What is done for an event when the next step has begun is in neither.
    whole = inside[row] & (steps.of(start) == step[row])
    counts = kineto_steps.events_in(steps, ops.start)
    times = kineto_steps.host_times(steps, start[whole], end[whole], counts)
    strings = Strings([""])
    mine = _pick_rows(ops, inside)
    columns = _columns(mine, known, strings, on_device=False)
    seconds = np.bincount(row[whole], owned[whole], len(ops.op))
    columns |= {"step": step[inside], "device_seconds": seconds[inside]}
    trace = Trace(
        device=None,
        framework="jax",
        steps=times,
        invocations=Invocations.of(columns),
        strings=tuple(strings.texts),
        edge_seconds=float(owned[~whole].sum()),
        warnings=xplane_steps.warnings_of(steps),
    )
    return replace(trace, shares=shares_of(trace, mine.device))


def _with_parts(ops: DeviceOps) -> tuple[Integers, Floats, Floats]:
    """The row, begin and end of each event, and of all that was done for it later."""
    parts = ops.parts
    row = np.minimum(np.searchsorted(ops.event, parts.row), max(len(ops.event) - 1, 0))
    mine = ops.event[row] == parts.row  # not of a container
    return (
        np.concatenate((np.arange(len(ops.event)), row[mine])),
        np.concatenate((ops.start, parts.start[mine])),
        np.concatenate((ops.end, parts.end[mine])),
    )


def _device_trace(ops: DeviceOps, known: list[_Known], marks: HostMarks) -> Trace:
    """Kernels; one execution of an instruction may be several of them."""
    launched = np.array([marks.launches.get(n, np.nan) for n in ops.launch.tolist()])
    launched = np.where(np.isnan(launched), ops.start, launched)
    steps = (
        xplane_steps.marked(marks) or xplane_steps.called(ops, marks) or xplane_steps.window(ops)
    )
    of = steps.of(launched)
    used = np.unique(of[of != NO_STEP])
    steps = steps.select(used) if len(used) else xplane_steps.window(ops)
    step = steps.of(launched)
    steps, step, bounds = kineto_steps.whole_on_device(steps, ops.start, ops.end, step, launched)
    kind = _of_ops(ops, [int(k.kind) for k in known])
    owned, _ = owned_seconds(ops.start, ops.end, kind)
    mine = step != NO_STEP
    chosen = _pick_rows(ops, mine)
    row, first = _executions(chosen)
    strings = Strings([""])
    columns = _columns(_pick_rows(chosen, first), known, strings, on_device=True)
    columns |= {
        "step": step[mine][first],
        "device_seconds": np.bincount(row, owned[mine], len(first)),
        "kernels": np.bincount(row, minlength=len(first)),
    }
    counts = kineto_steps.events_in(steps, launched)
    return Trace(
        device=None,
        framework="jax",
        steps=kineto_steps.device_times(steps, bounds, ops.start, ops.end, launched, counts),
        invocations=Invocations.of(columns),
        strings=tuple(strings.texts),
        edge_seconds=float(owned[~mine].sum()),
        warnings=xplane_steps.warnings_of(steps),
    )


def _pick_rows(ops: DeviceOps, rows: Integers | Flags) -> DeviceOps:
    """Some of what ran."""
    return DeviceOps(
        op=ops.op[rows],
        start=ops.start[rows],
        end=ops.end[rows],
        line=ops.line[rows],
        launch=ops.launch[rows],
        run=ops.run[rows],
        device=ops.device[rows],
        event=ops.event[rows],
        ops=ops.ops,
        parts=ops.parts,
    )


def _one_device(planes: list[Plane]) -> tuple[Plane, tuple[str, ...]]:
    """The plane of the device that worked most; the host's where there is none."""
    devices = [plane for plane in planes if xplane_events.is_device(plane)]
    if not devices:
        hosts = [plane for plane in planes if plane.name == xplane_events.HOST]
        if not hosts:
            raise TraceFormatError("the profile holds neither a device nor the host's threads")
        return hosts[0], ()
    if len(devices) == 1:
        return devices[0], ()
    chosen = max(devices, key=xplane_events.busy_picoseconds)
    return chosen, (
        f"the file holds {len(devices)} devices; this is {chosen.name}, which worked most",
    )


def _identity(plane: Plane) -> DeviceIdentity:
    if not xplane_events.is_device(plane):
        return DeviceIdentity("cpu", "")
    stats = plane.stats(plane.message.stats)
    kind = "tpu" if "TPU" in plane.name else _VENDORS.get(str(stats.get("device_vendor")), "cuda")
    return DeviceIdentity(
        kind=kind,
        name=str(stats.get("device_type_string") or ""),
        units=int(stats.get("core_count") or 0),
        memory_bytes=int(stats.get("memory_size") or 0),
    )


def _environment(planes: list[Plane]) -> dict[str, str]:
    """Versions of JAX that the profile tells."""
    stats = next((p.stats(p.message.stats) for p in planes if p.name == xplane_events.METADATA), {})
    return {
        name.removesuffix("_version"): str(value)
        for name, value in stats.items()
        if name in ("jax_version", "jaxlib_version")
    }


def _leaves(ops: DeviceOps, programs: Mapping[str, Program]) -> Flags:
    """What is no container of others that are in the file too."""
    seen: dict[str, set[str]] = {}
    for op in ops.ops:
        seen.setdefault(op.module, set()).add(op.name)
    keep = np.array([not _contains(op, programs, seen[op.module]) for op in ops.ops], np.bool_)
    return keep[ops.op] if len(ops.op) else np.zeros(0, np.bool_)


def _contains(op: Op, programs: Mapping[str, Program], seen: set[str]) -> bool:
    program = programs.get(op.module)
    instruction = program.instruction(op.name) if program else None
    if program is None or instruction is None or instruction.opcode not in CONTAINERS:
        return False
    return any(
        name in seen for called in program.called(instruction) for name in called.instructions
    )


def _by_kernel_name(programs: Mapping[str, Program]) -> dict[str, tuple[Program, str]]:
    """The instruction whose kernel bears its name, as XLA's own do; only where there is one."""
    found: dict[str, list[tuple[Program, str]]] = {}
    for program in programs.values():
        for name, place in program.places.items():
            if place.instructions[name].opcode in FUSIONS:
                found.setdefault(_kernel_name(name), []).append((program, name))
    return {name: places[0] for name, places in found.items() if len(places) == 1}


def _kernel_name(text: str) -> str:
    return _NO_WORD.sub("_", text.removesuffix(".kd"))


def _known(
    op: Op,
    programs: Mapping[str, Program],
    named: Mapping[str, tuple[Program, str]],
    device: DeviceIdentity,
) -> _Known:
    program, name, link = programs.get(op.module), op.name, Link.EXACT
    if not op.name and _kernel_name(op.event) in named:
        (program, name), link = named[_kernel_name(op.event)], Link.NAME
    instruction = program.instruction(name) if program else None
    if program is None or instruction is None:
        talks = op.event.lower().startswith(_COLLECTIVE_KERNELS)
        kind = Kind.COMMUNICATION if talks else Kind.COPIES if op.copies else Kind.COMPUTE
        name = op.name or op.event
        return _Known(Executed(name, None, name), Link.NONE, kind, Phase.OTHER, "")
    found = executed(instruction, program, tf32=device.kind == "cuda")
    phase, module, _ = place_in(found.op_name)
    kind = Kind.COMMUNICATION if found.is_communication else Kind.COMPUTE
    if op.copies:
        kind = Kind.COPIES
    if kind is not Kind.COMPUTE:
        phase = Phase.OTHER
    return _Known(found, link, kind, phase, module)


def _of_ops(ops: DeviceOps, values: list[int]) -> Integers:
    return np.asarray(values, np.int64)[ops.op]


def _columns(
    ops: DeviceOps, known: list[_Known], strings: Strings, *, on_device: bool
) -> dict[str, Integers]:
    """The columns that follow from the operation of each row."""
    works = [k.executed.work or Work() for k in known]
    by_op: dict[str, list[int]] = {
        "phase": [int(k.phase) for k in known],
        "kind": [int(k.kind) for k in known],
        "link": [int(k.link) for k in known],
        "modelled": [int(k.executed.work is not None) for k in known],
        "operator": [strings.place(k.executed.operator) for k in known],
        "module": [strings.place(k.module) for k in known],
        "source": [strings.place(k.executed.source) for k in known],
        "shapes": [strings.place(k.executed.shapes) for k in known],
        "mode": [strings.place(k.executed.mode) for k in known],
        "kernel": [strings.place(op.event if on_device else op.name) for op in ops.ops],
        **{name: [getattr(work, name) for work in works] for name in WORK_COLUMNS},
    }
    return {name: _of_ops(ops, values) for name, values in by_op.items()}


def _executions(ops: DeviceOps) -> tuple[Integers, Integers]:
    """The execution that each kernel is of, and the first kernel of each.

    An instruction may launch several kernels, one after the other: a new execution begins with
    another instruction on the same stream, or where the first kernel comes again.
    """
    row = np.empty(len(ops.op), np.int64)
    first: list[int] = []
    open_rows: dict[int, tuple[tuple[str, str], int, int]] = {}
    for at, (op, line) in enumerate(zip(ops.op.tolist(), ops.line.tolist(), strict=True)):
        found = ops.ops[op]
        key = (found.module, found.name)
        current = open_rows.get(line)
        if current is None or not found.name or current[0] != key or current[1] == op:
            open_rows[line] = (key, op, len(first))
            row[at] = len(first)
            first.append(at)
        else:
            row[at] = current[2]
    return row, np.asarray(first, np.int64)
