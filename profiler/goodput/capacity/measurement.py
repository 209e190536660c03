"""What was measured of a device, figure by figure, with the checks that each of them passed.

The derived roofs that reports use are a `Capacity`; this is the evidence under them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from goodput.capacity.profile import Capacity
from goodput.device import DeviceIdentity

OK, NOISY, CONTENDED = "ok", "noisy", "contended"
THROTTLED, SCALED, UNSUPPORTED = "throttled", "scaled", "unsupported"
STATUSES = (OK, NOISY, CONTENDED, THROTTLED, SCALED, UNSUPPORTED)
"""`scaled`: not measured this time but taken from an earlier figure or the datasheet's ratio."""

TRUTH = ("correct", "ceiling", "kernel")
"""The checks without which a figure is none: right results, a possible rate, the kernel meant."""

BURST, SUSTAINED = "burst", "sustained"
"""Regimes: a fraction of a second from rest, and seconds without a pause."""

UNITS = (
    "matmul",
    "convolution",
    "attention",
    "vector",
    "special",
    "memory",
    "irregular",
    "latency",
    "link",
    "collective",
)
"""What a measurement may be of, in the order of the table."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition that a measurement has to meet, and the number it was judged by.

    Attributes:
        name: `correct`, `ceiling`, `kernel` (see `TRUTH`), `clocks`, `contention`, `alone`,
            `bouts`, `spread` or `drift`.
        passed: whether it was met.
        value: the number; None where there is none.
        detail: what the number is and what its limit was.
    """

    name: str
    passed: bool
    value: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure of a device.

    Attributes:
        unit: one of `UNITS`.
        subject: the math mode, memory mix, operation or collective, e.g. `bfloat16`, `copy`.
        regime: `burst` or `sustained`; "" where the difference means nothing (latency).
        rate: FLOP/s, calls/s or byte/s; None where it could not be measured. For a collective the
            bus bandwidth.
        quantity: what `rate` counts per second: `FLOP`, `calls` or `B`.
        status: one of `STATUSES`.
        kernel: library and name of what reached the rate, with its shape.
        shape: its sizes, e.g. `(m, n, k)` or `(batch, m, n, k)`; empty where `size` says it all.
        size: bytes of distinct memory or of the message; 0 where it means nothing.
        bouts: the rates of each bout, in the order measured.
        spread: (largest - smallest) / median over the medians of the bouts; of a single bout over
            its trains, without the outermost tenth.
        clock_hz: mean clock while it ran; None where it cannot be read.
        checks: conditions, met or not.
        detail: one sentence on how it was measured, or why it was not.
        measured_at: ISO time.
    """

    unit: str
    subject: str
    regime: str
    rate: float | None
    quantity: str
    status: str
    kernel: str = ""
    shape: tuple[int, ...] = ()
    size: int = 0
    bouts: tuple[tuple[float, ...], ...] = ()
    spread: float = 0.0
    clock_hz: float | None = None
    checks: tuple[Check, ...] = ()
    detail: str = ""
    measured_at: str = ""

    @property
    def valid(self) -> bool:
        """Whether it may become a roof: there is a rate and every check of its truth is met.

        A contended or noisy figure is a true rate that the device reached, so it may (and the
        report says so); one that failed `correct`, `ceiling` or `kernel` may not.
        """
        return self.rate is not None and all(c.passed for c in self.checks if c.name in TRUTH)


@dataclass(frozen=True, slots=True)
class Curve:
    """A line `seconds = latency_seconds + size / bytes_per_s` through measurements of one subject.

    Attributes:
        unit, subject: as in `Measurement`.
        latency_seconds: time of an empty one.
        bytes_per_s: slope.
        worst: largest relative distance of a measured time from the line.
    """

    unit: str
    subject: str
    latency_seconds: float
    bytes_per_s: float
    worst: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a measurement depends on besides the device itself.

    Attributes:
        threads: CPU threads that the kernels could use.
        affinity: numbers of the cores that this process may run on; empty where not known.
        backends: libraries that competed, e.g. `torch`, `oneDNN`, `NumPy`, `Triton`, `XLA`.
        software: library versions.
        driver: version of the device's driver, "" where not known.
        power_limit_watts: None where it cannot be read.
        max_clock_hz: highest clock that the device reports; None where it cannot be read.
        others: what else used the device when the measurement began, in words.
    """

    threads: int = 0
    affinity: tuple[int, ...] = ()
    backends: tuple[str, ...] = ()
    software: dict[str, str] = field(default_factory=dict)
    driver: str = ""
    power_limit_watts: float | None = None
    max_clock_hz: float | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Peaks:
    """All that `goodput peak` found.

    Attributes:
        device: what was measured.
        capacity: the roofs derived from `measurements`, with the datasheet row where there is one.
        level: `quick`, `standard` or `full`.
        measurements: every figure.
        curves: fitted lines.
        ceilings: FLOP/s at the highest clock by math mode, from the datasheet row; empty without.
        zeros_ratio: rate on zeros over rate on random data of the best kernel by math mode.
        surroundings: threads, backends, versions, clocks.
        seed: of the order in which candidates ran.
        seconds: what the whole measurement took.
        measured_at: ISO time of its end.
        partial: why it is not whole, "" where it is.
        warnings: sentences for the reader.
    """

    device: DeviceIdentity
    capacity: Capacity
    level: str
    measurements: tuple[Measurement, ...] = ()
    curves: tuple[Curve, ...] = ()
    ceilings: dict[str, float] = field(default_factory=dict)
    zeros_ratio: dict[str, float] = field(default_factory=dict)
    surroundings: Surroundings = field(default_factory=Surroundings)
    seed: int = 0
    seconds: float = 0.0
    measured_at: str = ""
    partial: str = ""
    warnings: tuple[str, ...] = ()
