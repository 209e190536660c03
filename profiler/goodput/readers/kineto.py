"""torch.profiler's Chrome trace -> `Trace`: one reader, live and offline.

Streams the file in chunks; needs no framework. Never judges a number: it says what ran, for whom,
for how long, and what it could not place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import goodput.formulas.aten  # noqa: F401 - registers the formulas that count the operators
from goodput.device import DeviceIdentity
from goodput.errors import TraceFormatError
from goodput.readers import kineto_checks, kineto_dense, kineto_steps
from goodput.readers.kineto_calls import Calls
from goodput.readers.kineto_events import DeviceEvents, Events, Host, read_events
from goodput.readers.kineto_links import HostLinks, Strings, link
from goodput.readers.kineto_names import Names, classify
from goodput.readers.kineto_owners import Owners, launches_without_kernel, own
from goodput.readers.kineto_rows import Rows, device_rows, host_rows
from goodput.readers.kineto_steps import NO_STEP, HostSteps
from goodput.trace.overlap import owned_seconds
from goodput.trace.table import Integers, Invocations, Trace, pick

_STRING_COLUMNS = ("operator", "module", "source", "shapes", "mode", "kernel")
_ENVIRONMENT = (
    "cuda_runtime_version",
    "cuda_driver_version",
    "hip_runtime_version",
    "hip_driver_version",
    "with_stack",
    "record_shapes",
)
# Beyond this share, launches without a kernel are worth a sentence.
_UNLINKED_SHARE = 0.01


def read(path: Path) -> Trace:
    """The trace in the torch.profiler file at `path`, gzipped or not.

    Raises:
        UsageError: there is no such file, or it cannot be opened.
        TraceFormatError: it is empty, cut off, damaged, or holds no torch operator or kernel.
    """
    events = read_events(path)
    names = classify(events.strings)
    if not len(events.device.name) and not (events.host.what == Host.OPERATOR).any():
        raise TraceFormatError(
            f"{path} holds {events.count} events but no torch operator and no kernel, so it is "
            "from another tool or of an idle program; goodput reads what torch.profiler exports"
        )
    kineto_checks.refuse(path, events, names)
    links = link(events, names)
    strings = Strings(links.strings)
    reader = _device_trace if len(events.device.name) else _host_trace
    trace = reader(path, events, links, names, strings)
    return _compact(replace(trace, warnings=kineto_checks.doubts(events, names) + trace.warnings))


def _host_trace(
    path: Path, events: Events, links: HostLinks, names: Names, strings: Strings
) -> Trace:
    """A trace of operators that ran on the CPU itself."""
    del path
    steps = next(kineto_steps.host_steps(events.host, names.strings, events.process))
    rows = host_rows(links, names, events, strings)
    step = steps.of(rows.start)
    owned, _ = owned_seconds(rows.start, rows.end, rows.kind)
    inside = step != NO_STEP
    counts = kineto_steps.events_in(steps, links.host.start)
    times = kineto_steps.host_times(steps, rows.start[inside], rows.end[inside], counts)
    table = _timed(rows, np.bincount(rows.row, owned, len(rows.invocations)), step)
    kept = np.nonzero(table.step != NO_STEP)[0]
    table = table.select(kept)
    return Trace(
        device=DeviceIdentity("cpu", ""),
        framework="torch",
        steps=times,
        invocations=table,
        strings=tuple(strings.texts),
        edge_seconds=float(owned[~inside].sum()),
        warnings=_call_warnings(events, rows.calls)
        + kineto_dense.notes(table, rows.owner[kept], links, names, events, strings)
        + _step_warnings(steps),
        **_job(events.head),
    )


def _device_trace(
    path: Path, events: Events, links: HostLinks, names: Names, strings: Strings
) -> Trace:
    """A trace of kernels that the host launched."""
    device, warnings = _one_device(events.device)
    owners = own(device, links, names)
    launched_in, step = _device_steps(path, device, owners, events, names)
    steps, step, bounds = kineto_steps.whole_on_device(
        launched_in, device.start, device.end, step, owners.launched
    )
    if not len(steps):
        raise TraceFormatError(
            f"no step of {path} has time of its own on the device: its {len(device.name)} kernels "
            "take none, or those from before its steps run on past them; profile more steps"
        )
    owned, _ = owned_seconds(device.start, device.end, owners.kind)
    mine = np.nonzero(step != NO_STEP)[0]
    rows = device_rows(pick(device, mine), pick(owners, mine), links, names, events, strings)
    unlinked = launches_without_kernel(events.device, links.host, names)
    unlinked = unlinked[steps.of(links.host.start[unlinked]) != NO_STEP]
    return Trace(
        device=_identity(events, device, names),
        framework="torch",
        steps=kineto_steps.device_times(
            steps,
            bounds,
            device.start,
            device.end,
            owners.launched,
            kineto_steps.events_in(steps, links.host.start),
        ),
        invocations=_timed(
            rows, np.bincount(rows.row, owned[mine], len(rows.invocations)), step[mine]
        ),
        strings=tuple(strings.texts),
        edge_seconds=float(owned[step == NO_STEP].sum()),
        unlinked_launches=len(unlinked),
        warnings=warnings
        + _call_warnings(events, rows.calls)
        + kineto_dense.notes(rows.invocations, rows.owner, links, names, events, strings)
        + _step_warnings(steps)
        + _overlap_warnings(len(launched_in) - len(steps))
        + _launch_warnings(len(unlinked), len(mine))
        + kineto_checks.clock_doubts(device, owners.launched, owners.launch),
        **_job(events.head),
    )


def _one_device(device: DeviceEvents) -> tuple[DeviceEvents, tuple[str, ...]]:
    """The activities of the device that worked most."""
    numbers, place = np.unique(device.device, return_inverse=True)
    if len(numbers) == 1:
        return device, ()
    seconds = np.bincount(place.reshape(-1), device.end - device.start)
    chosen = numbers[seconds.argmax()]
    warning = (
        f"the file holds {len(numbers)} devices; this is device {chosen}, which worked most, so "
        "profile one rank a file to see the others"
    )
    return pick(device, np.nonzero(device.device == chosen)[0]), (warning,)


def _device_steps(
    path: Path, device: DeviceEvents, owners: Owners, events: Events, names: Names
) -> tuple[HostSteps, Integers]:
    """The steps that have kernels, and the step that launched each kernel."""
    has_launches = (events.host.what == Host.LAUNCH).any() and (device.correlation > 0).any()
    if not (owners.launched >= 0).any() and not has_launches:
        window = HostSteps(
            np.zeros(1, np.int64),
            np.array([device.start.min()]),
            np.array([np.inf]),
            marked=False,
        )
        return window, window.of(device.start)
    for steps in kineto_steps.host_steps(events.host, names.strings, events.process):
        used = np.unique(steps.of(owners.launched))
        used = used[used != NO_STEP]
        if len(used):
            kept = steps.select(used)
            return kept, kept.of(owners.launched)
    raise TraceFormatError(
        f"{path} holds {len(device.name)} kernels and the launch of none of them: they were "
        "launched before its first event, so profile at least one whole step"
    )


def _timed(rows: Rows, seconds: np.ndarray[Any, Any], step: Integers) -> Invocations:
    """The rows with their device seconds and the step of their first interval."""
    steps = np.full(len(rows.invocations), NO_STEP, dtype=np.int64)
    steps[rows.row[::-1]] = step[::-1]
    return replace(rows.invocations, device_seconds=seconds, step=steps)


def _compact(trace: Trace) -> Trace:
    """The trace with a string table of only what its rows name."""
    table = trace.invocations
    columns = {name: getattr(table, name) for name in _STRING_COLUMNS}
    used = np.unique(np.concatenate((np.zeros(1, np.int64), *columns.values())))
    renamed = {name: np.searchsorted(used, column) for name, column in columns.items()}
    return replace(
        trace,
        invocations=replace(table, **renamed),
        strings=tuple(trace.strings[index] for index in used.tolist()),
    )


def _identity(events: Events, device: DeviceEvents, names: Names) -> DeviceIdentity:
    """The device as the file names it; its vendor from the runtime that launched its kernels."""
    properties = _properties(events.head, int(device.device[0]))
    name = str(properties.get("name") or "")
    launched = {names.strings[index] for index in np.unique(events.host.name).tolist()}
    is_hip = (
        "hip_runtime_version" in events.head
        or name.startswith("AMD")
        or any(text.startswith("hip") for text in launched)
    )
    return DeviceIdentity(
        kind="hip" if is_hip else "cuda",
        name=name,
        units=_integer(properties.get("numSms")),
        memory_bytes=_integer(properties.get("totalGlobalMem")),
    )


def _properties(head: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    found = head.get("deviceProperties")
    listed = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return next((each for each in listed if each.get("id") == number), listed[0] if listed else {})


def _job(head: Mapping[str, Any]) -> dict[str, Any]:
    """Rank, world size and versions, as `Trace` has them."""
    found = head.get("distributedInfo")
    job = found if isinstance(found, dict) else {}
    return {
        "rank": _integer(job.get("rank")),
        "world_size": _integer(job.get("world_size"), 1),
        "environment": {key: str(head[key]) for key in _ENVIRONMENT if key in head},
    }


def _integer(found: object, absent: int = 0) -> int:
    """What the file says, as a number; `absent` where it says none."""
    try:
        return int(str(found))
    except ValueError:
        return absent


def _call_warnings(events: Events, calls: Calls) -> tuple[str, ...]:
    warnings = list(calls.failures)
    if not events.signatures:
        warnings.append(
            "the trace has no input shapes, so no work is counted; profile with record_shapes=True"
        )
    if calls.untyped_lists:
        warnings.append(
            f"a trace records no element type for lists of tensors ({calls.untyped_lists} distinct "
            f"calls here); they are counted as {calls.list_dtype}, the trace's commonest"
        )
    return tuple(warnings)


def _step_warnings(steps: HostSteps) -> tuple[str, ...]:
    if steps.marked:
        return ()
    sentence = (
        "the trace marks no steps, so its whole window counts as one; call the profiler's step() "
        "after each to see them apart"
    )
    return (sentence,)


def _overlap_warnings(overlapped: int) -> tuple[str, ...]:
    if not overlapped:
        return ()
    sentence = (
        f"{overlapped} steps are left out: their kernels end before those of a step launched "
        "earlier, so they have no time of their own"
    )
    return (sentence,)


def _launch_warnings(unlinked: int, kernels: int) -> tuple[str, ...]:
    if unlinked <= _UNLINKED_SHARE * kernels:
        return ()
    sentence = (
        f"{unlinked} launches have no kernel in the file: they were captured into a graph, or the "
        "profiler dropped them, so profile fewer steps"
    )
    return (sentence,)
