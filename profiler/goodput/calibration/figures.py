"""From the bouts of a winner to a measurement with its checks. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from goodput.calibration import validity
from goodput.calibration.plan import Figure
from goodput.calibration.questions import Source
from goodput.calibration.ways import Target
from goodput.capacity.datasheet import full_row_of
from goodput.capacity.measurement import (
    BURST,
    SCALED,
    SUSTAINED,
    UNSUPPORTED,
    Check,
    Measurement,
)
from goodput.capacity.profile import Capacity
from goodput.frontends.nvidia_clocks import (
    Reading,
    during,
    highest_clock,
    mean_clock,
    reasons,
)
from goodput.measure.bouts import Result, describe

_TIMELESS = ("latency",)
"""Units for which burst and sustained mean nothing."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a winner was measured under.

    Attributes:
        target: the device.
        name: its exact runtime name, for the datasheet.
        share: the quantile of call times that is a bout's figure.
        cores: in use.
        date: ISO time.
    """

    target: Target
    name: str
    share: float
    cores: int
    date: str


def measurement(
    figure: Figure,
    result: Result,
    around: Circumstances,
    source: Source | None = None,
    extra: tuple[Check, ...] = (),
    readings: tuple[Reading, ...] = (),
    regime: str = BURST,
) -> Measurement:
    """The measurement of a winner.

    Args:
        figure: what it measures.
        result: its bouts.
        around: what it was measured under.
        source: the problem behind a compute roof.
        extra: checks that were made elsewhere (correctness, the kernel that ran).
        readings: of the driver; those while it ran count.
        regime: `burst` or `sustained`.
    """
    amount, share = result.candidate.amount, around.share if regime == BURST else 0.5
    readings = during(readings, result.spans)
    bouts = tuple(tuple(amount / s for s in bout.seconds) for bout in result.bouts)
    rate = max(result.rates(share))
    checks = (*extra, *_checks(figure, rate, bouts, result, around, readings, regime))
    return Measurement(
        unit=figure.unit,
        subject=figure.subject,
        regime="" if figure.unit in _TIMELESS else regime,
        rate=rate,
        quantity=figure.quantity,
        status=validity.status_of(rate, checks),
        kernel=result.candidate.label,
        shape=_shape(source),
        size=figure.size,
        bouts=bouts,
        spread=validity.spread_of(bouts),
        clock_hz=mean_clock(readings),
        checks=checks,
        detail=describe(result, share),
        measured_at=around.date,
    )


def unsupported(figure: Figure, reason: str, around: Circumstances) -> Measurement:
    """A figure that nothing here can give."""
    return Measurement(
        unit=figure.unit,
        subject=figure.subject,
        regime="",
        rate=None,
        quantity=figure.quantity,
        status=UNSUPPORTED,
        size=figure.size,
        detail=reason,
        measured_at=around.date,
    )


def scaled(mode: str, capacity: Capacity, share: float, around: Circumstances) -> Measurement:
    """A mode that was not measured: the datasheet's rate times `share`, and no roof."""
    sheet = capacity.datasheet
    assert sheet is not None  # noqa: S101 - the caller took the mode from it
    return Measurement(
        unit="matmul",
        subject=mode,
        regime=BURST,
        rate=share * sheet.flops_per_s[mode],
        quantity="FLOP",
        status=SCALED,
        detail=f"not measured: {share:.2f} of the datasheet, as the modes that were",
        measured_at=around.date,
    )


def _checks(
    figure: Figure,
    rate: float,
    bouts: tuple[tuple[float, ...], ...],
    result: Result,
    around: Circumstances,
    readings: tuple[Reading, ...],
    regime: str,
) -> list[Check]:
    on_cpu = around.target.on_cpu
    limits = validity.CPU_LIMITS if on_cpu else validity.DEVICE_LIMITS
    found = [validity.steady(bouts, limits), validity.without_drift(bouts, limits)]
    if regime == BURST:
        found.append(validity.confirmed(bouts))
    if len(bouts) > 1:
        found.append(validity.agreeing(bouts))
    ceiling = ceiling_of(figure, around, highest_clock(readings))
    if ceiling is not None:
        found.append(validity.below_ceiling(rate, ceiling, figure.quantity))
    contention = validity.uncontended(result.others_share(around.cores)) if on_cpu else None
    if contention is not None:
        found.append(contention)
    if readings:
        found.append(validity.clocks(reasons(readings), sustained=regime == SUSTAINED))
    return found


def ceiling_of(
    figure: Figure, around: Circumstances, driver_hz: float | None = None
) -> float | None:
    """What the device does at most: by units and highest clock, or by its memory's pins."""
    row = full_row_of(around.name)
    if row is None:
        return None
    if figure.unit == "matmul":
        return row.ceiling_flops_per_s(figure.subject.split()[0], driver_hz)
    if figure.unit == "memory" and figure.size > 4 * max(row.last_level_cache_bytes, 1):
        return row.bytes_per_s
    return None


def _shape(source: Source | None) -> tuple[int, ...]:
    if source is None:
        return ()
    if source.product is not None:
        p = source.product
        return (p.m, p.n, p.k) if p.batch == 1 else (p.batch, p.m, p.n, p.k)
    assert source.convolution is not None  # noqa: S101 - one of the two
    return source.convolution.image
