"""A run and its baseline made into a verdict. Pure: the same files give the same one anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from goodput.gates import budgets, exact
from goodput.gates.baselines import Baseline, incomparable
from goodput.gates.observed_run import CaseRun
from goodput.report.verdicts import (
    CaseResult,
    Cause,
    Finding,
    OperatorChange,
    Tier,
    Verdict,
    ranked_findings,
    worst_of,
)


def judged(
    run: CaseRun, baseline: Baseline | None, budget: Mapping[str, float], missing: str = ""
) -> CaseResult:
    """What became of a case in the exact or the modelled tier.

    Args:
        run: what the processes saw.
        baseline: what it is held against; None where there is none.
        budget: fixed limits by metric.
        missing: why there is no baseline, where more is known than that.
    """
    if run.error:
        return failed(run.case, run.tier, run.error, run.status, run.reproduce)
    limits = budgets.held(budget, run.agreed, run.tier)
    findings, notes = list(limits), list(run.notes)
    operators: tuple[OperatorChange, ...] = ()
    why_not = missing or _why_not(run, baseline)
    if baseline is not None and not why_not:
        findings += exact.compared(run, baseline)
        operators = exact.operators_moved(baseline.operators, run.operators)
    elif limits and is_first(baseline, missing):
        notes += [*budgets.kept(limits), why_not]
    else:
        findings.append(Finding("", Verdict.INCOMPARABLE, cause=Cause.METHOD, sentence=why_not))
    ranked = ranked_findings(findings)
    verdict = worst_of(finding.verdict for finding in findings)
    return CaseResult(
        run.case,
        run.tier,
        verdict,
        run.device_name,
        ranked,
        operators if verdict is Verdict.REGRESSED else (),
        tuple(dict.fromkeys(notes)),
        run.reproduce,
        evaluated=sum(one.verdict is not Verdict.INCOMPARABLE for one in findings),
    )


def is_first(baseline: Baseline | None, missing: str) -> bool:
    """Whether nothing was blessed yet, so that a budget decides alone.

    Where there is a baseline that cannot be held, or another side that does not run, a budget that
    is kept hides nothing.
    """
    return baseline is None and not missing


def _why_not(run: CaseRun, baseline: Baseline | None) -> str:
    """Why there is nothing to hold the run against; "" where there is."""
    return no_baseline(run) if baseline is None else incomparable(run, baseline)


def no_baseline(run: CaseRun) -> str:
    """What to do where a run has nothing to be held against."""
    place = f" on {run.device_name}" if run.device_name else ""
    return (
        f"there is no {run.tier} baseline of {run.case}{place}; write a run with goodput check "
        '--json run.json and bless it: goodput baseline bless run.json --reason "..."'
    )


def measured(
    run: CaseRun, findings: Sequence[Finding], notes: Iterable[str], status: int = 0
) -> CaseResult:
    """The result of a timed case; `status` is that of what could not be trusted or measured."""
    return CaseResult(
        run.case,
        Tier.MEASURED,
        worst_of(one.verdict for one in findings),
        run.device_name,
        ranked_findings(findings),
        (),
        tuple(dict.fromkeys(notes)),
        run.reproduce,
        status=status,
        evaluated=sum(one.verdict is not Verdict.INCOMPARABLE for one in findings),
    )


def failed(case: str, tier: Tier, error: str, status: int, reproduce: str = "") -> CaseResult:
    """The result of a case without figures."""
    return CaseResult(case, tier, Verdict.ERROR, error=error, status=status, reproduce=reproduce)


def with_note(result: CaseResult, note: str) -> CaseResult:
    """The result with a further sentence."""
    return replace(result, notes=(*result.notes, note))
