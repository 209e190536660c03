"""From what a full measurement found to the profile that reports use, and to its figures. Pure.

A figure that failed a check of its truth makes no roof; one that was measured badly never replaces
a better one from before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from goodput.calibration import figures
from goodput.calibration.assemble import extend, higher, vector_roof, with_contention
from goodput.calibration.cache import Profile
from goodput.calibration.curves import curves_of
from goodput.calibration.figures import Circumstances
from goodput.calibration.plan import ALL_MODES, Figure, Plan
from goodput.calibration.validity import untrue
from goodput.capacity.datasheet import full_row_of, row_of
from goodput.capacity.measurement import OK, SCALED, SUSTAINED, Check, Measurement, Peaks
from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance, ShapePeak
from goodput.device import DeviceIdentity
from goodput.frontends.nvidia_clocks import Reading, highest_clock
from goodput.measure.bouts import Outcome, Result
from goodput.units import si

_EARLIER = "not measured this time, but"


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
    winners = {g: r for g, r in winners_of(found).items() if g in true}
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
    if known is None:
        return profile
    good = frozenset(group for group, m in true.items() if m.status == OK)
    return _kept(known, profile, good)


def _kept(known: Profile, fresh: Profile, good: frozenset[str]) -> Profile:
    """`fresh`, with what it did not measure, or measured badly and lower, from `known`."""
    before, now = known.capacity, fresh.capacity
    flops = _better("flops", before.flops_per_s, now.flops_per_s, good)
    # The vector roof that is a float32 product's stands and falls with it.
    vector = None if before.vector == before.flops_per_s.get("float32") else before.vector
    capacity = replace(
        now,
        flops_per_s=flops,
        sustained_flops_per_s=_better(
            SUSTAINED, before.sustained_flops_per_s, now.sustained_flops_per_s, good
        ),
        vector=now.vector if "vector" in good else higher(now.vector, vector),
        special=now.special if "special" in good else higher(now.special, before.special),
        bandwidth=_better_bandwidth(before, now, good),
        floor_seconds=now.floor_seconds if "floor" in good else _shorter(before, now),
        # A problem's own rate above the roof is out of date; it is measured again when asked for.
        shapes=tuple(s for s in before.shapes if _below_roof(s, flops)),
    )
    winners = {
        mode: source
        for profile in (known, fresh)
        for mode, source in profile.winners.items()
        if flops[mode] is profile.capacity.flops_per_s.get(mode)
    }
    capacity = replace(capacity, vector=vector_roof(capacity, {}, flops))
    return replace(fresh, capacity=with_contention(capacity), winners=winners)


def _better(
    kind: str, before: dict[str, Peak], now: dict[str, Peak], good: frozenset[str]
) -> dict[str, Peak]:
    """Each roof of now where its figure is good, else the higher of the two."""
    return {
        key: peak
        for key in dict.fromkeys([*before, *now])
        if (peak := now[key] if f"{kind} {key}" in good else higher(before.get(key), now.get(key)))
    }


def _better_bandwidth(
    before: Capacity, now: Capacity, good: frozenset[str]
) -> dict[str, tuple[BandwidthPoint, ...]]:
    def points(capacity: Capacity, mix: str) -> dict[str, Peak]:
        found = capacity.bandwidth.get(mix, ())
        return {str(point.footprint_bytes): point.peak for point in found}

    curves = {}
    for mix in dict.fromkeys([*now.bandwidth, *before.bandwidth]):
        peaks = _better(f"bytes {mix}", points(before, mix), points(now, mix), good)
        sizes = sorted(peaks, key=int)
        curves[mix] = tuple(BandwidthPoint(int(size), peaks[size]) for size in sizes)
    return curves


def _shorter(before: Capacity, now: Capacity) -> float:
    return min(filter(None, (before.floor_seconds, now.floor_seconds)), default=0.0)


def _below_roof(shape: ShapePeak, flops: dict[str, Peak]) -> bool:
    problem = shape.product or shape.convolution
    roof = flops.get(problem.mode) if problem else None
    return roof is not None and shape.peak.rate <= roof.rate


def winners_of(found: Found) -> dict[str, Result]:
    """The winners; what is faster than the best of a wider group is the best of that one too.

    A product on fewer threads, or of few rows, is a product of its mode; one in float32 runs on the
    vector units, except on AMD.
    """
    winners = dict(found.outcome.winners)

    def promote(group: str, to: str) -> None:
        both = [winners[name] for name in (to, group) if name in winners]
        if len(both) > 1:
            winners[to] = max(both, key=lambda result: max(result.rates(found.around.share)))

    for group, figure in found.plan.figures.items():
        if figure.unit == "matmul":
            promote(group, f"flops {figure.subject.split()[0]}")
    if found.device.kind != "hip":
        promote("flops float32", "vector")
    return winners


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
        for group, result in winners_of(found).items()
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
    every = (*measured.values(), *found.collectives)
    every += _from_before(every, known, found)
    every += _lacking(found, every)
    every += _by_ratio(every, capacity, found)
    row = full_row_of(found.device.name)
    clock = highest_clock(found.readings)
    ceilings = {mode: row.ceiling_flops_per_s(mode, clock) for mode in ALL_MODES} if row else {}
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
        warnings=tuple(
            dict.fromkeys([*found.notes, *untold, *_older(measured, capacity), *capacity.warnings])
        ),
    )


def _older(measured: dict[str, Measurement], capacity: Capacity) -> list[str]:
    """Which compute roofs are from before, since they were measured worse this time."""
    return [
        f"the {mode} roof is still that of {peak.provenance.measured_at}, "
        f"{si(peak.rate, 'FLOP/s')}: this time it was {m.status}, and lower"
        for mode, peak in capacity.flops_per_s.items()
        if (m := measured.get(f"flops {mode}")) is not None
        if m.rate is not None and not untrue(m) and m.rate < peak.rate
    ]


def _lacking(found: Found, every: tuple[Measurement, ...]) -> tuple[Measurement, ...]:
    """What was asked for and cannot be had, with the reason; not what an interruption left out."""
    asked = {
        **{Figure("matmul", mode, "FLOP"): why for mode, why in found.plan.unsupported.items()},
        **{
            figure: _why(found, group)
            for group, figure in found.plan.figures.items()
            if not found.partial or _tried(found, group)
        },
    }
    have = {_key(m) for m in every}
    rows = (figures.unsupported(figure, why, found.around) for figure, why in asked.items())
    return tuple(row for row in rows if _key(row) not in have)


def _tried(found: Found, group: str) -> bool:
    rivals = found.plan.questions.groups.get(group, [])
    return bool(rivals) and all(rival.label in found.outcome.unable for rival in rivals)


def _why(found: Found, group: str) -> str:
    unable = found.outcome.unable
    rivals = found.plan.questions.groups.get(group, [])
    reasons = [unable[rival.label] for rival in rivals if rival.label in unable]
    return reasons[0] if reasons else "nothing that fits into the device's free memory"


def _key(m: Measurement) -> tuple[str, str, int, bool]:
    return (m.unit, m.subject, m.size, m.regime == SUSTAINED)


def _from_before(
    every: tuple[Measurement, ...], known: Profile | None, found: Found
) -> tuple[Measurement, ...]:
    """Figures of an earlier measurement that this one left out, or did not come to."""
    if known is None or known.peaks is None:
        return ()
    have = {_key(m) for m in every if m.rate is not None}
    lost = set(found.plan.unsupported)
    return tuple(
        m
        if m.status == SCALED
        else replace(m, status=SCALED, detail=f"{_EARLIER} {m.measured_at}; {m.detail}")
        for m in known.peaks.measurements
        if m.rate is not None and m.kernel and _key(m) not in have
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
