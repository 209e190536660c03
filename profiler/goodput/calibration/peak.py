"""`goodput peak`: every figure of a device at one level, each checked, laid into the profile.

The profile is the one that reports use, so what was measured here is what they divide by.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from goodput.calibration import cache
from goodput.calibration.bench import open_bench, other_frameworks, target_of
from goodput.calibration.cache import Profile
from goodput.calibration.collective_peaks import measure_collectives, ranks_of
from goodput.calibration.device import best_device, device_count, software_versions
from goodput.calibration.figures import Circumstances
from goodput.calibration.laying import Found, lay_down, peaks_of
from goodput.calibration.neighbours import others_seconds
from goodput.calibration.plan import (
    ALL_MODES,
    FULL,
    QUICK,
    SECONDS,
    STANDARD,
    Plan,
    plan_of,
)
from goodput.calibration.questions import Target
from goodput.calibration.sizes import most_flops
from goodput.calibration.surroundings import surroundings
from goodput.calibration.sustained import sustain
from goodput.calibration.validity import correct
from goodput.capacity.measurement import Check, Measurement, Peaks
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError, UsageError
from goodput.frontends.nvidia_clocks import ClockWatch, Reading, other_processes
from goodput.measure.bouts import CANNOT_RUN, Bench, Outcome, Protocol, Result, tournament
from goodput.measure.clock import Clock, HostClock
from goodput_kernels import matmul
from goodput_kernels.candidate import Candidate
from goodput_kernels.operands import MODES, ZEROS

LOCK_SECONDS = 600.0
"""How long a second measurement waits for a first one on the same host."""

_CHANGES: dict[str, dict[str, object]] = {
    QUICK: {},
    STANDARD: {"keep": (4, 1), "bout_seconds": 0.1},
    FULL: {"keep": (8, 3, 1), "bout_seconds": 0.2, "confirmations": 5, "extra": 3},
}
_SUSTAINED_SECONDS = {QUICK: 0.0, STANDARD: 4.0, FULL: 8.0}
_SUSTAINED_MODES = {QUICK: 0, STANDARD: 1, FULL: len(ALL_MODES)}
_TRIES = 3
"""Winners of one group that may turn out wrong before the group is given up."""

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
    if find_spec("torch") is None:
        raise NotMeasuredError(
            "no framework is installed, and without one there is nothing to measure with; "
            "pip install 'goodput-profiler[torch]'"
        )
    device, clock, software = best_device(), HostClock(), software_versions()
    folder = cache.directory()
    path = cache.path_of(device, software, folder)
    with cache.host_lock(folder, clock, LOCK_SECONDS) as unlocked:
        job = _Job(level, device, software, path, clock, progress or (lambda _: None))
        if unlocked:
            job.notes.append(f"{unlocked}, so other processes of this host may measure meanwhile")
        return job.run(dtypes)


@dataclass(slots=True)
class _Job:
    """One measurement: what it has found so far."""

    level: str
    device: DeviceIdentity
    software: dict[str, str]
    path: Path
    clock: Clock
    progress: Progress
    notes: list[str] = field(default_factory=list)
    outcome: Outcome = field(default_factory=lambda: Outcome({}, {}))
    verified: dict[str, tuple[Check, ...]] = field(default_factory=dict)
    sustained: dict[str, Result] = field(default_factory=dict)
    zeros: dict[str, float] = field(default_factory=dict)
    collectives: tuple[Measurement, ...] = ()
    partial: str = ""

    def run(self, asked: tuple[str, ...]) -> Peaks:
        """Measure, keep and return."""
        begin = self.clock.now()
        target = target_of(self.device)
        known = self._known()
        on_device = target.torch_device != "cpu"
        others = other_processes(os.getpid()) if on_device else ()
        watch = ClockWatch(self.clock) if self.device.kind == "cuda" else nullcontext()
        seconds = SECONDS[self.level] - self._reserve()
        plan = Plan()
        readings: tuple[Reading, ...] = ()
        with (
            watch as clocks,
            open_bench(target, self.clock, seconds, self.progress) as usual,
            other_frameworks(target),
        ):
            bench = self._tuned(usual, target)
            try:
                with _terminable():
                    plan = plan_of(
                        self.level, asked, target, lambda mode: self._most(mode, target, bench)
                    )
                    self._fit_memory(plan, target)
                    self._measure(plan, target, bench)
            except KeyboardInterrupt:
                passed = self.clock.now() - begin
                self.partial = f"interrupted after {passed:.0f} s; run it again for the rest"
            if isinstance(clocks, ClockWatch):
                readings = tuple(clocks.readings)
        if not self.outcome.winners:
            raise NotMeasuredError(self._nothing())
        found = Found(
            level=self.level,
            device=self.device,
            plan=plan,
            outcome=self.outcome,
            verified=self.verified,
            sustained=self.sustained,
            zeros=self.zeros,
            collectives=self.collectives,
            around=self._around(target, bench),
            readings=readings,
            partial=self.partial,
            notes=tuple(self.notes),
        )
        profile = lay_down(found, known, self.software, self.clock.epoch())
        peaks = replace(
            peaks_of(found, profile.capacity, known),
            surroundings=surroundings(
                target,
                self.software,
                (c for rivals in plan.questions.groups.values() for c in rivals),
                readings,
                others,
            ),
            seed=bench.protocol.seed,
            seconds=self.clock.now() - begin,
        )
        return self._keep(replace(profile, peaks=peaks), peaks)

    # What is measured.

    def _measure(self, plan: Plan, target: Target, bench: Bench) -> None:
        self.outcome = tournament(plan.questions.groups, bench)
        self._verify(plan, target, bench)
        modes = [mode for mode in plan.modes if f"flops {mode}" in self.outcome.winners]
        for mode in modes[: _SUSTAINED_MODES[self.level]]:
            winner = self.outcome.winners[f"flops {mode}"].candidate
            self.sustained[mode] = sustain(winner, _SUSTAINED_SECONDS[self.level], bench)
        if self.level == FULL:
            bench.progress("collectives between the ranks of this host")
            ranks = ranks_of(target.torch_device, device_count())
            self.collectives = measure_collectives(ranks, self._around(target, bench))
        if target.torch_device != "cpu":
            for mode in modes:
                self._compare_zeros(mode, plan, target, bench)

    def _verify(self, plan: Plan, target: Target, bench: Bench) -> None:
        """Check the winners' results; a wrong one leaves its place to the next best."""
        for attempt in range(_TRIES):
            wrong = {}
            for group, result in list(self.outcome.winners.items()):
                label = result.candidate.label
                if label in self.verified:
                    continue
                bench.progress(f"verifying {label}")
                self.verified[label] = self._checks(group, result.candidate, target)
                failed = next((c for c in self.verified[label] if not c.passed), None)
                if failed is not None:
                    wrong[group] = label
                    reason = f"{failed.name}: {failed.value:.3g} {failed.detail}"
                    self.outcome.unable[label] = reason
                    self.notes.append(f"{label} is no roof: {reason}")
            if not wrong:
                return
            again = {
                group: [c for c in plan.questions.groups[group] if c.label not in self.verified]
                for group in wrong
            }
            for group in wrong:
                del self.outcome.winners[group]
            if attempt + 1 < _TRIES:
                found = tournament({g: c for g, c in again.items() if c}, bench)
                self.outcome.winners.update(found.winners)
                self.outcome.unable.update(found.unable)

    def _checks(self, group: str, candidate: Candidate, target: Target) -> tuple[Check, ...]:
        found = []
        if candidate.verify is not None:
            try:
                found.append(correct(candidate.verify()))
            except CANNOT_RUN as error:
                self.notes.append(f"{candidate.label} could not be checked ({_line(error)})")
        mode = group.partition(" ")[2].split(" ")[0]
        if target.torch_device != "cpu" and candidate.unit == "flops":
            found.append(_kernel_check(candidate, mode))
        return tuple(found)

    def _compare_zeros(self, mode: str, plan: Plan, target: Target, bench: Bench) -> None:
        """The same product on zeros: where that is faster, power limits the real one."""
        winner = self.outcome.winners[f"flops {mode}"]
        source = plan.questions.sources.get(winner.candidate.label)
        if source is None or source.product is None or mode not in MODES:
            return
        p = source.product
        rivals = matmul.candidates(mode, p.batch, p.m, p.n, p.k, target.torch_device, data=ZEROS)
        wanted = f"{winner.candidate.name} zeros"
        same = [candidate for candidate in rivals if candidate.name == wanted]
        if not same:
            return
        both = {"zeros": same, "random": [winner.candidate]}
        found = tournament(both, replace(bench, deadline=self.clock.now() + self._reserve()))
        rates = {group: max(r.rates(bench.protocol.share)) for group, r in found.winners.items()}
        if len(rates) == len(both):
            self.zeros[mode] = rates["zeros"] / rates["random"]

    # How it is measured.

    def _around(self, target: Target, bench: Bench) -> Circumstances:
        return Circumstances(
            target, self.device.name, bench.protocol.share, target.cores, self.clock.date()
        )

    def _reserve(self) -> float:
        """Seconds kept for what comes after the rounds: checks, sustained and zeros."""
        return SECONDS[self.level] * 0.1 + (
            _SUSTAINED_SECONDS[self.level] * min(_SUSTAINED_MODES[self.level], 4)
        )

    def _tuned(self, bench: Bench, target: Target) -> Bench:
        changed = dict(_CHANGES[self.level])
        protocol = Protocol(**{**_fields(bench.protocol), **changed})  # type: ignore[arg-type]
        on_cpu = target.torch_device == "cpu"
        return replace(
            bench,
            protocol=protocol,
            others=(lambda: others_seconds(self.clock)) if on_cpu else (lambda: None),
            cores=target.cores,
            checkpoint=self._keep_outcome,
        )

    def _keep_outcome(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def _most(self, mode: str, target: Target, bench: Bench) -> float:
        """FLOPs of a call in `mode`; modes with kernels of their own have the size of float8."""
        if mode not in MODES:
            mode = "bfloat16"
        return most_flops(mode, target, bench, all_backends=True)

    def _fit_memory(self, plan: Plan, target: Target) -> None:
        """Leave out what does not fit into the device's free memory, and say so."""
        free = _free_bytes(target)
        if free is None:
            return
        left_out = 0
        for group, rivals in plan.questions.groups.items():
            fitting = [c for c in rivals if 3 * c.working_set_bytes <= free]
            left_out += len(rivals) - len(fitting)
            plan.questions.groups[group] = fitting
        if left_out:
            self.notes.append(
                f"{left_out} larger kernels were left out: others use the device's memory, and "
                f"{free / 1e9:.1f} GB are free"
            )

    def _known(self) -> Profile | None:
        try:
            return cache.read(self.path)
        except UsageError as error:
            self.notes.append(
                f"the cached capacity could not be used ({error}), so all of it is measured again"
            )
            return None

    def _nothing(self) -> str:
        if self.partial:
            return f"nothing was measured: {self.partial}"
        reasons = list(dict.fromkeys(self.outcome.unable.values()))
        why = f": {reasons[0]}" if reasons else ""
        return f"nothing could be measured on {self.device.name}{why}"

    def _keep(self, profile: Profile, peaks: Peaks) -> Peaks:
        try:
            cache.write(self.path, profile)
        except OSError as error:
            note = (
                f"the profile could not be kept in {self.path.parent} ({error.strerror}), so "
                "reports measure again; name a writable directory in GOODPUT_CACHE"
            )
            return replace(peaks, warnings=(*peaks.warnings, note))
        return peaks


def _kernel_check(candidate: Candidate, mode: str) -> Check:
    from goodput.frontends.torch_kernels import falls_back, kernel_names

    with candidate.scope():
        names = kernel_names(candidate.prepare())
    other = falls_back(mode, names)
    return Check("kernel", not other, None, other or (names[0] if names else "no kernel was seen"))


def _free_bytes(target: Target) -> int | None:
    if target.torch_device == "cpu":
        return None
    from goodput.frontends import torch_device

    return torch_device.free_bytes()


def _fields(protocol: Protocol) -> dict[str, object]:
    return {name: getattr(protocol, name) for name in Protocol.__slots__}


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


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
