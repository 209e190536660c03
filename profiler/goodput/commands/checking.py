"""One check: the cases that were asked for, run or read, each held against its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from goodput.commands.references import Reference, stored_reference
from goodput.errors import GoodputError, UsageError
from goodput.gates import declarations, run_file
from goodput.gates.declarations import Case, Gates
from goodput.gates.held import Held
from goodput.gates.judge import failed, judged
from goodput.gates.looks import ALPHA
from goodput.gates.observed_run import CaseRun
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
    if stored is not None:
        held = stored_reference(gates, against)
        if held is None:
            raise UsageError("a stored run is held against a file or the baselines, not a ref")
        kept = run_file.load(stored)
        runs, missing = _stored(wanted, kept.runs)
        report = _report(choice, wanted, runs, held, kept.commit)
        told = (f"{stored} holds nothing of {', '.join(missing)}",) if missing else ()
        return replace(report, warnings=(*report.warnings, *told)), tuple(runs)
    # What is stored is judged at once: what runs programs is loaded where one is run.
    from goodput.commands.case_tiers import ran

    with ran(gates, wanted, against) as (found, held, commit):
        runs = [_again(run, against) for run in found] if against else list(found)
        return _report(choice, wanted, runs, held, commit), tuple(runs)


def _report(
    choice: Choice,
    wanted: Sequence[Wanted],
    runs: Sequence[CaseRun],
    held: Reference,
    commit: str,
) -> CheckReport:
    results = tuple(_judged_all(wanted, runs, held))
    return CheckReport(
        results,
        against=held.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        warnings=held.notes,
        fail_on_inconclusive=choice.fail_on_inconclusive,
        expected_false_alarms=ALPHA if any(map(_is_by_chance, results)) else 0.0,
    )


def _is_by_chance(result: CaseResult) -> bool:
    """Whether times were held against others, which chance can make look worse."""
    compared = any(finding.before is not None for finding in result.findings)
    return result.tier is Tier.MEASURED and compared


def recorded(report: CheckReport, runs: Sequence[CaseRun]) -> CheckReport:
    """The report, once its figures are in the project's history; a warning where they are not."""
    from goodput.gates import history  # its index needs a database

    path = declarations.found_from(Path.cwd()).history
    try:
        history.append(path, history.entries_of(runs, report.created))
    except GoodputError as error:
        return replace(report, warnings=(*report.warnings, str(error)))
    return report


Wanted: TypeAlias = tuple[Case, Tier]
"""A case in one of its tiers."""


def _wanted(gates: Gates, choice: Choice) -> list[Wanted]:
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


def _stored(
    wanted: Sequence[Wanted], runs: Sequence[CaseRun]
) -> tuple[list[CaseRun], tuple[str, ...]]:
    """The runs of what is wanted, and what of it was not run."""
    kept = {(run.case, run.tier): run for run in runs}
    found = [kept[case.name, tier] for case, tier in wanted if (case.name, tier) in kept]
    missing = [f"{case.name}, {tier}" for case, tier in wanted if (case.name, tier) not in kept]
    return found, tuple(missing)


def _judged_all(
    wanted: Sequence[Wanted], runs: Sequence[CaseRun], held: Reference
) -> list[CaseResult]:
    """A result a run; timed cases are judged together."""
    cases = {case.name: case for case, _ in wanted}
    found: dict[int, CaseResult] = {}
    together: dict[int, Held] = {}
    for number, run in enumerate(runs):
        case = cases[run.case]
        try:
            baseline = held.of(run)
        except GoodputError as error:
            found[number] = failed(case.name, run.tier, str(error), error.exit_code, run.reproduce)
            continue
        missing = held.why_not(case.name)
        if run.tier is Tier.MEASURED:
            together[number] = Held(case, run, baseline, missing)
        else:
            found[number] = judged(run, baseline, case.budget, missing)
    if together:
        from goodput.gates.judge_measured import results  # its statistics need numpy

        timed = results(tuple(together.values()))
        found |= dict(zip(together, timed, strict=True))
    return [found[number] for number in sorted(found)]
