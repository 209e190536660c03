"""The lines of a device's roofline, with the ranges of its axes. Draws nothing.

A roofline shows the rate that an operator can reach over its FLOP per byte: the lower of a compute
roof and of a memory slope.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from goodput.capacity.measurement import BURST, SUSTAINED, Peaks
from goodput.capacity.profile import BandwidthPoint, Capacity, Peak
from goodput.units import si

MAIN, CACHE = "main memory", "cache"

_LEFT_OF_RIDGE = 20
_RIGHT_OF_RIDGE = 4
_ABOVE = 1.25
_PREFERRED = "copy"


@dataclass(frozen=True, slots=True)
class Roof:
    """One horizontal line.

    Attributes:
        mode: its math mode, or `vector`.
        regime: `burst` or `sustained`.
        flops_per_s: its height.
        source: `measured` or `datasheet`.
    """

    mode: str
    regime: str
    flops_per_s: float
    source: str

    @property
    def label(self) -> str:
        """Name and rate, e.g. `bfloat16 burst 861 TFLOP/s`."""
        return f"{self.mode} {self.regime} {si(self.flops_per_s, 'FLOP/s')}{_origin(self.source)}"


@dataclass(frozen=True, slots=True)
class Slope:
    """One diagonal line.

    Attributes:
        mix: its memory mix, e.g. `copy`.
        level: `main memory` or `cache`.
        bytes_per_s: the bandwidth.
        footprint_bytes: distinct memory touched where it was reached.
        source: `measured` or `datasheet`.
    """

    mix: str
    level: str
    bytes_per_s: float
    footprint_bytes: int
    source: str

    @property
    def label(self) -> str:
        """Name and bandwidth, e.g. `copy, main memory 4.01 TB/s`."""
        rate = si(self.bytes_per_s, "B/s")
        return f"{self.mix}, {self.level} {rate}{_origin(self.source)}"


@dataclass(frozen=True, slots=True)
class Axis:
    """A logarithmic axis from `low` to `high`."""

    low: float
    high: float

    def part(self, value: float) -> float:
        """Where `value` lies: 0 at `low`, 1 at `high`, and no further."""
        span = math.log(self.high / self.low)
        return min(max(math.log(value / self.low) / span, 0.0), 1.0)

    def value(self, part: float) -> float:
        """The value at `part` of the way from `low` to `high`."""
        return self.low * math.pow(self.high / self.low, part)

    @property
    def decades(self) -> tuple[float, ...]:
        """The powers of ten on it."""
        first = math.ceil(math.log10(self.low) - 1e-9)
        last = math.floor(math.log10(self.high) + 1e-9)
        return tuple(10.0**power for power in range(first, last + 1))


@dataclass(frozen=True, slots=True)
class Roofline:
    """All lines of a device, highest first, and the axes that hold them."""

    roofs: tuple[Roof, ...]
    slopes: tuple[Slope, ...]
    intensity: Axis
    rate: Axis

    @property
    def top(self) -> float:
        """The highest roof: where the slopes end."""
        return self.roofs[0].flops_per_s

    @property
    def steepest(self) -> float:
        """The highest bandwidth: where the roofs begin."""
        return max(slope.bytes_per_s for slope in self.slopes)


def roofline_of(peaks: Peaks) -> Roofline | None:
    """The roofline of the roofs in `peaks.capacity`; None without a compute and a memory roof."""
    roofs = _roofs(peaks.capacity)
    slopes = _slopes(peaks)
    if not roofs or not slopes:
        return None
    rates = [roof.flops_per_s for roof in roofs]
    bandwidths = [slope.bytes_per_s for slope in slopes]
    left = min(rates) / max(bandwidths) / _LEFT_OF_RIDGE
    right = max(rates) / min(bandwidths) * _RIGHT_OF_RIDGE
    intensity = Axis(_decade_below(left), right)
    return Roofline(
        roofs,
        slopes,
        intensity,
        Axis(intensity.low * min(bandwidths), max(rates) * _ABOVE),
    )


def _roofs(capacity: Capacity) -> tuple[Roof, ...]:
    burst, sustained = dict(capacity.flops_per_s), capacity.sustained_flops_per_s
    # On many devices float32 products are the vector units' own rate: one line, not two.
    if capacity.vector is not None and capacity.vector not in burst.values():
        burst["vector"] = capacity.vector
    found = [*_of_regime(burst, BURST), *_of_regime(sustained, SUSTAINED)]
    return tuple(sorted(found, key=lambda roof: (-roof.flops_per_s, roof.mode)))


def _of_regime(peaks: Mapping[str, Peak], regime: str) -> list[Roof]:
    return [
        Roof(mode, regime, peak.rate, peak.provenance.source)
        for mode, peak in peaks.items()
        if peak.rate > 0
    ]


def _slopes(peaks: Peaks) -> tuple[Slope, ...]:
    """The largest footprint of every mix, and of one mix the fastest inside a cache."""
    curves = {mix: points for mix, points in peaks.capacity.bandwidth.items() if points}
    cache = peaks.device.last_level_cache_bytes
    found = [
        _slope(mix, MAIN if points[-1].footprint_bytes > cache else CACHE, points[-1])
        for mix, points in curves.items()
    ]
    mix = _PREFERRED if _PREFERRED in curves else next(iter(curves), "")
    cached = _cached(curves.get(mix, ()), cache)
    if cached is not None:
        found.append(_slope(mix, CACHE, cached))
    kept = [slope for slope in found if slope.bytes_per_s > 0]
    return tuple(sorted(kept, key=lambda slope: (-slope.bytes_per_s, slope.mix)))


def _cached(points: tuple[BandwidthPoint, ...], cache_bytes: int) -> BandwidthPoint | None:
    """The fastest point that fits in the last-level cache; where that is unknown, the first."""
    inside = [p for p in points[:-1] if not cache_bytes or p.footprint_bytes <= cache_bytes]
    return max(inside, key=lambda point: point.peak.rate, default=None)


def _slope(mix: str, level: str, point: BandwidthPoint) -> Slope:
    return Slope(mix, level, point.peak.rate, point.footprint_bytes, point.peak.provenance.source)


def _decade_below(value: float) -> float:
    return math.pow(10.0, math.floor(math.log10(value)))


def _origin(source: str) -> str:
    return "" if source == "measured" else f" ({source})"
