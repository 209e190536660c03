"""Times the cases of a project in fresh processes, as many as the rule asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
from goodput.gates.observed_run import CaseRun
from goodput.measure.anchored import CONTENDED_SHARE, EXCLUSIVE_SHARE
from goodput.measure.statistics import quantile
from goodput.report.verdicts import Tier, Verdict

METHOD = "goodput.measured/1"
"""The rule behind the measured figures."""

_STEM = "useful_flops."
_CPU = "cpu"


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


def timed(
    case: Case,
    sides: Sides,
    folder: Path,
    baseline_of: Callable[[CaseRun], Baseline | None],
    family: int,
) -> CaseRun:
    """What fresh processes of a case take, 9 of them, then 15, then 25, until a verdict stands.

    A regression is held against further processes, which must show it too.

    Args:
        case: what is timed.
        sides: where.
        folder: for what the processes leave behind; its own.
        baseline_of: the stored baseline of a run, on its device.
        family: cases that are timed in this check.
    """
    started = time.monotonic()
    run = replace(
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
    )
    if run.error:
        return run
    try:
        run = _escalated(case, sides, folder, baseline_of, run, family)
    except GoodputError as error:
        run = replace(run, error=str(error), status=error.exit_code)
    return replace(run, seconds=time.monotonic() - started)


def _escalated(
    case: Case,
    sides: Sides,
    folder: Path,
    baseline_of: Callable[[CaseRun], Baseline | None],
    run: CaseRun,
    family: int,
) -> CaseRun:
    pairs = _Pairs(case, sides, folder)
    look = looks.next_look(0)
    while look is not None:
        run = pairs.up_to(look, run)
        held = Held(case, run, baseline_of(run))
        found = judgement_of(held, family)
        if found is None or found.decided:
            break
        look = looks.next_look(look)
    else:
        found = None
    if found is not None and found.verdict is Verdict.REGRESSED:
        run = pairs.again(looks.CONFIRMING, run)
    return run


class _Pairs:
    """Runs processes of a case, those of two trees in turns, and keeps their figures."""

    def __init__(self, case: Case, sides: Sides, folder: Path) -> None:
        self._case = case
        self._sides = sides
        self._folder = folder
        self._made = 0

    def up_to(self, count: int, run: CaseRun) -> CaseRun:
        """The run with `count` processes a side."""
        while len(run.processes) < count:
            run, now, then = self._pair(run)
            before = (*run.before, then) if then is not None else ()
            run = replace(run, processes=(*run.processes, now), before=before)
        return run

    def again(self, count: int, run: CaseRun) -> CaseRun:
        """The run with `count` further processes a side."""
        while len(run.again) < count:
            run, now, then = self._pair(run)
            before = (*run.before_again, then) if then is not None else ()
            run = replace(run, again=(*run.again, now), before_again=before)
        return run

    def _pair(
        self, run: CaseRun
    ) -> tuple[CaseRun, Mapping[str, float], Mapping[str, float] | None]:
        """One process of each side, the first side being the other one each time."""
        base = self._sides.base
        places = [self._sides.head, *([base] if base is not None else [])]
        found = {}
        for place in places if self._made % 2 else reversed(places):
            case = self._one(place)
            found[place.root] = values_of(case, run.counts)
            if place is self._sides.head:
                run = _of_device(self._case, run, case)
        self._made += 1
        then = found[base.root] if base is not None else None
        return run, found[self._sides.head.root], then

    def _one(self, place: Site) -> TimedCase:
        request = {
            **request_of(self._case),
            "anchor": self._case.anchor,
            "mode": mode_of(self._sides.head_counts.run.agreed),
        }
        name = "head" if place is self._sides.head else "base"
        folder = self._folder / f"{name}{self._made}"
        content, said = answered(self._case, request, place, folder, self._made)
        answer = msgspec.json.decode(content, type=_Answer)
        if answer.timed is None:
            raise NotMeasuredError(f"case {self._case.name}: {answer.error}{said}")
        return answer.timed


def mode_of(counts: Mapping[str, float]) -> str:
    """The math mode of most useful FLOPs."""
    modes = {k.removeprefix(_STEM): v for k, v in counts.items() if k.startswith(_STEM)}
    return max(modes, key=lambda mode: modes[mode]) if modes else "float32"


def values_of(timed_case: TimedCase, counts: Mapping[str, float]) -> dict[str, float]:
    """The figures of one process."""
    share = CONTENDED_SHARE if timed_case.device.kind == _CPU else EXCLUSIVE_SHARE
    step = quantile(timed_case.rounds.step, share)
    rate = timed_case.amount / quantile(timed_case.rounds.anchor, share)
    values = {"cost": step * rate, "step_seconds": step, "anchor_flops_per_s": rate}
    modes = {k.removeprefix(_STEM): v for k, v in counts.items() if k.startswith(_STEM)}
    if len(modes) == 1 and "copy" not in timed_case.anchor:
        values["goodput"] = sum(modes.values()) / (step * rate)
    sheet = row_of(timed_case.device.name)
    if sheet is not None and modes and all(mode in sheet.flops_per_s for mode in modes):
        values["mfu"] = sum(f / sheet.flops_per_s[mode] for mode, f in modes.items()) / step
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
        "memory_bytes": device.memory_bytes if device.kind != _CPU else 0,
        "anchor": timed_case.anchor,
    }
    return replace(run, device=identity, surroundings=timed_case.environment)


def is_called(device: DeviceIdentity, name: str) -> bool:
    """Whether a device has this name, or one of its datasheet row."""
    own, asked = row_of(device.name), row_of(name)
    return device.name == name or (own is not None and own == asked)
