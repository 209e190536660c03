"""What a device can deliver: achievable rates with their provenance. Never measures anything."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

from goodput.device import DeviceIdentity
from goodput.work import Contraction
from goodput_kernels.convolution import Convolution


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a figure is known.

    Attributes:
        source: `measured` or `datasheet`.
        detail: kernel, shape and library for a measured one; row name for the datasheet.
        url: source of a datasheet figure.
        regime: `burst` or `sustained`; "" for the datasheet.
        samples: the rates measured, in base units per second, bout by bout.
        measured_at: ISO date and time, "" for the datasheet.
    """

    source: str
    detail: str
    url: str = ""
    regime: str = ""
    samples: tuple[float, ...] = ()
    measured_at: str = ""


@dataclass(frozen=True, slots=True)
class Peak:
    """An achievable rate in base units per second (FLOP/s, calls/s, byte/s) and how it is known."""

    rate: float
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class BandwidthPoint:
    """Bandwidth of one mix at one footprint (bytes of distinct memory touched)."""

    footprint_bytes: int
    peak: Peak


@dataclass(frozen=True, slots=True)
class Datasheet:
    """The dense datasheet row of a device: rates in FLOP/s by math mode, null rates left out.

    `source` is the document the row was taken from, `url` where to find it ("" where not known).
    """

    name: str
    flops_per_s: dict[str, float]
    bytes_per_s: float | None
    last_level_cache_bytes: int = 0
    url: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class ShapePeak:
    """The best rate of one of a program's own problems, whatever the roof of its mode.

    One of `product` and `convolution` is there; its sizes are the program's, uncut.
    """

    peak: Peak
    product: Contraction | None = None
    convolution: Convolution | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """All roofs of one device.

    Attributes:
        device: whose roofs they are.
        flops_per_s: burst contraction roof by math mode.
        sustained_flops_per_s: sustained contraction roof by math mode, where measured.
        vector: vector-unit roof in FLOP/s; None where unknown.
        special: special-function roof in calls/s; None where unknown.
        bandwidth: `W[mix]` as points sorted by footprint; mixes `read`, `copy`, `in-place`.
        floor_seconds: the device's shortest kernel; 0 where unknown.
        datasheet: the exact-name row, None for an unknown device (MFU is then n/a).
        shapes: what programs' own problems can reach, where that was measured.
        software: library versions the roofs belong to.
        measured_at: ISO time of the measurement, "" for a datasheet-only capacity.
        warnings: sentences for the report, e.g. a contended measurement.
    """

    device: DeviceIdentity
    flops_per_s: dict[str, Peak] = field(default_factory=dict)
    sustained_flops_per_s: dict[str, Peak] = field(default_factory=dict)
    vector: Peak | None = None
    special: Peak | None = None
    bandwidth: dict[str, tuple[BandwidthPoint, ...]] = field(default_factory=dict)
    floor_seconds: float = 0.0
    datasheet: Datasheet | None = None
    software: dict[str, str] = field(default_factory=dict)
    measured_at: str = ""
    warnings: tuple[str, ...] = ()
    shapes: tuple[ShapePeak, ...] = ()

    def shape_rate(
        self, product: Contraction | None, convolution: Convolution | None
    ) -> float | None:
        """FLOP/s that this very problem can reach; None where that was not measured."""
        if product is None and convolution is None:
            return None
        for shape in self.shapes:
            if (shape.product, shape.convolution) == (product, convolution):
                return shape.peak.rate
        return None

    def bytes_per_s(self, mix: str, footprint_bytes: int) -> float | None:
        """`W[mix](footprint)`: log-log interpolation between the measured points, flat outside.

        A mix that was not measured falls back on `copy`. None where no roof is known at all.
        """
        points = self.bandwidth.get(mix) or self.bandwidth.get("copy")
        if not points:
            return None
        if footprint_bytes <= points[0].footprint_bytes:
            return points[0].peak.rate
        for low, high in pairwise(points):
            if footprint_bytes <= high.footprint_bytes:
                span = math.log(high.footprint_bytes / low.footprint_bytes)
                part = math.log(footprint_bytes / low.footprint_bytes) / span if span else 1.0
                return math.exp(
                    (1 - part) * math.log(low.peak.rate) + part * math.log(high.peak.rate)
                )
        return points[-1].peak.rate
