"""What each of several devices did in a step, against its own capacity. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from goodput.capacity.profile import Capacity
from goodput.report.model import DeviceRow
from goodput.report.totals import rate_of
from goodput.trace.table import DeviceShare


def device_rows(
    shares: Sequence[DeviceShare], capacity: Capacity | None, wall: float
) -> tuple[DeviceRow, ...]:
    """A row for each share, in order."""
    return tuple(_row(share, capacity, wall) for share in shares)


def _row(share: DeviceShare, capacity: Capacity | None, wall: float) -> DeviceRow:
    return DeviceRow(
        device=share.name,
        useful_flops=sum(share.useful_flops.values()),
        executed_flops=share.executed_flops,
        goodput=rate_of(_useful_seconds(share, capacity), wall),
        compute_seconds=share.compute_seconds,
        communication_seconds=share.communication_seconds,
        copy_seconds=share.copy_seconds,
        collective_bytes=share.collective_bytes,
    )


def _useful_seconds(share: DeviceShare, capacity: Capacity | None) -> float | None:
    """Seconds of the useful FLOPs at their roofs; None where a mode has none."""
    roofs = capacity.flops_per_s if capacity is not None else {}
    if any(mode not in roofs for mode in share.useful_flops):
        return None
    return sum(flops / roofs[mode].rate for mode, flops in share.useful_flops.items())
