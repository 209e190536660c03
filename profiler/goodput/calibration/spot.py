"""The spot check of a cached profile: one contraction and one copy, at most 1.5 seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from goodput.calibration import ways
from goodput.calibration.assemble import higher, peak_of, raised
from goodput.calibration.cache import Profile
from goodput.calibration.questions import Source
from goodput.calibration.ways import Target
from goodput.capacity.profile import BandwidthPoint, Peak
from goodput.measure.bouts import CANNOT_RUN, Bench, Result, bout
from goodput.units import percent, si
from goodput_kernels.candidate import Candidate
from goodput_kernels.threads import one_thread

AGREES = 0.03
"""A check within this of the cached roof confirms it; more raises the roof, and less is told."""

_BOUT_SECONDS = 0.25


def spot_check(
    profile: Profile, mode: str, target: Target, bench: Bench
) -> tuple[Profile, tuple[str, ...]]:
    """`profile`, its roofs raised where the check found more, and sentences where it found less."""
    protocol = replace(bench.protocol, bout_seconds=_BOUT_SECONDS, most=1000)
    bench = replace(bench, protocol=protocol)
    profile, product = _check_product(profile, mode, target, bench)
    profile, copy = _check_copy(profile, target, bench)
    return profile, (*product, *copy)


def _check_product(
    profile: Profile, mode: str, target: Target, bench: Bench
) -> tuple[Profile, tuple[str, ...]]:
    old, source = profile.capacity.flops_per_s.get(mode), profile.winners.get(mode)
    if old is None:
        return profile, ()
    new = _best(_winner(source, old, target), bench)
    if new is None:
        label = old.provenance.detail.partition(";")[0]
        return profile, (
            f"nothing confirms the cached {mode} roof: its kernel, {label}, does not run here now",
        )
    if new.rate > (1 + AGREES) * old.rate:
        return replace(profile, capacity=raised(profile.capacity, mode, new)), ()
    return profile, _lower(f"{mode} roof", old, new, "FLOP/s")


def _winner(source: Source | None, old: Peak, target: Target) -> list[Candidate]:
    """The kernel that made the roof `old`: no other can confirm it.

    On a CPU on one thread as well, which may beat all where others share the cores.
    """
    if source is None:
        return []
    label = old.provenance.detail.partition(";")[0]
    threaded = target.on_cpu and target.by_torch
    alone = one_thread if threaded else (lambda candidate: candidate)
    for candidate in source.candidates(target):
        both = {c.label: c for c in (candidate, alone(candidate))}
        if label in both:
            return list(both.values())
    return [candidate for candidate in source.others(target) if candidate.label == label]


def _check_copy(profile: Profile, target: Target, bench: Bench) -> tuple[Profile, tuple[str, ...]]:
    curve = profile.capacity.bandwidth.get("copy", ())
    if not curve:
        return profile, ()
    size, old = curve[-1].footprint_bytes, curve[-1].peak
    new = _best(ways.movers(target, "copy", size), bench)
    if new is None:
        return profile, ()
    if new.rate > (1 + AGREES) * old.rate:
        points = (*curve[:-1], BandwidthPoint(size, new))
        bandwidth = {**profile.capacity.bandwidth, "copy": points}
        return replace(profile, capacity=replace(profile.capacity, bandwidth=bandwidth)), ()
    return profile, _lower("main-memory copy roof", old, new, "B/s")


def _best(rivals: Sequence[Candidate], bench: Bench) -> Peak | None:
    """The highest rate of one bout of each; None where none can run any more."""
    best: Peak | None = None
    for candidate in rivals:
        bench.progress(f"spot check: {candidate.label}")
        try:
            samples = bout(candidate, bench.stopwatch, bench.protocol)
        except CANNOT_RUN:
            continue
        result = Result(candidate, confirmed=[samples])
        best = higher(best, peak_of(result, bench.protocol.share, bench.clock.date()))
    return best


def _lower(what: str, old: Peak, new: Peak, unit: str) -> tuple[str, ...]:
    loss = 1 - new.rate / old.rate
    if loss <= AGREES:
        return ()
    sentence = (
        f"the spot check found {percent(loss, 0)} less than the cached {what}: "
        f"{si(new.rate, unit)} now, {si(old.rate, unit)} on {old.provenance.measured_at}; "
        "the roof is kept, and the device is busy or slower than it was"
    )
    return (sentence,)
