"""What each of several devices did in a step of a JAX profile. Knows nothing of capacity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from goodput.trace.table import DeviceShare, Flags, Integers, Invocations, Kind, Phase, Trace


def shares_of(trace: Trace, device: Integers) -> tuple[DeviceShare, ...]:
    """The share of each device of a trace of several, whose rows ran on `device`; () of one."""
    numbers = np.unique(device)
    if len(numbers) < 2:
        return ()
    return tuple(_share(f"{number}", trace, device == number) for number in numbers.tolist())


def shares_by_plane(traces: Iterable[tuple[str, Trace]]) -> tuple[DeviceShare, ...]:
    """The share of each of several devices that have a trace each, by the name of its plane."""
    return tuple(
        _share(name.removeprefix("/device:"), trace, np.ones(len(trace.invocations), np.bool_))
        for name, trace in traces
    )


def _share(name: str, trace: Trace, rows: Flags) -> DeviceShare:
    table, steps = trace.invocations.select(rows), max(len(trace.steps), 1)
    return DeviceShare(
        name=name,
        useful_flops=dict(_by_mode(table, trace.strings, steps)),
        executed_flops=float(table.flops.sum()) / steps,
        compute_seconds=_seconds(table, Kind.COMPUTE) / steps,
        communication_seconds=_seconds(table, Kind.COMMUNICATION) / steps,
        copy_seconds=_seconds(table, Kind.COPIES) / steps,
        collective_bytes=_bytes(table, Kind.COMMUNICATION) / steps,
    )


def _by_mode(
    table: Invocations, strings: tuple[str, ...], steps: int
) -> Iterator[tuple[str, float]]:
    """Useful FLOPs of a step in each math mode."""
    useful = np.where(table.phase == Phase.RECOMPUTE, 0, table.flops)
    for mode in np.unique(table.mode[useful > 0]).tolist():
        yield strings[mode], float(useful[table.mode == mode].sum()) / steps


def _seconds(table: Invocations, kind: Kind) -> float:
    return float(table.device_seconds[table.kind == kind].sum())


def _bytes(table: Invocations, kind: Kind) -> float:
    mine = table.kind == kind
    return float(table.bytes_read[mine].sum() + table.bytes_written[mine].sum())
