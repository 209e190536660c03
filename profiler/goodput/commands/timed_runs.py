"""Times the cases of a project in fresh processes, as many as the rule asks for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from goodput.capacity.datasheet import row_of
from goodput.commands.case_runs import CountedRun, Site, answered, reproduce, request_of
from goodput.device import DeviceIdentity
from goodput.errors import GoodputError, NotMeasuredError
from goodput.frontends.timed_case import TimedCase
from goodput.gates import looks
from goodput.gates.baselines import Baseline
from goodput.gates.declarations import Case
from goodput.gates.held import Held
from goodput.gates.judge_measured import judgement_of
from goodput.gates.observation import OperatorFigures, rounded
from goodput.gates.observed_run import CaseRun
from goodput.measure.anchored import CPU, share_of
from goodput.measure.statistics import median, quantile
from goodput.report.verdicts import Tier, Verdict

METHOD = "goodput.measured/1"
"""The rule behind the measured figures."""

OUTSIDE = "outside of operators"
"""What of a step no operator ran in: waiting for data, Python, a host that does not keep up."""
_PROFILED = 3
"""Processes a side whose operators are timed too, once their rounds are over."""
_STEM = "useful_flops."


class _Answer(msgspec.Struct, frozen=True):
    timed: TimedCase | None = None
    error: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Sides:
    """Where a case is timed.

    Attributes:
        head: the work tree.
        base: the other tree that runs in turns with it; None where a stored baseline is held.
        head_counts, base_counts: the counts of the case in both.
    """

    head: Site
    base: Site | None
    head_counts: CountedRun
    base_counts: CountedRun | None


def in_turns(timings: Sequence[Timing]) -> list[CaseRun]:
    """What fresh processes take: 9 of each case, then 15, then 25, until its verdict stands.

    One process of each case and side follows another, so that a drift of the machine is common to
    all. A regression is held against further processes, which must show it too.
    """
    for look, _ in looks.LOOKS:
        going = [one for one in timings if not one.is_decided]
        _fill(going, look)
        for one in going:
            one.judge(len(timings))
    _fill([one for one in timings if one.is_to_be_confirmed], looks.CONFIRMING)
    return [one.run for one in timings]


def _fill(timings: Sequence[Timing], processes: int) -> None:
    while short := [one for one in timings if one.made < processes]:
        for one in short:
            one.sample()


class Timing:
    """One case that is being timed, and what its processes said so far.

    Args:
        case: what is timed.
        sides: where.
        folder: for what the processes leave behind; its own.
        baseline_of: the stored baseline of a run, on its device.

    Attributes:
        run: what is known so far; its `error` says why there is no more.
    """

    def __init__(
        self,
        case: Case,
        sides: Sides,
        folder: Path,
        baseline_of: Callable[[CaseRun], Baseline | None],
    ) -> None:
        self._case = case
        self._sides = sides
        self._folder = folder
        self._baseline_of = baseline_of
        self._started = 0
        self._profiles: dict[str, list[Mapping[str, float]]] = {"head": [], "base": []}
        self._verdict: Verdict | None = None
        self.run = replace(
            sides.head_counts.run,
            tier=Tier.MEASURED,
            processes=(),
            operators={},
            places=(),
            notes=(),
            method=METHOD,
            counts=sides.head_counts.run.agreed,
            before_counts=sides.base_counts.run.agreed if sides.base_counts else {},
            reproduce=reproduce(case, Tier.MEASURED),
            seconds=0.0,
        )
        self.is_decided = bool(self.run.error)

    @property
    def is_to_be_confirmed(self) -> bool:
        """Whether further processes are to show what these did."""
        return self._verdict is Verdict.REGRESSED

    @property
    def made(self) -> float:
        """Processes a side that count now; none are missing of a case that failed."""
        if self.run.error:
            return math.inf
        return len(self.run.again if self.is_to_be_confirmed else self.run.processes)

    def judge(self, family: int) -> None:
        """Decides whether more processes are needed; `family` cases are judged together."""
        if self.run.error:
            self.is_decided = True
            return
        found = judgement_of(Held(self._case, self.run, self._baseline_of(self.run)), family)
        self.is_decided = found is None or found.decided
        self._verdict = found.verdict if found is not None else None

    def sample(self) -> None:
        """One process of each side, the first side being the other one each time."""
        began = time.monotonic()
        try:
            now, then = self._pair()
        except GoodputError as error:
            self.run = replace(self.run, error=str(error), status=error.exit_code)
            return
        before = (then,) if then is not None else ()
        run = self.run
        if self.is_to_be_confirmed:
            again = (*run.again, now), (*run.before_again, *before)
            run = replace(run, again=again[0], before_again=again[1])
        else:
            run = replace(run, processes=(*run.processes, now), before=(*run.before, *before))
        self.run = replace(
            run,
            operators=_middle(self._profiles["head"]),
            before_operators=_middle(self._profiles["base"]),
            seconds=run.seconds + time.monotonic() - began,
        )

    def _pair(self) -> tuple[Mapping[str, float], Mapping[str, float] | None]:
        base = self._sides.base
        places = [self._sides.head, *([base] if base is not None else [])]
        found = {}
        for place in places if self._started % 2 else reversed(places):
            name = "head" if place is self._sides.head else "base"
            timed = self._one(place, name)
            found[name] = values_of(timed, self._counts(name))
            operators = timed.profile.operators
            if operators:
                self._profiles[name].append(_whole(operators, found[name]["step_seconds"]))
            if name == "head":
                self.run = _of_device(self._case, self.run, timed)
        self._started += 1
        return found["head"], found.get("base")

    def _counts(self, name: str) -> Mapping[str, float]:
        """The counts of a side: its useful FLOPs are its own."""
        return self.run.before_counts if name == "base" else self.run.counts

    def _one(self, place: Site, name: str) -> TimedCase:
        request = {
            **request_of(self._case),
            "anchor": self._case.anchor,
            "mode": mode_of(self._sides.head_counts.run.agreed),
            "operators": len(self._profiles[name]) < _PROFILED,
        }
        folder = self._folder / f"{name}{self._started}"
        content, said = answered(self._case, request, place, folder, self._started)
        answer = msgspec.json.decode(content, type=_Answer)
        if answer.timed is None:
            raise NotMeasuredError(f"case {self._case.name}: {answer.error}{said}")
        return answer.timed


def _whole(operators: Mapping[str, float], step_seconds: float) -> dict[str, float]:
    """The operators, and what of the undisturbed step none of them ran in."""
    return {**operators, OUTSIDE: max(0.0, step_seconds - sum(operators.values()))}


def _middle(profiles: Sequence[Mapping[str, float]]) -> dict[str, OperatorFigures]:
    """The median seconds of each operator; one that a process did not run took none of it."""
    names = sorted({name for one in profiles for name in one})
    return {
        name: OperatorFigures(seconds=rounded(median([one.get(name, 0.0) for one in profiles])))
        for name in names
    }


def mode_of(counts: Mapping[str, float]) -> str:
    """The math mode of most useful FLOPs."""
    modes = {k.removeprefix(_STEM): v for k, v in counts.items() if k.startswith(_STEM)}
    return max(modes, key=lambda mode: modes[mode]) if modes else "float32"


def values_of(timed_case: TimedCase, counts: Mapping[str, float]) -> dict[str, float]:
    """The figures of one process."""
    share = share_of(timed_case.device.kind)
    step = quantile(timed_case.rounds.step, share)
    rate = timed_case.amount / quantile(timed_case.rounds.anchor, share)
    values = {"cost": step * rate, "step_seconds": step, "anchor_flops_per_s": rate}
    modes = {k.removeprefix(_STEM): v for k, v in counts.items() if k.startswith(_STEM)}
    if len(modes) == 1 and "copy" not in timed_case.anchor:
        values["goodput"] = sum(modes.values()) / (step * rate)
    sheet = row_of(timed_case.device.name)
    if sheet is not None and modes and all(mode in sheet.flops_per_s for mode in modes):
        values["mfu"] = sum(f / sheet.flops_per_s[mode] for mode, f in modes.items()) / step
    if timed_case.profile.launches is not None:
        values["launches"] = timed_case.profile.launches
    return values


def _of_device(case: Case, run: CaseRun, timed_case: TimedCase) -> CaseRun:
    """The run with what must match: the device and the anchor.

    Raises:
        NotMeasuredError: the case is declared for another device.
    """
    device = timed_case.device
    if case.device and not is_called(device, case.device):
        raise NotMeasuredError(
            f"case {case.name} is declared for {case.device}, and this machine computes on "
            f"{device.name}; leave its measured tier out here: --tier exact --tier modelled"
        )
    identity = {
        "name": device.name,
        "kind": device.kind,
        "units": device.units,
        "memory_bytes": device.memory_bytes if device.kind != CPU else 0,
        "anchor": timed_case.anchor,
    }
    return replace(run, device=identity, surroundings=timed_case.environment)


def is_called(device: DeviceIdentity, name: str) -> bool:
    """Whether a device has this name, or one of its datasheet row."""
    own, asked = row_of(device.name), row_of(name)
    return device.name == name or (own is not None and own == asked)
