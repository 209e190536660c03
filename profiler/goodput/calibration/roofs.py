"""The roofs of the device in use: cached ones after a spot check, missing ones measured.

The only door to measuring: it reads and writes the cache under the host's lock, so that the ranks
of a job measure once. Trouble with the cache never stops it; it ends as a sentence in
`Capacity.warnings`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from goodput.calibration import cache
from goodput.calibration.assemble import CONTENDED_WORD, extend, higher, raised, retold
from goodput.calibration.bench import open_bench, target_of
from goodput.calibration.cache import Profile
from goodput.calibration.device import software_versions
from goodput.calibration.keeping import keep, stored
from goodput.calibration.neighbours import others_share, watch
from goodput.calibration.questions import (
    Questions,
    ask_memory,
    ask_own,
    ask_pointwise,
    ask_standard,
)
from goodput.calibration.sizes import leave_out_slow, most_flops, rates_of
from goodput.calibration.spot import spot_check
from goodput.calibration.ways import Target
from goodput.capacity.datasheet import row_of
from goodput.capacity.profile import Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.measure.bouts import CONTENDED, Bench, tournament
from goodput.measure.clock import HostClock
from goodput.units import percent
from goodput.work import Contraction
from goodput_kernels.convolution import Convolution
from goodput_kernels.operands import MODES

BUDGET_SECONDS = 20.0
"""After this no further round of bouts starts; the running one may take a few seconds more."""

LOCK_SECONDS = 120.0
FRESH_SECONDS = 60.0
"""A profile measured or checked this lately, by another rank say, is not checked again."""

_OTHERS = f"{CONTENDED_WORD}: other processes"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a program needs roofs for.

    Attributes:
        modes: its math modes, the one with most FLOPs first.
        contractions: its own largest contractions.
        convolutions: its own largest convolutions.
    """

    modes: tuple[str, ...]
    contractions: tuple[Contraction, ...] = ()
    convolutions: tuple[Convolution, ...] = ()


@dataclass(frozen=True, slots=True)
class _Missing:
    """The needs that a profile does not answer yet."""

    modes: tuple[str, ...]
    products: tuple[Contraction, ...]
    convolutions: tuple[Convolution, ...]
    rest: bool

    def __bool__(self) -> bool:
        return bool(self.modes or self.products or self.convolutions or self.rest)

    @property
    def all_modes(self) -> tuple[str, ...]:
        products = (product.mode for product in self.products)
        convolutions = (convolution.mode for convolution in self.convolutions)
        return tuple(dict.fromkeys([*self.modes, *products, *convolutions]))


def capacity_of(
    device: DeviceIdentity,
    needs: Needs,
    *,
    budget_seconds: float = BUDGET_SECONDS,
    progress: Progress | None = None,
) -> Capacity:
    """The roofs of `device`, the one this process uses, for all that `needs` names.

    Args:
        device: as the front end names it.
        needs: modes and shapes; those that the cached profile lacks are measured.
        budget_seconds: time for measuring; a cached profile takes a spot check of at most 1.5 s.
        progress: told what is being done, a few words at a time.

    Returns:
        The capacity; its `warnings` say what could not be measured, kept or confirmed.
    """
    clock, software = HostClock(), software_versions()
    folder = cache.directory()
    path = cache.path_of(device, software, folder)
    with cache.host_lock(folder, clock, LOCK_SECONDS) as unlocked:
        known, notes = stored(path)
        profile = known or Profile(Capacity(device, datasheet=row_of(device.name)))
        profile = replace(profile, capacity=_of_now(profile.capacity, device, software))
        missing = _missing(profile, needs)
        if not known or missing or clock.epoch() - known.checked_at >= FRESH_SECONDS:
            target = target_of(device)
            with open_bench(target, clock, budget_seconds, progress) as bench:
                if known:
                    profile, found = spot_check(profile, _main_mode(profile, needs), target, bench)
                    notes += found
                if missing:
                    profile = _measure_watched(profile, missing, target, bench)
            notes += keep(path, replace(profile, checked_at=clock.epoch()), unlocked)
    contended = any(word.startswith(CONTENDED_WORD) for word in profile.capacity.warnings)
    if contended and path.is_file():
        notes += ("run `goodput peak` when the machine is quiet: it measures all of them again",)
    return _with_datasheet(profile.capacity, needs, notes)


