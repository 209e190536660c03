"""Timed runs and what they are held against made into verdicts, all cases together. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from goodput.errors import UntrustworthyError
from goodput.gates import budgets, judge, judge_compared, looks, measured
from goodput.gates.baselines import incomparable
from goodput.gates.blessing import middles
from goodput.gates.causes import Sides, cause_of, clocks_moved, lost_most
from goodput.gates.held import Held
from goodput.gates.measured import Judgement
from goodput.measure.statistics import median
from goodput.report.model import LIMIT
from goodput.report.verdicts import (
    CaseResult,
    Cause,
    Finding,
    Tier,
    Verdict,
)
from goodput.units import percent

_TOLD = ("step_seconds", "anchor_flops_per_s", "launches", "goodput", "mfu")
_ELSEWHERE = "which operators: goodput run on both sides, then goodput diff A B"
_REPORT_ONLY = 0.05
"""A case with a higher noise floor can prove nothing that matters."""


def results(held: Sequence[Held]) -> list[CaseResult]:
    """What became of each case; a rise must stand among all of them."""
    found = [_judgements(one) for one in held]
    family = {(n, name): one for n, own in enumerate(found) for name, one in own.items()}
    stood = measured.in_family(family)
    return [_result(one, {name: stood[n, name] for name in found[n]}) for n, one in enumerate(held)]


def _judgements(held: Held) -> dict[str, Judgement]:
    """What is judged of a case: the ratio of each variant, or cost."""
    if held.case.compare:
        return judge_compared.judgements(held)
    found = judgement_of(held)
    return {} if found is None else {"cost": found}


def judgement_of(held: Held, family: int = 1) -> Judgement | None:
    """What the processes of a case say; None where there is nothing to hold them against."""
    run, baseline = held.run, held.baseline
    if run.error or not run.processes:
        return None
    paired = bool(run.before)
    if not paired and (baseline is None or not baseline.processes or incomparable(run, baseline)):
        return None
    before = run.before if paired else baseline.processes if baseline else ()
    effect = looks.effect_of(held.case.min_effect, _noise(held))
    first = measured.judged(
        _costs(run.processes), _costs(before), effect, paired=paired, family=family
    )
    if not run.again:
        return first
    other = run.before_again if paired else before
    again = measured.judged(_costs(run.again), _costs(other), effect, paired=paired)
    return measured.confirmed(first, again)


def _noise(held: Held) -> float | None:
    if held.run.before:
        return looks.noise_floor(_costs(held.run.before))
    return held.baseline.noise if held.baseline else None


def _costs(processes: Sequence[Mapping[str, float]]) -> list[float]:
    return [one["cost"] for one in processes]


def _result(held: Held, judgements: Mapping[str, Judgement]) -> CaseResult:
    run, case = held.run, held.case
    if run.error:
        return judge.failed(run.case, Tier.MEASURED, run.error, run.status, run.reproduce)
    if case.compare:
        return judge_compared.result(held, judgements)
    judgement = judgements.get("cost")
    now = middles(run)
    if now.get("mfu", 0.0) > LIMIT:
        told = (
            f"its MFU is {percent(now['mfu'])} of the dense peak, which no program reaches: the "
            "count, the clock or the device's name is wrong; goodput run shows which"
        )
        return judge.failed(
            run.case, Tier.MEASURED, told, UntrustworthyError.exit_code, run.reproduce
        )
    findings = budgets.held(case.budget, now, Tier.MEASURED)
    notes = list(run.notes)
    if judgement is None:
        why = _why_not(held)
        if findings and judge.is_first(held.baseline, held.missing):
            notes += [*budgets.kept(findings), why]
        else:
            cause = Cause.METHOD
            findings.append(Finding("", Verdict.INCOMPARABLE, cause=cause, sentence=why))
    else:
        before = _before(held)
        findings += [_cost(held, judgement, before, now), *_told(before, now, judgement)]
        notes += _notes(held, judgement, before, now)
        if judgement.verdict is Verdict.REGRESSED:
            operators = lost_most(before, Sides(now, {}, {}, run.operators))
            notes += [] if operators else [_ELSEWHERE]
            return replace(judge.measured(run, findings, notes), operators=operators)
    return judge.measured(run, findings, notes)


def _why_not(held: Held) -> str:
    """Why there is nothing that cost can be held against."""
    if held.baseline is None:
        return held.missing or judge.no_baseline(held.run)
    return incomparable(held.run, held.baseline) or "the baseline holds no processes; bless again"


def _before(held: Held) -> Sides:
    run, baseline = held.run, held.baseline
    if run.before:
        values = {
            name: median([one[name] for one in run.before if name in one])
            for name in {name for one in run.before for name in one}
        }
        return Sides(values, run.before_counts, run.surroundings, run.before_operators)
    if baseline is None:
        return Sides({}, {}, {})
    return Sides(baseline.values, baseline.counts, baseline.surroundings, baseline.operators)


def _cost(held: Held, found: Judgement, before: Sides, now: dict[str, float]) -> Finding:
    """The finding that decides: that of cost, with its cause.

    What it was and is are the medians over processes; what is judged, and told in words, is the
    shift of all processes against all.
    """
    own = Sides(now, held.run.counts, held.run.surroundings)
    verdict, cause, sentence = found.verdict, None, ""
    floor = _noise(held)
    if verdict is Verdict.PASS and floor is not None and floor > _REPORT_ONLY:
        sentence = (
            f"the noise floor of this case is {percent(floor)}: too high to prove anything small"
        )
        verdict, cause = Verdict.INCONCLUSIVE, Cause.NOISE
    elif verdict is Verdict.INCONCLUSIVE:
        cause, sentence = Cause.NOISE, _inconclusive(found)
    elif verdict is not Verdict.PASS:
        cause, told = cause_of(before, own, found.effect)
        change = f"cost moved by {math.expm1(found.shift.estimate):+.2%}, p {found.p:.2g}"
        sentence = f"{change}; {told}"
    return Finding(
        "cost",
        verdict,
        before.values.get("cost"),
        now["cost"],
        cause,
        origin=held.baseline.origin.get("cost") if held.baseline else None,
        sentence=sentence,
    )


def _inconclusive(found: Judgement) -> str:
    low, high = math.expm1(found.shift.low), math.expm1(min(found.shift.high, 700.0))
    interval = f"between {low:+.1%} and {high:+.1%}" if math.isfinite(high) else "not bounded"
    return (
        f"cost moved by {math.expm1(found.shift.estimate):+.1%}, {interval}, in "
        f"{found.processes} processes: neither a rise of {percent(found.effect)} nor none is shown"
    )


def _told(before: Sides, now: dict[str, float], found: Judgement) -> list[Finding]:
    """Figures that explain and do not decide; a time that moved with the clock says so."""
    clocks = found.verdict is Verdict.PASS and _clocks(before, now, found)
    return [
        Finding(
            name,
            Verdict.PASS,
            before.values.get(name),
            now[name],
            Cause.CLOCKS if clocks and name == "step_seconds" else None,
        )
        for name in _TOLD
        if name in now
    ]


def _clocks(before: Sides, now: Mapping[str, float], found: Judgement) -> str:
    return clocks_moved(before, Sides(now, {}, {}), found.effect)


def _notes(held: Held, found: Judgement, before: Sides, now: dict[str, float]) -> list[str]:
    notes = [
        f"{found.processes} fresh processes; a change of {percent(found.visible)} could have been "
        f"told, one of {percent(found.effect)} counts"
        if math.isfinite(found.visible)
        else f"{found.processes} fresh processes, too few to tell any change"
    ]
    own = Sides(now, held.run.counts, held.run.surroundings)
    if found.verdict is Verdict.PASS:
        notes += filter(None, [_clocks(before, now, found)])
        cause, told = cause_of(before, own, found.effect)
        if cause in {Cause.NUMERATOR, Cause.PRECISION}:
            notes.append(f"{told}, and cost did not move")
    return notes
