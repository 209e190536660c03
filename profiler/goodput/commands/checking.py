"""One check: the cases that were asked for, run or read, each held against its baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from goodput.commands.case_runs import Place, counted, modelled, scratch_folder
from goodput.errors import GoodputError, UsageError
from goodput.gates import baselines, declarations, run_file
from goodput.gates.baselines import Baseline
from goodput.gates.declarations import Case, Gates
from goodput.gates.judge import failed, judged
from goodput.gates.observed_run import CaseRun
from goodput.gates.work_tree import commit_of
from goodput.report.metrics import nearest
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


def checked(choice: Choice, stored: Path | None) -> tuple[CheckReport, tuple[CaseRun, ...]]:
    """The report, and what the processes saw.

    Args:
        choice: what is checked.
        stored: a run to be judged instead of running anything.

    Raises:
        UsageError: nothing is declared, or what is asked for is not.
        NotMeasuredError: there is no place for temporary files.
    """
    gates = declarations.found_from(Path.cwd())
    wanted = _wanted(gates, choice)
    if stored is not None:
        results, runs = _of_stored(gates, wanted, stored)
    else:
        results, runs = _of_processes(gates, wanted)
    report = CheckReport(
        tuple(results),
        against=f"the baselines in {_shown(gates.baselines)}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit_of(gates.root),
        fail_on_inconclusive=choice.fail_on_inconclusive,
    )
    return report, tuple(runs)


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _wanted(gates: Gates, choice: Choice) -> list[tuple[Case, Tier]]:
    names = [case.name for case in gates.cases]
    for name in choice.cases:
        if name not in names:
            raise UsageError(f"there is no case {name}{nearest(name, names)}")
    tiers = [Tier(text) for text in choice.tiers]
    return [
        (case, tier)
        for case in gates.cases
        if not choice.cases or case.name in choice.cases
        for tier in case.tiers
        if not tiers or tier in tiers
    ]


def _of_stored(
    gates: Gates, wanted: Sequence[tuple[Case, Tier]], path: Path
) -> tuple[list[CaseResult], list[CaseRun]]:
    kept = run_file.load(path).runs
    results, runs = [], []
    for case, tier in wanted:
        own = [run for run in kept if (run.case, run.tier) == (case.name, tier)]
        runs += own
        results += [_judged(gates, case, run) for run in own]
    return results, runs


def _of_processes(
    gates: Gates, wanted: Sequence[tuple[Case, Tier]]
) -> tuple[list[CaseResult], list[CaseRun]]:
    place = Place(gates.root, commit_of(gates.root))
    results, runs = [], []
    by_case: dict[str, list[Tier]] = {}
    for case, tier in wanted:
        by_case.setdefault(case.name, []).append(tier)
    cases = {case.name: case for case, _ in wanted}
    with scratch_folder() as folder:
        for name, tiers in by_case.items():
            for run in _runs(gates, cases[name], tiers, place, folder / name):
                runs.append(run)
                results.append(_judged(gates, cases[name], run))
    return results, runs


def _runs(
    gates: Gates, case: Case, tiers: Sequence[Tier], place: Place, folder: Path
) -> Iterator[CaseRun]:
    """What fresh processes see of a case, tier by tier; its counts serve two of them."""
    if Tier.EXACT in tiers or Tier.MODELLED in tiers:
        counts = counted(case, place, folder, _exact_baseline(gates, case))
        if Tier.EXACT in tiers:
            yield counts.run
        if Tier.MODELLED in tiers:
            yield modelled(case, counts, gates.root)


def _exact_baseline(gates: Gates, case: Case) -> Baseline | None:
    """The baseline, where it can be read: what is wrong with it is told when it is judged."""
    try:
        return baselines.read(baselines.path_of(gates.baselines, case.name, Tier.EXACT))
    except GoodputError:
        return None


def _judged(gates: Gates, case: Case, run: CaseRun) -> CaseResult:
    try:
        path = baselines.path_of(gates.baselines, case.name, run.tier, run.device_name)
        baseline = baselines.read(path)
    except GoodputError as error:
        return failed(case.name, run.tier, str(error), error.exit_code, run.reproduce)
    return judged(run, baseline, case.budget)
