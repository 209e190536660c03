"""What counts come to on given roofs: a bound on the step, the same on any machine. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from goodput.capacity.profile import Capacity
from goodput.formulas.conventions import EXACT
from goodput.gates.observation import OperatorFigures, rounded
from goodput.report.build import build
from goodput.report.devices import ideals
from goodput.report.model import DeviceIdeal, OperatorRow, Report
from goodput.trace.recording import Recording

_DIGEST = 16
"""Hexadecimal digits of a profile's digest."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one step would take at best.

    Attributes:
        values: by metric; a figure whose roofs are not all known is left out.
        operators: ideal seconds and bound by `operator phase mode`.
        profile: digest of the roofs.
        notes: sentences.
    """

    values: Mapping[str, float]
    operators: Mapping[str, OperatorFigures]
    profile: str
    notes: tuple[str, ...]


def predicted(recording: Recording, capacity: Capacity) -> Prediction:
    """The prediction of a counted step on the roofs of a device.

    Args:
        recording: the counts.
        capacity: the roofs.
    """
    recording = replace(recording, trace=replace(recording.trace, device=capacity.device))
    report = build(recording, capacity)
    missing = sorted({one.operator for one in report.coverage.unmodelled})
    notes = ["a prediction is a bound: every operator at its roof, one after the other"]
    if missing:
        notes.append(f"without ideal seconds, so not in the prediction: {', '.join(missing)}")
    return Prediction(
        _values(report, ideals(recording, (capacity,), EXACT)[0]),
        _by_operator(report.operators),
        digest(capacity),
        tuple(notes),
    )


def digest(capacity: Capacity) -> str:
    """A digest of the rates of a capacity: when or how they were measured does not count."""
    rates = {
        "device": capacity.device.name,
        "flops_per_s": {mode: peak.rate for mode, peak in sorted(capacity.flops_per_s.items())},
        "vector": capacity.vector.rate if capacity.vector else None,
        "special": capacity.special.rate if capacity.special else None,
        "bandwidth": {
            mix: [(point.footprint_bytes, point.peak.rate) for point in points]
            for mix, points in sorted(capacity.bandwidth.items())
        },
        "floor": capacity.floor_seconds,
    }
    return hashlib.sha256(msgspec.json.encode(rates)).hexdigest()[:_DIGEST]


def _values(report: Report, ideal: DeviceIdeal) -> dict[str, float]:
    values = {"useful_flops": report.totals.useful_flops or 0.0}
    if ideal.ideal_seconds is None:
        return values
    values["predicted_step_seconds"] = rounded(ideal.ideal_seconds)
    sheet = report.capacity.datasheet if report.capacity else None
    modes = report.totals.useful_flops_by_mode
    if sheet is not None and ideal.ideal_seconds and all(m in sheet.flops_per_s for m in modes):
        at_peak = sum(flops / sheet.flops_per_s[mode] for mode, flops in modes.items())
        values["predicted_mfu"] = rounded(at_peak / ideal.ideal_seconds)
    return values


def _by_operator(rows: tuple[OperatorRow, ...]) -> dict[str, OperatorFigures]:
    found: dict[str, OperatorFigures] = {}
    for row in rows:
        name = " ".join(filter(None, (row.operator, row.phase, row.dtype)))
        own = OperatorFigures(
            round(row.calls),
            round(row.executed_flops or 0),
            round(row.bytes or 0),
            row.ideal_seconds or 0.0,
            row.bound,
        )
        found[name] = found[name] + own if name in found else own
    return {name: replace(one, seconds=rounded(one.seconds)) for name, one in found.items()}
