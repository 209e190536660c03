"""The wanted cases run, tier by tier, beside what they are held against. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from goodput.commands.case_runs import Site, counted, modelled, scratch_folder
from goodput.commands.references import Reference, reference
from goodput.errors import GoodputError
from goodput.gates.baselines import PROOFS, Baseline
from goodput.gates.declarations import Case, Gates
from goodput.gates.observed_run import CaseRun
from goodput.gates.work_tree import commit_of
from goodput.report.verdicts import Tier


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
    """What fresh processes see, case by case; the counts of one serve all of its tiers."""
    family = sum(tier is Tier.MEASURED for _, tier in wanted)
    runs: list[CaseRun] = []
    for case in dict.fromkeys(case.name for case, _ in wanted):
        own = next(each for each, _ in wanted if each.name == case)
        tiers = [tier for each, tier in wanted if each.name == case]
        runs += _runs(own, tiers, held, _Here(place, folder / case, family))
    return runs


@dataclass(frozen=True, slots=True)
class _Here:
    """Where a case runs, what it leaves behind, and how many cases are timed."""

    place: Site
    folder: Path
    family: int


def _runs(case: Case, tiers: Sequence[Tier], held: Reference, here: _Here) -> Iterator[CaseRun]:
    if case.compare:
        yield _compared(case, held, here)
        return
    baseline, base_counts = held.exact(case, here.folder)
    proofs = PROOFS if Tier.EXACT in tiers else 1
    counts = counted(case, here.place, here.folder / "counts", baseline, proofs)
    if Tier.EXACT in tiers:
        yield counts.run
    if Tier.MODELLED in tiers:
        yield modelled(case, counts, here.place.root)
    if Tier.MEASURED in tiers:
        from goodput.commands.timed_runs import Sides, timed  # its statistics need numpy

        base = held.place if base_counts is not None else None
        sides = Sides(here.place, base, counts, base_counts)

        def on(run: CaseRun) -> Baseline | None:
            return None if base is not None else _readable(held, run)

        yield timed(case, sides, here.folder / "times", on, here.family)


def _compared(case: Case, held: Reference, here: _Here) -> CaseRun:
    from goodput.commands import compared_runs  # its statistics need numpy

    sides = compared_runs.Sides(here.place, held.place)

    def on(run: CaseRun) -> Baseline | None:
        return None if held.place is not None else _readable(held, run)

    return compared_runs.compared(case, sides, on)


def _readable(held: Reference, run: CaseRun) -> Baseline | None:
    """What a run is held against, where it can be read: its fault is told when it is judged."""
    try:
        return held.of(run)
    except GoodputError:
        return None
