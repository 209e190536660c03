"""The wanted cases run, tier by tier, beside what they are held against. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goodput.commands.case_runs import CountedRun, Site, counted, modelled, scratch_folder
from goodput.commands.references import Reference, reference
from goodput.errors import GoodputError
from goodput.gates.baselines import PROOFS, Baseline
from goodput.gates.declarations import Case, Gates
from goodput.gates.observed_run import CaseRun
from goodput.gates.work_tree import commit_of
from goodput.report.verdicts import Tier

if TYPE_CHECKING:
    from goodput.commands.timed_runs import Timing


@contextmanager
def ran(
    gates: Gates, wanted: Sequence[tuple[Case, Tier]], against: str | None
) -> Iterator[tuple[list[CaseRun], Reference, str]]:
    """What fresh processes see, what it is held against while that is there, and the commit.

    Args:
        gates: of the project.
        wanted: cases in their tiers.
        against: a file of a run, or a ref; None: the blessed baselines.

    Raises:
        UsageError: `against` is neither.
        NotMeasuredError: there is no place for temporary files.
    """
    with scratch_folder() as folder, reference(gates, against, folder) as held:
        place = Site(gates.root, commit_of(gates.root))
        yield _run_all(place, wanted, held, folder), held, place.commit


def _run_all(
    place: Site, wanted: Sequence[tuple[Case, Tier]], held: Reference, folder: Path
) -> list[CaseRun]:
    """What fresh processes see: all counts first, then the timed cases, in turns.

    The counts of a case serve all of its tiers.
    """
    found: dict[tuple[str, Tier], CaseRun] = {}
    timings: dict[str, Timing] = {}
    for name in dict.fromkeys(case.name for case, _ in wanted):
        case = next(each for each, _ in wanted if each.name == name)
        tiers = [tier for each, tier in wanted if each.name == name]
        if not case.compare:
            counts = _counted(case, tiers, held, _Here(place, folder / name))
            found |= {(name, run.tier): run for run in counts.runs}
            if Tier.MEASURED in tiers:
                timings[name] = _timing(case, counts, held, _Here(place, folder / name))
    if timings:
        from goodput.commands.timed_runs import in_turns  # its statistics need numpy

        runs = in_turns(tuple(timings.values()))
        found |= {(name, Tier.MEASURED): run for name, run in zip(timings, runs, strict=True)}
    for case, tier in wanted:
        if case.compare:
            found[case.name, tier] = _compared(case, held, place)
    return [found[case.name, tier] for case, tier in wanted]


@dataclass(frozen=True, slots=True)
class _Here:
    """Where a case runs, and what it leaves behind."""

    place: Site
    folder: Path


@dataclass(frozen=True, slots=True)
class _Counts:
    """What was counted of a case: the runs of its tiers without a device, and both sides."""

    runs: tuple[CaseRun, ...]
    head: CountedRun
    base: CountedRun | None


def _counted(case: Case, tiers: Sequence[Tier], held: Reference, here: _Here) -> _Counts:
    baseline, base = held.exact(case, here.folder)
    proofs = PROOFS if Tier.EXACT in tiers else 1
    head = counted(case, here.place, here.folder / "counts", baseline, proofs)
    runs = [head.run] if Tier.EXACT in tiers else []
    if Tier.MODELLED in tiers:
        runs.append(modelled(case, head, here.place.root))
    return _Counts(tuple(runs), head, base)


def _timing(case: Case, counts: _Counts, held: Reference, here: _Here) -> Timing:
    from goodput.commands.timed_runs import Sides, Timing  # its statistics need numpy

    base = held.place if counts.base is not None else None

    def on(run: CaseRun) -> Baseline | None:
        return None if base is not None else _readable(held, run)

    sides = Sides(here.place, base, counts.head, counts.base)
    return Timing(case, sides, here.folder / "times", on)


def _compared(case: Case, held: Reference, place: Site) -> CaseRun:
    from goodput.commands import compared_runs  # its statistics need numpy

    sides = compared_runs.Sides(place, held.place)

    def on(run: CaseRun) -> Baseline | None:
        return None if held.place is not None else _readable(held, run)

    return compared_runs.compared(case, sides, on)


def _readable(held: Reference, run: CaseRun) -> Baseline | None:
    """What a run is held against, where it can be read: its fault is told when it is judged."""
    try:
        return held.of(run)
    except GoodputError:
        return None
