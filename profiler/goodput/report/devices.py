"""What a step would take at best on devices of the datasheet. Pure; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence

from goodput.capacity.profile import Capacity
from goodput.report.build import build
from goodput.report.model import DeviceIdeal, Report
from goodput.report.totals import rate_of
from goodput.trace.recording import Recording


def ideals(
    recording: Recording, capacities: Sequence[Capacity], convention: str
) -> tuple[DeviceIdeal, ...]:
    """One entry for each of `capacities`, in order."""
    return tuple(_ideal(recording, capacity, convention) for capacity in capacities)


def _ideal(recording: Recording, capacity: Capacity, convention: str) -> DeviceIdeal:
    report = build(recording, capacity, convention)
    known = _has_every_peak(report, capacity)
    ideal = report.totals.ideal_seconds if known else None
    sheet = capacity.datasheet
    return DeviceIdeal(
        device=capacity.device.name,
        useful_seconds=report.totals.useful_seconds if known else None,
        ideal_seconds=ideal,
        tokens_per_s=rate_of(recording.tokens_per_step, ideal),
        source=sheet.url if sheet is not None else "",
    )


def _has_every_peak(report: Report, capacity: Capacity) -> bool:
    """Whether each mode that does useful math has a peak; else a sum would leave some out."""
    modes = report.totals.useful_flops_by_mode
    return all(mode in capacity.flops_per_s for mode, flops in modes.items() if flops)
