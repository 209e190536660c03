"""A comparison made into verdicts: what became of each variant, and of its ratio to the reference.

Pure. The reference ran in the same processes, so that the clock and the load of the machine cancel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from goodput.errors import NotMeasuredError, UntrustworthyError
from goodput.gates import budgets, judge, looks, measured
from goodput.gates.baselines import incomparable
from goodput.gates.blessing import middles
from goodput.gates.causes import settings_moved
from goodput.gates.held import Held
from goodput.gates.measured import Judgement
from goodput.measure.statistics import median
from goodput.report.compared_verdicts import ERROR, UNTRUSTWORTHY
from goodput.report.verdicts import (
    CaseResult,
    Cause,
    Finding,
    Tier,
    Verdict,
)
from goodput.units import percent


def judgements(held: Held) -> dict[str, Judgement]:
    """What the processes say of the ratio of each variant that was measured before and now."""
    run = held.run
    if run.error or _why_not(held):
        return {}
    before = _before(held)
    now, then = _by_name(run.processes), _by_name(before)
    names = sorted(now.keys() & then.keys())
    return {name: _judged(held, name, now[name], then[name], len(names)) for name in names}


def _judged(
    held: Held, name: str, now: Sequence[float], then: Sequence[float], family: int
) -> Judgement:
    effect = looks.effect_of(held.case.min_effect, looks.noise_floor(then))
    first = measured.judged(now, then, effect, paired=False, family=family)
    further = _by_name(held.run.again).get(name)
    if not further:
        return first
    return measured.confirmed(first, measured.judged(further, then, effect, paired=False))


def _before(held: Held) -> Sequence[Mapping[str, float]]:
    """The processes of the other side; those that ran now go before stored ones."""
    return held.run.before or (held.baseline.processes if held.baseline else ())


def _by_name(processes: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    names = {name for one in processes for name in one}
    return {name: [one[name] for one in processes if name in one] for name in names}


def _why_not(held: Held) -> str:
    """Why nothing can be held against anything; "" where it can."""
    if held.run.before:
        return ""
    if held.baseline is None:
        return held.missing or judge.no_baseline(held.run)
    return incomparable(held.run, held.baseline)


def result(held: Held, stood: Mapping[str, Judgement]) -> CaseResult:
    """What became of a comparison.

    Args:
        held: its run, and what it is held against.
        stood: the judgements of its ratios, as they stand among all cases.
    """
    run, why = held.run, _why_not(held)
    limits = budgets.held(held.case.budget, middles(run), Tier.MEASURED)
    # A row for each variant: what a fault says already is not said again of its missing ratio.
    before = set(_by_name(_before(held)))
    faults = [*_untrusted(held), *_lost(held, before)]
    told = {one.metric for one in faults}
    findings = [*faults, *limits, *(_moved(held, name, one) for name, one in stood.items())]
    notes = [*run.notes, *_not_run(held, before)]
    if why and not (faults or (limits and judge.is_first(held.baseline, held.missing))):
        findings.append(Finding("", Verdict.INCOMPARABLE, cause=Cause.METHOD, sentence=why))
    elif why:
        notes += [*budgets.kept(limits), why]
    else:
        findings += _one_sided(held, before, told)
    return judge.measured(run, findings, notes, _status(held, before))


def _metric(name: str) -> str:
    return f"ratio.{name}"


def _status(held: Held, before: set[str]) -> int:
    """3 before 5, as where several apply; 0 where each variant ran and can be trusted."""
    if _lost(held, before):
        return NotMeasuredError.exit_code
    return UntrustworthyError.exit_code if _untrusted(held) else 0


def _untrusted(held: Held) -> list[Finding]:
    return [
        Finding(_metric(name), Verdict.ERROR, sentence=f"{name} is {one.verdict}: {one.reason}")
        for name, one in held.run.variants.items()
        if one.verdict in UNTRUSTWORTHY
    ]


def _lost(held: Held, before: set[str]) -> list[Finding]:
    """Variants that ran before and fail now."""
    return [
        Finding(
            _metric(name),
            Verdict.ERROR,
            sentence=f"{name} ran before and does not now: {one.reason}",
        )
        for name, one in held.run.variants.items()
        if one.verdict == ERROR and _metric(name) in before
    ]


def _not_run(held: Held, before: set[str]) -> list[str]:
    """Variants that fail here and were never measured."""
    return [
        f"{name} was not measured: {one.reason}"
        for name, one in held.run.variants.items()
        if one.verdict == ERROR and _metric(name) not in before
    ]


def _one_sided(held: Held, before: set[str], told: set[str]) -> list[Finding]:
    now = set(_by_name(held.run.processes))
    return [
        Finding(
            name,
            Verdict.INCOMPARABLE,
            cause=Cause.METHOD,
            sentence=f"{name} {'has no baseline; bless it' if name in now else 'is gone'}",
        )
        for name in sorted((now ^ before) - told)
    ]


def _moved(held: Held, name: str, found: Judgement) -> Finding:
    value, old = middles(held.run)[name], median(_by_name(_before(held))[name])
    origin = held.baseline.origin.get(name) if held.baseline and not held.run.before else None
    if found.verdict is Verdict.PASS:
        return Finding(name, Verdict.PASS, old, value, origin=origin)
    if found.verdict is Verdict.INCONCLUSIVE:
        told = (
            f"{name} moved by {math.expm1(found.shift.estimate):+.1%} in {found.processes} "
            f"processes: neither a rise of {percent(found.effect)} nor none is shown"
        )
        cause = Cause.NOISE
    else:
        cause, why = _cause(held, found)
        told = f"{name} moved by {math.expm1(found.shift.estimate):+.2%}, p {found.p:.2g}; {why}"
    return Finding(name, found.verdict, old, value, cause, origin=origin, sentence=told)


def _cause(held: Held, found: Judgement) -> tuple[Cause, str]:
    """Why a ratio moved: other work of the reference, other versions, or the code."""
    run, baseline = held.run, held.baseline
    paired = bool(run.before)
    counts = run.before_counts if paired else baseline.counts if baseline else {}
    if dict(counts) != dict(run.counts):
        return Cause.NUMERATOR, "the reference needs other work than before"
    surroundings = run.surroundings if paired or baseline is None else baseline.surroundings
    changed = settings_moved(surroundings, run.surroundings)
    if changed:
        return Cause.CONFIG, changed
    way = "slower" if found.verdict is Verdict.REGRESSED else "faster"
    return Cause.CODE, f"it got {way} beside the reference, which ran in the same processes"
