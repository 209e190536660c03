"""`goodput peak`: every figure of a device at one level, each checked, laid into the profile.

The profile is the one that reports use, so what was measured here is what they divide by.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

from goodput.calibration import cache
from goodput.calibration.bench import open_bench, other_frameworks, target_of
from goodput.calibration.cache import Profile
from goodput.calibration.collective_peaks import measure_collectives, ranks_of
from goodput.calibration.device import (
    best_device,
    device_count,
    driver_name,
    free_bytes,
    software_versions,
)
from goodput.calibration.figures import Circumstances
from goodput.calibration.keeping import keep, stored
from goodput.calibration.laying import Found, lay_down, peaks_of
from goodput.calibration.plan import ALL_MODES, FULL, QUICK, SECONDS, STANDARD, Plan, plan_of
from goodput.calibration.proving import Proof, zeros_ratios
from goodput.calibration.sizes import leave_out_slow, most_flops, rates_of
from goodput.calibration.surroundings import surroundings
from goodput.calibration.sustained import sustain
from goodput.calibration.ways import Target
from goodput.capacity.measurement import SCALED, Measurement, Peaks
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError, UsageError
from goodput.frontends.nvidia_clocks import ClockWatch, Reading, other_processes
from goodput.measure.bouts import Bench, Outcome, Protocol, Result, tournament
from goodput.measure.clock import Clock, HostClock
from goodput.units import si
from goodput_kernels.candidate import Candidate
from goodput_kernels.operands import MODES

LOCK_SECONDS = 600.0
"""How long a second measurement waits for a first one on the same host."""

_CHANGES: dict[str, dict[str, Any]] = {
    QUICK: {"extra": 5},
    STANDARD: {"keep": (4, 1), "bout_seconds": 0.1, "extra": 8},
    FULL: {"keep": (8, 3, 1), "bout_seconds": 0.2, "confirmations": 5, "extra": 10},
}
_SUSTAINED_SECONDS = {QUICK: 0.0, STANDARD: 4.0, FULL: 8.0}
_SUSTAINED_MODES = {QUICK: 0, STANDARD: 1, FULL: len(ALL_MODES)}

_OPERAND_SETS = 3
"""How often the operands of a call are in memory: two sets in turns, and one being made."""

_NO_MEMORY = re.compile(r"out of memory|allocate|MemoryError")
"""In what torch, NumPy and JAX say of a size that does not fit."""

Progress = Callable[[str], None]


def measure_peaks(
    level: str, dtypes: tuple[str, ...] = (), *, progress: Progress | None = None
) -> Peaks:
    """Measures the device that this machine has, and keeps the profile in the cache.

    Args:
        level: `quick`, `standard` or `full`.
        dtypes: math modes; empty for those of the level.
        progress: told what is being done, a few words at a time.

    Returns:
        All figures with their checks, and the roofs made of those that are true. `partial` says
        why it is not whole, if it was interrupted.

    Raises:
        UsageError: there is no such level or mode.
        NotMeasuredError: no framework is installed, or nothing could be measured.
    """
    if level not in SECONDS:
        raise UsageError(f"there is no level {level!r}; take one of {', '.join(SECONDS)}")
    unknown = [mode for mode in dtypes if mode not in ALL_MODES]
    if unknown:
        raise UsageError(f"there is no dtype {unknown[0]!r}; take some of {', '.join(ALL_MODES)}")
    clock = HostClock()
    begin, asked_at = clock.now(), clock.epoch()
    told = progress or (lambda _: None)
    (device, framework), software = best_device(), software_versions()
    folder = cache.directory()
    path = cache.path_of(device, software, folder)
    told("waiting for other measurements on this host")
    before = clock.now()
    with cache.host_lock(folder, clock, LOCK_SECONDS) as unlocked:
        known, notes = stored(path)
        meanwhile = _measured_since(known, asked_at, level, dtypes)
        if meanwhile is not None:
            return meanwhile
        begin += clock.now() - before
        # What cannot be kept on the way cannot be kept at the end either, and is told then.
        job = _Job(
            level,
            device,
            framework,
            software,
            clock,
            told,
            begin,
            known,
            lambda profile: keep(path, profile, unlocked),
            list(notes),
        )
        profile, peaks = job.run(dtypes)
        trouble = keep(path, profile, unlocked)
    return replace(peaks, warnings=(*peaks.warnings, *trouble))


def _measured_since(
    known: Profile | None, epoch: float, level: str, dtypes: tuple[str, ...]
) -> Peaks | None:
    """What another process measured of the same while this one waited; None if nothing did."""
    if known is None or known.peaks is None or known.measured_at < epoch:
        return None
    peaks = known.peaks
    if peaks.partial or peaks.level != level:
        return None
    modes = {m.subject for m in peaks.measurements if m.unit == "matmul" and m.status != SCALED}
    return peaks if modes.issuperset(dtypes) else None


@dataclass(slots=True)
class _Job:
    """One measurement: what it has found so far."""

    level: str
    device: DeviceIdentity
    framework: str
    software: dict[str, str]
    clock: Clock
    progress: Progress
    begin: float
    known: Profile | None
    save: Callable[[Profile], object]
    notes: list[str] = field(default_factory=list)
    plan: Plan = field(default_factory=Plan)
    proof: Proof = field(default_factory=lambda: Proof(Outcome({}, {})))
    sustained: dict[str, Result] = field(default_factory=dict)
    zeros: dict[str, float] = field(default_factory=dict)
    collectives: tuple[Measurement, ...] = ()

    def run(self, asked: tuple[str, ...]) -> tuple[Profile, Peaks]:
        """Measure, and lay down what was found beside what is known.

        What each round found is saved at once: a process that is killed leaves it behind, marked.
        """
        target = target_of(self.device, self.framework)
        on_nvidia = self.device.kind == "cuda"
        gpu = driver_name(self.framework) if on_nvidia else ""
        others = other_processes(os.getpid(), gpu) if on_nvidia else ()
        watch = ClockWatch(self.clock, gpu) if on_nvidia else nullcontext()
        with (
            watch as clocks,
            open_bench(target, self.clock, SECONDS[self.level], self.progress) as usual,
            other_frameworks(target),
        ):
            protocol = replace(usual.protocol, **_CHANGES[self.level])

            def laid(partial: str) -> tuple[Profile, Peaks]:
                readings = tuple(clocks.readings) if isinstance(clocks, ClockWatch) else ()
                return self._laid(target, protocol, readings, others, partial)

            def checkpoint(outcome: Outcome) -> None:
                self.proof = Proof(outcome)
                self._save(laid)

            bench = replace(usual, protocol=protocol, checkpoint=checkpoint)
            partial = ""
            try:
                with _terminable():
                    self._measure(asked, target, bench)
            except KeyboardInterrupt:
                partial = f"interrupted {self._told()}"
        if not self._winners():
            raise NotMeasuredError(self._nothing(partial))
        return laid(partial)

    def _laid(
        self,
        target: Target,
        protocol: Protocol,
        readings: tuple[Reading, ...],
        others: tuple[str, ...],
        partial: str,
    ) -> tuple[Profile, Peaks]:
        """The profile, and its figures, of all that was found until now."""
        found = self._found(self._around(target, protocol), readings, partial)
        profile = lay_down(found, self.known, self.software, self.clock.epoch())
        peaks = replace(
            peaks_of(found, profile.capacity, self.known),
            surroundings=surroundings(target, self.software, self._ran(), readings, others),
            seed=protocol.seed,
            seconds=self.clock.now() - self.begin,
        )
        return replace(profile, peaks=peaks, measured_at=self.clock.epoch()), peaks

    def _save(self, laid: Callable[[str], tuple[Profile, Peaks]]) -> None:
        if self._winners():
            profile, _ = laid(f"killed {self._told()}")
            self.save(profile)

    def _told(self) -> str:
        return f"after {self.clock.now() - self.begin:.0f} s; run it again for the rest"

    # What is measured.

    def _measure(self, asked: tuple[str, ...], target: Target, bench: Bench) -> None:
        rates: dict[str, dict[str, float]] = {}

        def most(mode: str) -> float:
            # Modes with kernels of their own have the size of bfloat16.
            own = mode if mode in MODES else "bfloat16"
            rates[mode] = rates_of(own, target, bench, all_backends=True)
            return most_flops(rates[mode])

        self.plan = plan_of(self.level, asked, target, most)
        for mode, found in rates.items():
            leave_out_slow(self.plan.questions, mode, found)
        self._fit_memory(target)
        bench = replace(bench, deadline=self.begin + SECONDS[self.level] - self._reserve())
        self.proof = Proof(tournament(self.plan.questions.groups, bench))
        self.proof.of_all(target, bench, self._share())
        modes = [mode for mode in self.plan.modes if f"flops {mode}" in self._winners()]
        for mode in modes[: _SUSTAINED_MODES[self.level]]:
            winner = self._winners()[f"flops {mode}"].candidate
            self.sustained[mode] = sustain(winner, _SUSTAINED_SECONDS[self.level], bench)
        if self.level == FULL and target.by_torch:
            self._measure_collectives(target, bench)
        if not target.on_cpu:
            self.zeros = zeros_ratios(
                tuple(modes), self.proof.outcome, self.plan.questions, target, bench, self._share()
            )

    def _measure_collectives(self, target: Target, bench: Bench) -> None:
        ranks = ranks_of(device_count(), on_cpu=target.on_cpu)
        self.progress(f"collectives over {ranks} ranks")
        self.collectives = measure_collectives(ranks, self._around(target, bench.protocol))

    def _winners(self) -> dict[str, Result]:
        return self.proof.outcome.winners

    # How it is measured.

    def _around(self, target: Target, protocol: Protocol) -> Circumstances:
        return Circumstances(
            target, self.device.name, protocol.share, target.cores, self.clock.date()
        )

    def _share(self) -> float:
        """Seconds for each of what comes after the rounds, beside the sustained rates."""
        return SECONDS[self.level] * 0.1

    def _reserve(self) -> float:
        """Seconds kept for what comes after the rounds."""
        modes = min(_SUSTAINED_MODES[self.level], len(self.plan.modes))
        return self._share() + _SUSTAINED_SECONDS[self.level] * modes

    def _fit_memory(self, target: Target) -> None:
        """Leave out what does not fit into the device's free memory, and say so."""
        free = _free_bytes(target)
        if free is None:
            return
        left_out, groups = 0, self.plan.questions.groups
        for group, rivals in groups.items():
            groups[group] = [c for c in rivals if _OPERAND_SETS * c.working_set_bytes <= free]
            left_out += len(rivals) - len(groups[group])
        if left_out:
            self.notes.append(
                f"{left_out} larger kernels were left out: others use the device's memory, and "
                f"{si(free, 'B')} are free"
            )

    # What was found.

    def _found(self, around: Circumstances, readings: tuple[Reading, ...], partial: str) -> Found:
        return Found(
            level=self.level,
            device=self.device,
            plan=self.plan,
            outcome=self.proof.outcome,
            verified=self.proof.verified,
            sustained=self.sustained,
            zeros=self.zeros,
            collectives=self.collectives,
            around=around,
            readings=readings,
            partial=partial,
            notes=(*self.notes, *self.proof.notes, *self._short()),
        )

    def _short(self) -> Iterator[str]:
        """What time and memory were too short for."""
        outcome = self.proof.outcome
        lost = sum(bool(_NO_MEMORY.search(reason)) for reason in outcome.unable.values())
        if lost:
            yield f"{lost} kernels ran out of memory, and smaller ones stand in for them"
        if outcome.untried:
            rivals = sum(map(len, self.plan.questions.groups.values()))
            yield (
                f"time was too short to try {outcome.untried} of {rivals} kernels; a higher level "
                "or a quieter machine tries them all"
            )

    def _ran(self) -> Iterator[Candidate]:
        unable = self.proof.outcome.unable
        for rivals in self.plan.questions.groups.values():
            yield from (rival for rival in rivals if rival.label not in unable)

    def _nothing(self, partial: str) -> str:
        if partial:
            return f"nothing was measured: {partial}"
        reasons = list(dict.fromkeys(self.proof.outcome.unable.values()))
        why = f": {reasons[0]}" if reasons else ""
        return f"nothing could be measured on {self.device.name}{why}"


def _free_bytes(target: Target) -> int | None:
    return None if target.on_cpu else free_bytes(target.framework)


@contextmanager
def _terminable() -> Iterator[None]:
    """Inside, a request to terminate ends the measurement as Ctrl-C does: what is there is kept."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread, which no signal reaches
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