def remeasure(
    capacity: Capacity,
    needs: Needs,
    *,
    budget_seconds: float = BUDGET_SECONDS,
    progress: Progress | None = None,
) -> Capacity:
    """`capacity` after the shapes in `needs` were measured again: what is real raises its roof.

    For a group of calls that seems to be above its roof. The shapes are measured against the
    kernels that made the roof; a roof that nothing passes stays. The cached profile is raised too.
    """
    clock, device = HostClock(), capacity.device
    folder = cache.directory()
    path = cache.path_of(device, software_versions(), folder)
    target = target_of(device)
    with (
        cache.host_lock(folder, clock, LOCK_SECONDS) as unlocked,
        open_bench(target, clock, budget_seconds, progress) as bench,
    ):
        known, notes = stored(path)
        given = Profile(capacity, winners=known.winners if known else {})
        again = _Missing(needs.modes, needs.contractions, needs.convolutions, rest=False)
        measured = _measure(given, again, target, bench)
        if known:
            merged = _raised(known, measured)
            notes += keep(path, replace(merged, checked_at=clock.epoch()), unlocked)
    warnings = dict.fromkeys([*measured.capacity.warnings, *notes])
    return replace(measured.capacity, warnings=tuple(warnings))


def _raised(known: Profile, other: Profile) -> Profile:
    """`known` with the compute roofs of `other` that are higher."""
    capacity, winners = known.capacity, dict(known.winners)
    for mode, peak in other.capacity.flops_per_s.items():
        measured = peak.provenance.source == "measured" and mode in other.winners
        if measured and higher(capacity.flops_per_s.get(mode), peak) is peak:
            capacity, winners[mode] = raised(capacity, mode, peak), other.winners[mode]
    return replace(known, capacity=capacity, winners=winners)


def _of_now(capacity: Capacity, device: DeviceIdentity, software: dict[str, str]) -> Capacity:
    return replace(capacity, device=device, software=software)


def _missing(profile: Profile, needs: Needs) -> _Missing:
    known = profile.capacity.flops_per_s
    return _Missing(
        modes=tuple(m for m in needs.modes if m in MODES and m not in known),
        products=tuple(
            p for p in needs.contractions if p.mode in MODES and p not in profile.products
        ),
        convolutions=tuple(
            c for c in needs.convolutions if c.mode in MODES and c not in profile.convolutions
        ),
        rest=not profile.capacity.bandwidth,
    )


def _main_mode(profile: Profile, needs: Needs) -> str:
    measured = profile.capacity.flops_per_s
    return next((mode for mode in needs.modes if mode in measured), next(iter(measured), ""))


def _measure(profile: Profile, missing: _Missing, target: Target, bench: Bench) -> Profile:
    """`profile` with all that was missing."""
    questions = Questions()
    for mode in missing.all_modes:
        rates = rates_of(mode, target, bench)
        most = most_flops(rates)
        if not most:
            continue
        if mode in profile.winners:
            questions.ask_source(mode, profile.winners[mode], target)
        if mode in missing.modes:
            ask_standard(questions, mode, target, most)
        ask_own(questions, mode, missing.products, missing.convolutions, target, most)
        leave_out_slow(questions, mode, rates)
    if missing.rest:
        ask_memory(questions, target)
        has_products = "float32" in {*missing.modes, *profile.capacity.flops_per_s}
        most = 0.0 if has_products else most_flops(rates_of("float32", target, bench))
        ask_pointwise(questions, target, most)
    outcome = tournament(questions.groups, bench)
    extended = extend(profile, outcome, questions, bench.protocol.share, bench.clock.date())
    return replace(
        extended,
        products=tuple(dict.fromkeys([*profile.products, *missing.products])),
        convolutions=tuple(dict.fromkeys([*profile.convolutions, *missing.convolutions])),
    )


def _measure_watched(profile: Profile, missing: _Missing, target: Target, bench: Bench) -> Profile:
    """`_measure`, with a warning where other processes had more than a trace of the cores."""
    start = watch(bench.clock)
    profile = _measure(profile, missing, target, bench)
    share = others_share(start, watch(bench.clock))
    if not target.on_cpu or share is None or share <= CONTENDED:
        return profile
    warning = (
        f"{_OTHERS} had {percent(share, 0)} of the cores while the roofs were measured, so these "
        "may be too low"
    )
    warnings = retold(profile.capacity.warnings, _OTHERS, [warning])
    return replace(profile, capacity=replace(profile.capacity, warnings=warnings))


def _with_datasheet(capacity: Capacity, needs: Needs, notes: tuple[str, ...]) -> Capacity:
    """`capacity` with the datasheet's rate for modes that could not be measured, and all notes."""
    flops, sheet = dict(capacity.flops_per_s), capacity.datasheet
    told = list(notes)
    for mode in needs.modes:
        if mode in flops:
            continue
        if sheet is not None and mode in sheet.flops_per_s:
            detail = f"datasheet row {sheet.name}: {sheet.source}"
            flops[mode] = Peak(sheet.flops_per_s[mode], Provenance("datasheet", detail, sheet.url))
            told.append(f"no kernel here measures {mode}: its roof is the datasheet's")
        else:
            told.append(f"no kernel here measures {mode} on this device: it has no compute roof")
    warnings = tuple(dict.fromkeys([*capacity.warnings, *told]))
    return replace(capacity, flops_per_s=flops, warnings=warnings)
