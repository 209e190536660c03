"""From what a full measurement found to the profile that reports use, and to its figures. Pure.

A figure that failed a check of its truth makes no roof; one that was measured badly never replaces
a better one from before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from goodput.calibration import figures
from goodput.calibration.assemble import extend, higher
from goodput.calibration.cache import Profile
from goodput.calibration.curves import curves_of
from goodput.calibration.figures import SUSTAINED, Circumstances
from goodput.calibration.plan import ALL_MODES, Figure, Plan
from goodput.calibration.validity import untrue
from goodput.capacity.datasheet import full_row_of, row_of
from goodput.capacity.measurement import OK, SCALED, Check, Measurement, Peaks
from goodput.capacity.profile import Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.frontends.nvidia_clocks import Reading
from goodput.measure.bouts import Outcome, Result


@dataclass(frozen=True, slots=True)
class Found:
    """What one measurement found.

    Attributes:
        level: `quick`, `standard` or `full`.
        device: measured.
        plan: what was asked.
        outcome: the winner of each group.
        verified: the checks of results and kernels, by label.
        sustained: back-to-back windows, by mode.
        zeros: rate on zeros over rate on random data, by mode.
        around: when and under what.
        collectives: figures of the ranks of this host.
        readings: of the driver.
        partial: why it is not whole.
        notes: sentences for the reader.
    """

    level: str
    device: DeviceIdentity
    plan: Plan
    outcome: Outcome
    around: Circumstances
    verified: dict[str, tuple[Check, ...]] = field(default_factory=dict)
    sustained: dict[str, Result] = field(default_factory=dict)
    zeros: dict[str, float] = field(default_factory=dict)
    collectives: tuple[Measurement, ...] = ()
    readings: tuple[Reading, ...] = ()
    partial: str = ""
    notes: tuple[str, ...] = ()


def lay_down(
    found: Found, known: Profile | None, software: dict[str, str], epoch: float
) -> Profile:
    """The profile: every true figure as a roof, and what `known` has better or alone."""
    true = {g: m for g, m in measurements(found).items() if not untrue(m)}
    winners = {g: r for g, r in found.outcome.winners.items() if g in true}
    profile = extend(
        Profile(Capacity(found.device, datasheet=row_of(found.device.name))),
        Outcome(winners, found.outcome.unable),
        found.plan.questions,
        found.around.share,
        found.around.date,
    )
    sustained = {
        mode: Peak(m.rate, Provenance("measured", m.detail, "", SUSTAINED, (), m.measured_at))
        for mode in found.sustained
        if (m := true.get(f"sustained {mode}")) is not None and m.rate is not None
    }
    capacity = replace(profile.capacity, sustained_flops_per_s=sustained, software=software)
    profile = replace(profile, capacity=capacity, checked_at=epoch)
    return profile if known is None else _kept(known, profile, true)


def _kept(known: Profile, fresh: Profile, true: dict[str, Measurement]) -> Profile:
    """`fresh`, with what it did not measure, or measured badly and lower, from `known`."""
    capacity, winners = fresh.capacity, dict(fresh.winners)
    flops = dict(capacity.flops_per_s)
    for mode, old in known.capacity.flops_per_s.items():
        m = true.get(f"flops {mode}")
        good = m is not None and m.status == OK
        if not good and higher(flops.get(mode), old) is old:
            flops[mode] = old
            if mode in known.winners:
                winners[mode] = known.winners[mode]
    before = known.capacity
    capacity = replace(
        capacity,
        flops_per_s=flops,
        sustained_flops_per_s={**before.sustained_flops_per_s, **capacity.sustained_flops_per_s},
        bandwidth={**before.bandwidth, **capacity.bandwidth},
    )
    return replace(fresh, capacity=capacity, winners=winners)


def measurements(found: Found) -> dict[str, Measurement]:
    """Every figure that has a rate, by its group; sustained ones by `sustained MODE`."""
    sources, around = found.plan.questions.sources, found.around
    burst = {
        group: figures.measurement(
            found.plan.figures[group],
            result,
            around,
            sources.get(result.candidate.label),
            found.verified.get(result.candidate.label, ()),
            found.readings,
        )
        for group, result in found.outcome.winners.items()
    }
    sustained = {
        f"sustained {mode}": figures.measurement(
            found.plan.figures[f"flops {mode}"],
            result,
            around,
            sources.get(result.candidate.label),
            readings=found.readings,
            regime=SUSTAINED,
        )
        for mode, result in found.sustained.items()
    }
    return {**burst, **sustained}


def peaks_of(found: Found, capacity: Capacity, known: Profile | None) -> Peaks:
    """All figures, with those that could not be measured and those from before."""
    measured = measurements(found)
    untold = [f"{m.kernel} is no roof: {why}" for m in measured.values() if (why := untrue(m))]
    every = (*measured.values(), *_lacking(found, measured), *found.collectives)
    every += _from_before(every, known, found)
    every += _by_ratio(every, capacity, found)
    row = full_row_of(found.device.name)
    ceilings = {mode: row.ceiling_flops_per_s(mode) for mode in ALL_MODES} if row else {}
    return Peaks(
        device=found.device,
        capacity=capacity,
        level=found.level,
        measurements=every,
        curves=curves_of(every),
        ceilings={mode: rate for mode, rate in ceilings.items() if rate is not None},
        zeros_ratio=found.zeros,
        measured_at=found.around.date,
        partial=found.partial,
        warnings=tuple(dict.fromkeys([*found.notes, *untold, *capacity.warnings])),
    )


def _lacking(found: Found, measured: dict[str, Measurement]) -> tuple[Measurement, ...]:
    """What was asked for and could not be had, with the reason."""
    modes = {f"flops {mode}": reason for mode, reason in found.plan.unsupported.items()}
    groups = [g for g in found.plan.figures if g not in measured]
    return (
        *(
            figures.unsupported(Figure("matmul", group.split()[1], "FLOP"), reason, found.around)
            for group, reason in modes.items()
        ),
        *(
            figures.unsupported(found.plan.figures[group], _why(found, group), found.around)
            for group in groups
        ),
    )


def _why(found: Found, group: str) -> str:
    if found.partial:
        return found.partial
    unable = found.outcome.unable
    reasons = [unable[c.label] for c in found.plan.questions.groups[group] if c.label in unable]
    return reasons[0] if reasons else "nothing that fits into the device's free memory"


def _key(m: Measurement) -> tuple[str, str, int, bool]:
    return (m.unit, m.subject, m.size, m.regime == SUSTAINED)


def _from_before(
    every: tuple[Measurement, ...], known: Profile | None, found: Found
) -> tuple[Measurement, ...]:
    """Figures of an earlier measurement that this level left out."""
    if known is None or known.peaks is None:
        return ()
    have = {_key(m) for m in every if m.rate is not None}
    lost = set(found.plan.unsupported)
    return tuple(
        replace(m, status=SCALED, detail=f"measured {m.measured_at}, not this time; {m.detail}")
        for m in known.peaks.measurements
        if m.rate is not None and m.status != SCALED and _key(m) not in have
        if not (m.unit == "matmul" and m.subject in lost)
    )


def _by_ratio(
    every: tuple[Measurement, ...], capacity: Capacity, found: Found
) -> tuple[Measurement, ...]:
    """Modes that nobody measured: the datasheet's rate times the least share that others reach."""
    sheet = capacity.datasheet
    if sheet is None:
        return ()
    shares = [
        peak.rate / sheet.flops_per_s[mode]
        for mode, peak in capacity.flops_per_s.items()
        if mode in sheet.flops_per_s
    ]
    have = {m.subject for m in every if m.unit == "matmul"}
    left = [mode for mode in sheet.flops_per_s if mode in ALL_MODES and mode not in have]
    if not shares:
        return ()
    return tuple(figures.scaled(mode, capacity, min(shares), found.around) for mode in left)
