"""Whether a measured figure can be believed: each condition with the number it was judged by. Pure.

The limits are those of the measurement's method: no rate above what the device does at its highest
clock, bouts that agree, no drift, nobody else on the device, results that are right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from goodput.capacity.measurement import (
    CONTENDED,
    NOISY,
    OK,
    THROTTLED,
    TRUTH,
    UNSUPPORTED,
    Check,
    Measurement,
)
from goodput.measure.bouts import CONTENDED as BOUTS_DIFFER
from goodput.measure.statistics import median, quantile
from goodput.units import percent, si
from goodput_kernels.candidate import Verification

LIMIT = 1.03
"""No measured rate may be above this times what the device does at its highest clock."""

OTHERS = 0.05
"""The share of the cores that other processes may have had meanwhile: the system's own work."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How steady a device has to be.

    Attributes:
        spread: (95th - 5th percentile) / median of the trains of a bout, at most.
        drift: change from the first third of the bouts to the last, at most.
    """

    spread: float
    drift: float


DEVICE_LIMITS = Limits(spread=0.03, drift=0.02)
# The figure of a CPU is its tenth percentile, so it stands trains that a neighbour slowed down.
CPU_LIMITS = Limits(spread=0.50, drift=0.10)

SLOWDOWN = 8
SOFTWARE_THERMAL = 32
HARDWARE_THERMAL = 64
POWER_BRAKE = 128
POWER_CAP = 4
"""Bits of NVML's reasons for a low clock."""
_INVALID = SLOWDOWN | SOFTWARE_THERMAL | HARDWARE_THERMAL | POWER_BRAKE


def correct(verification: Verification) -> Check:
    """The results against float64."""
    detail = (
        f"relative error of {verification.compared} against float64, at most "
        f"{verification.limit:.1e}"
    )
    return Check("correct", verification.passed, verification.error, detail)


def below_ceiling(rate: float, ceiling: float, quantity: str) -> Check:
    """The rate against what the device does at its highest clock, or its memory pins."""
    share = rate / ceiling
    detail = f"share of {si(ceiling, quantity + '/s')}, at most {LIMIT}"
    return Check("ceiling", share <= LIMIT, share, detail)


def steady(bouts: Sequence[Sequence[float]], limits: Limits) -> Check:
    """The rates of the trains inside the bouts."""
    worst = max(map(_inside, bouts), default=0.0)
    detail = f"(95th - 5th percentile) / median of a bout, at most {percent(limits.spread, 0)}"
    return Check("spread", worst <= limits.spread, worst, detail)


def confirmed(bouts: Sequence[Sequence[float]]) -> Check:
    """How often it was measured: from inside, a bad second looks as calm as a good one."""
    return Check("bouts", len(bouts) > 1, float(len(bouts)), "bouts a second apart, at least 2")


def agreeing(bouts: Sequence[Sequence[float]]) -> Check:
    """The medians of the bouts, at least a second apart."""
    differ = spread_of(bouts)
    detail = f"(most - least) / median of {len(bouts)} bouts, at most {percent(BOUTS_DIFFER, 0)}"
    return Check("alone", differ <= BOUTS_DIFFER, differ, detail)


def spread_of(bouts: Sequence[Sequence[float]]) -> float:
    """(Largest - smallest) / median over the medians of the bouts.

    Of one bout (a sustained rate has no more) the same of its trains, without the outermost tenth.
    """
    if len(bouts) == 1:
        return _inside(bouts[0])
    middles = [median(bout) for bout in bouts]
    return (max(middles) - min(middles)) / median(middles) if middles else 0.0


def _inside(bout: Sequence[float]) -> float:
    return (quantile(bout, 0.95) - quantile(bout, 0.05)) / median(bout)


def without_drift(bouts: Sequence[Sequence[float]], limits: Limits) -> Check:
    """The last third of all rates against the first."""
    rates = [rate for bout in bouts for rate in bout]
    third = max(len(rates) // 3, 1)
    change = abs(median(rates[-third:]) / median(rates[:third]) - 1)
    detail = f"last third against the first, at most {percent(limits.drift, 0)}"
    return Check("drift", change <= limits.drift, change, detail)


def uncontended(share: float | None) -> Check | None:
    """The share of the cores that others had; None where the system does not tell."""
    if share is None:
        return None
    detail = f"share of the cores that other processes had, at most {percent(OTHERS, 0)}"
    return Check("contention", share <= OTHERS, share, detail)


def clocks(reasons: int, sustained: bool) -> Check:
    """NVML's reasons for a low clock: heat and brakes are no state to measure in.

    The power cap is what a sustained figure is about; a burst should not reach it.
    """
    bad = reasons & (_INVALID if sustained else _INVALID | POWER_CAP)
    return Check("clocks", not bad, float(reasons), "bits of the reasons for a low clock")


def status_of(rate: float | None, checks: Iterable[Check]) -> str:
    """One word for a measurement; the worst of what its checks say.

    A figure without a rate is `unsupported`; one that failed a check of its truth is no figure.
    """
    if rate is None:
        return UNSUPPORTED
    failed = {check.name for check in checks if not check.passed}
    if "clocks" in failed:
        return THROTTLED
    if failed & {"alone", "contention"}:
        return CONTENDED
    return NOISY if failed & {"bouts", "spread", "drift"} else OK


def untrue(measurement: Measurement) -> str:
    """Why a measurement may not become a roof; "" where it may."""
    for check in measurement.checks:
        if not check.passed and check.name in TRUTH:
            return told(check)
    return ""


def told(check: Check) -> str:
    """A check in words, e.g. `ceiling 1.21: share of 1.07 PFLOP/s, at most 1.03`."""
    value = "" if check.value is None else f" {check.value:.3g}"
    return f"{check.name}{value}: {check.detail}"
