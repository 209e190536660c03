"""What a tournament found, laid into a profile: roofs only ever rise. Pure: measures nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from goodput.calibration.cache import Profile
from goodput.calibration.questions import Questions
from goodput.calibration.validity import LIMIT
from goodput.capacity.datasheet import MIXES, full_row_of
from goodput.capacity.measurement import BURST
from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.measure.bouts import CONTENDED, Outcome, Result, describe
from goodput.measure.statistics import spread
from goodput.units import percent, si

CONTENDED_WORD = "contended"
"""How the warnings begin that a device was shared while it was measured."""

_BOUTS_DIFFER = f"{CONTENDED_WORD}: the bouts"


def peak_of(result: Result, share: float, date: str) -> Peak:
    """The roof of a winner: its best bout, with the rate of each as samples.

    A bout can be slowed by a neighbour and never sped up, and the winner was selected before these
    bouts were measured, so the best of them is no lucky draw.
    """
    rates = result.rates(share)
    detail = describe(result, share)
    return Peak(max(rates), Provenance("measured", detail, "", BURST, rates, date))


def higher(old: Peak | None, new: Peak | None) -> Peak | None:
    """The higher of two roofs, either of which may be missing."""
    if old is None or new is None:
        return old or new
    return new if new.rate > old.rate else old


def raised(capacity: Capacity, mode: str, peak: Peak) -> Capacity:
    """`capacity` with `peak` as the compute roof of `mode`, and of the vector units if it is."""
    flops = {**capacity.flops_per_s, mode: peak}
    return replace(capacity, flops_per_s=flops, vector=vector_roof(capacity, {}, flops))


def extend(
    profile: Profile, outcome: Outcome, questions: Questions, share: float, date: str
) -> Profile:
    """`profile` with every roof that `outcome` found or raised."""
    found = {group: peak_of(result, share, date) for group, result in outcome.winners.items()}
    capacity, rejected = profile.capacity, []
    flops, winners = dict(capacity.flops_per_s), dict(profile.winners)
    for group, peak in found.items():
        kind, _, mode = group.partition(" ")
        if kind != "flops":
            continue
        if impossible(capacity, mode, peak):
            rejected.append(_rejection(mode, peak))
        elif mode not in flops or peak.rate > flops[mode].rate:
            flops[mode] = peak
            source = questions.sources.get(outcome.winners[group].candidate.label)
            if source is not None:
                winners[mode] = source
            else:  # nothing that a spot check could run
                winners.pop(mode, None)
    capacity = replace(
        capacity,
        flops_per_s=flops,
        vector=vector_roof(capacity, found, flops),
        special=higher(capacity.special, found.get("special")),
        bandwidth=_bandwidth(capacity, found),
        floor_seconds=_floor(capacity, found),
        measured_at=date,
        warnings=tuple(dict.fromkeys([*capacity.warnings, *rejected])),
    )
    return replace(profile, capacity=with_contention(capacity), winners=winners)


def impossible(capacity: Capacity, mode: str, peak: Peak) -> bool:
    """Whether `peak` is above what the device does in `mode` at its highest clock."""
    row = full_row_of(capacity.device.name)
    ceiling = row.ceiling_flops_per_s(mode) if row else None
    return ceiling is not None and peak.rate > LIMIT * ceiling


def _rejection(mode: str, peak: Peak) -> str:
    rate = si(peak.rate, "FLOP/s")
    return (
        f"{peak.provenance.detail} reached {rate}, which the device cannot do in {mode} at its "
        "highest clock; it is no roof"
    )


def vector_roof(capacity: Capacity, found: dict[str, Peak], flops: dict[str, Peak]) -> Peak | None:
    """The vector roof of a device with the compute roofs `flops`, and of `found`."""
    vector = higher(capacity.vector, found.get("vector"))
    # The float32 products of a CPU or an NVIDIA GPU run on its vector units: a higher one found
    # among the program's shapes is their rate as well. AMD's run on matrix units.
    return vector if capacity.device.kind == "hip" else higher(vector, flops.get("float32"))


def _bandwidth(capacity: Capacity, found: dict[str, Peak]) -> dict[str, tuple[BandwidthPoint, ...]]:
    curves = dict(capacity.bandwidth)
    for mix in dict.fromkeys([*MIXES, *(group.split()[1] for group in found if _is_memory(group))]):
        points = {point.footprint_bytes: point.peak for point in curves.get(mix, ())}
        for group, peak in found.items():
            kind, _, rest = group.partition(" ")
            name, _, size = rest.rpartition(" ")
            if kind == "bytes" and name == mix:
                points[int(size)] = higher(points.get(int(size)), peak) or peak
        if points:
            curves[mix] = tuple(BandwidthPoint(size, points[size]) for size in sorted(points))
    return curves


def _is_memory(group: str) -> bool:
    return group.startswith("bytes ")


def _floor(capacity: Capacity, found: dict[str, Peak]) -> float:
    known = [capacity.floor_seconds] if capacity.floor_seconds else []
    measured = [1 / found["floor"].rate] if "floor" in found else []
    return min([*known, *measured], default=0.0)


def with_contention(capacity: Capacity) -> Capacity:
    """`capacity` with a sentence on the roofs whose bouts differ, in place of an earlier one."""
    roofs = _roofs(capacity)
    differ = {name: spread(peak.provenance.samples or (1.0,)) for name, peak in roofs.items()}
    unsteady = {name: by for name, by in differ.items() if by > CONTENDED}
    told = []
    if unsteady:
        worst = max(unsteady, key=lambda name: unsteady[name])
        told.append(
            f"{_BOUTS_DIFFER} of {len(unsteady)} of {len(roofs)} roofs differ by more than "
            f"{percent(CONTENDED, 0)} (most: {worst}, {_more(unsteady[worst])}), so other "
            "work shared the device while they were measured"
        )
    return replace(capacity, warnings=retold(capacity.warnings, _BOUTS_DIFFER, told))


def _more(by: float) -> str:
    return percent(by, 0) if by < 1 else f"a factor of {1 + by:.3g}"


def _roofs(capacity: Capacity) -> dict[str, Peak]:
    """The measured roofs by their names for people; one that stands in two places once."""
    products = {f"{mode} products": peak for mode, peak in capacity.flops_per_s.items()}
    units = {"vector": capacity.vector, "special": capacity.special}
    memory = {
        f"{mix} bandwidth at {si(point.footprint_bytes, 'B')}": point.peak
        for mix, points in capacity.bandwidth.items()
        for point in points
    }
    own = {
        name: peak
        for name, peak in units.items()
        if peak is not None and peak not in products.values()
    }
    return {**products, **own, **memory}


def retold(warnings: Iterable[str], kind: str, sentences: Iterable[str]) -> tuple[str, ...]:
    """`warnings` and `sentences`, without the earlier ones that begin with `kind`.

    A profile is extended by many runs, and each would leave a sentence of the same kind.
    """
    earlier = (word for word in warnings if not word.startswith(kind))
    return tuple(dict.fromkeys([*earlier, *sentences]))
