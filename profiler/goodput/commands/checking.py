"""One check: the cases that were asked for, run or read, each held against its baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from goodput.commands.case_runs import Site, counted, modelled, scratch_folder
from goodput.commands.references import Reference, reference
from goodput.errors import GoodputError, UsageError
from goodput.gates import declarations, run_file
from goodput.gates.baselines import PROOFS, Baseline
from goodput.gates.declarations import Case, Gates
from goodput.gates.judge import failed, judged
from goodput.gates.looks import ALPHA
from goodput.gates.observed_run import CaseRun
from goodput.gates.work_tree import commit_of
from goodput.report.verdicts import CaseResult, CheckReport, Tier


@dataclass(frozen=True, slots=True)
class Choice:
    """What of the declared cases is checked, and how strictly.

    Attributes:
        tiers: only these; without any, those that each case declares.
        cases: only these; without any, all.
        fail_on_inconclusive: whether an inconclusive result is a failure.
    """

    tiers: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    fail_on_inconclusive: bool = False


def checked(
    choice: Choice, stored: Path | None, against: str | None = None
) -> tuple[CheckReport, tuple[CaseRun, ...]]:
    """The report, and what the processes saw.

    Args:
        choice: what is checked.
        stored: a run to be judged instead of running anything.
        against: a file of a run, or a ref; None: the blessed baselines.

    Raises:
        UsageError: nothing is declared, or what is asked for is not.
        NotMeasuredError: there is no place for temporary files.
    """
    gates = declarations.found_from(Path.cwd())
    wanted = _wanted(gates, choice)
    with scratch_folder() as folder, reference(gates, against, folder) as held:
        if stored is not None:
            if held.place is not None:
                raise UsageError("a stored run is held against a file or the baselines, not a ref")
            runs = _stored(wanted, stored)
        else:
            runs = _run_all(gates, wanted, held, folder)
            runs = [_again(run, against) for run in runs] if against else runs
        results = _judged_all(wanted, runs, held)
    report = CheckReport(
        tuple(results),
        against=held.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit_of(gates.root),
        warnings=held.notes,
        fail_on_inconclusive=choice.fail_on_inconclusive,
        expected_false_alarms=ALPHA if any(run.tier is Tier.MEASURED for run in runs) else 0.0,
    )
    return report, tuple(runs)


def recorded(report: CheckReport, runs: Sequence[CaseRun]) -> CheckReport:
    """The report, once its figures are in the project's history; a warning where they are not."""
    from goodput.gates import history  # its index needs a database

    path = declarations.found_from(Path.cwd()).history
    try:
        history.append(path, history.entries_of(runs, report.created))
    except GoodputError as error:
        return replace(report, warnings=(*report.warnings, str(error)))
    return report


_Wanted: TypeAlias = tuple[Case, Tier]


def _wanted(gates: Gates, choice: Choice) -> list[_Wanted]:
    declarations.check_named(gates, choice.cases)
    tiers = [Tier(text) for text in choice.tiers]
    return [
        (case, tier)
        for case in gates.cases
        if not choice.cases or case.name in choice.cases
        for tier in case.tiers
        if not tiers or tier in tiers
    ]


def _again(run: CaseRun, against: str) -> CaseRun:
    """The run with the command that does it again as it was done."""
    return replace(run, reproduce=f"{run.reproduce} --against {against}")


def _stored(wanted: Sequence[_Wanted], path: Path) -> list[CaseRun]:
    kept = {(run.case, run.tier): run for run in run_file.load(path).runs}
    found = [kept.get((case.name, tier)) for case, tier in wanted]
    return [run for run in found if run is not None]


def _run_all(
    gates: Gates, wanted: Sequence[_Wanted], held: Reference, folder: Path
) -> list[CaseRun]:
    """What fresh processes see, case by case; the counts of one serve all of its tiers."""
    place = Site(gates.root, commit_of(gates.root))
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


def _judged_all(
    wanted: Sequence[_Wanted], runs: Sequence[CaseRun], held: Reference
) -> list[CaseResult]:
    """A result a run; timed cases are judged together."""
    cases = {case.name: case for case, _ in wanted}
    found: dict[int, CaseResult] = {}
    together: dict[int, tuple[Case, CaseRun, Baseline | None]] = {}
    for number, run in enumerate(runs):
        case = cases[run.case]
        try:
            baseline = held.of(run)
        except GoodputError as error:
            found[number] = failed(case.name, run.tier, str(error), error.exit_code, run.reproduce)
            continue
        if run.tier is Tier.MEASURED:
            together[number] = case, run, baseline
        else:
            found[number] = judged(run, baseline, case.budget, held.why_not(case.name))
    if together:
        from goodput.gates.held import Held
        from goodput.gates.judge_measured import results  # its statistics need numpy

        timed = results([Held(*one) for one in together.values()])
        found |= dict(zip(together, timed, strict=True))
    return [found[number] for number in sorted(found)]
