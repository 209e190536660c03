"""Verdicts: what the times of all processes say of the variants. Pure: measures nothing.

The process is the unit. Two variants are compared by their differences process by process, all
pairs of all cases form one family, and noise is never called sameness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from goodput.capacity.profile import Capacity
from goodput.comparison.experiment import Calls, Collected, Plan, Row
from goodput.comparison.kernels import kernel_of, predicted
from goodput.comparison.roofs import Ideal, ideal_of
from goodput.comparison.sentences import sentence_of
from goodput.comparison.trust import LEVELS
from goodput.comparison.wire import Counted
from goodput.measure.anchored import CONTENDED_SHARE, EXCLUSIVE_SHARE, anchored
from goodput.measure.exact import least_p, signed_rank
from goodput.measure.families import ALPHA, holm, processes_needed
from goodput.measure.findings import MARGIN, Finding, finding
from goodput.measure.shifts import Shift, geometric_mean, paired_shift
from goodput.measure.statistics import median, quantile
from goodput.report.compared import CaseResult, Comparison, Interval, Overall, VariantRow
from goodput.report.compared_verdicts import ERROR, FASTEST, SLOWER, SUSPECT, TIE
from goodput.units import percent, seconds

_Logs = dict[int, float]
"""The logarithm of the anchored time of one row, by process."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """One case on the way to its result: rows that may be compared, and their ideal time."""

    place: int
    logs: dict[str, _Logs]
    leader: str
    ideal: Ideal


def judged(plan: Plan, collected: Collected, capacity: Capacity | None = None) -> Comparison:
    """The comparison that was measured.

    Args:
        plan: what was asked for.
        collected: what all processes said.
        capacity: the roofs; None where they are not known.
    """
    share = CONTENDED_SHARE if collected.device in {"", "cpu"} else EXCLUSIVE_SHARE
    ideals = {place: _ideal(plan, collected, place, capacity) for place in plan.cases}
    limits = _beyond_the_limit(plan, collected, ideals, share)
    cases = [_case(plan, collected, place, ideals[place], share, limits) for place in plan.cases]
    findings, shifts = _family(cases)
    results = tuple(
        _result(plan, collected, case, share, limits, findings, shifts) for case in cases
    )
    overall = _overall(plan, cases)
    needed = [
        processes_needed(shift, plan.processes, MARGIN)
        for pair, shift in shifts.items()
        if findings[pair] == "unclear"
    ]
    comparison = Comparison(
        operator=plan.described.entry,
        reference=plan.described.reference,
        cases=results,
        overall=overall,
        processes=plan.processes,
        processes_needed=max(needed) if needed else None,
        share=share,
        trust=plan.trust,
        checks=_checks(plan, capacity),
        seed=plan.seed,
        environment=collected.versions,
        device=collected.device,
        capacity=capacity,
        warnings=_warnings(plan, collected, len(shifts)),
        cache_bytes=collected.cache_bytes,
        flush_bytes=collected.flush_bytes,
        targets=plan.targets,
    )
    return replace(comparison, sentence=sentence_of(comparison))


def _checks(plan: Plan, capacity: Capacity | None) -> tuple[str, ...]:
    """Those of the level that ran: without roofs there is no limit to hold a time against."""
    return tuple(
        check for check in LEVELS[plan.trust].checks if check != "limit" or capacity is not None
    )


def _ideal(plan: Plan, collected: Collected, place: int, capacity: Capacity | None) -> Ideal:
    counted = collected.counts.get((place, plan.described.reference))
    return ideal_of(counted, capacity) if counted else Ideal(None, "unmodelled", None, 0.0)


def _value(calls: Calls, share: float) -> float:
    return quantile(calls.seconds, share)


def _beyond_the_limit(
    plan: Plan, collected: Collected, ideals: dict[int, Ideal], share: float
) -> dict[Row, str]:
    """Rows whose time cannot be true, with the number.

    Where the reference itself is beyond the limit, the roof was measured too low: it is raised.
    """
    found: dict[Row, str] = {}
    reference = plan.described.reference
    for (place, entry), processes in collected.calls.items():
        if entry == reference or place not in ideals:
            continue
        least = ideals[place].least_seconds
        own = collected.calls.get((place, reference), {})
        if own:
            least = min(least, median([_value(c, share) for c in own.values()]))
        took = median([_value(calls, share) for calls in processes.values()])
        if took < least:
            found[place, entry] = (
                f"{seconds(took)} is below the {seconds(least)} that this device needs at its "
                "ceiling"
            )
    return found


def _case(
    plan: Plan,
    collected: Collected,
    place: int,
    ideal: Ideal,
    share: float,
    limits: dict[Row, str],
) -> _Judged:
    logs: dict[str, _Logs] = {}
    for entry in plan.entries:
        processes = collected.calls.get((place, entry), {})
        if not processes or (place, entry) in limits or collected.trouble(place, entry):
            continue
        logs[entry] = {
            number: anchored(calls.seconds, calls.anchor, share)
            for number, calls in processes.items()
        }
    leader = _leader(logs)
    return _Judged(place, logs, leader, ideal)


def _leader(logs: dict[str, _Logs]) -> str:
    """The entry with the least time, by its differences from one other, process by process."""
    if not logs:
        return ""
    first = next(iter(logs))
    shifts = {
        name: shift.estimate
        for name in logs
        if (shift := _shift(logs[name], logs[first])) is not None
    }
    return min(shifts, key=lambda name: shifts[name], default=first)


def _differences(one: _Logs, other: _Logs) -> list[float]:
    return [one[number] - other[number] for number in sorted(one.keys() & other.keys())]


def _shift(one: _Logs, other: _Logs) -> Shift | None:
    differences = _differences(one, other)
    return paired_shift(differences) if differences else None


Pair = tuple[int, str, str]


def _family(cases: Sequence[_Judged]) -> tuple[dict[Pair, Finding], dict[Pair, Shift]]:
    """What is found of each pair; all pairs of all cases are one family."""
    p_values: dict[Pair, float] = {}
    shifts: dict[Pair, Shift] = {}
    for case in cases:
        for one, other in combinations(case.logs, 2):
            differences = _differences(case.logs[one], case.logs[other])
            if differences:
                p_values[case.place, one, other] = signed_rank(differences)
                shifts[case.place, one, other] = paired_shift(differences)
    adjusted = holm(p_values)
    return {pair: finding(shifts[pair], adjusted[pair]) for pair in shifts}, shifts


_TURNED: dict[Finding, Finding] = {
    "higher": "lower",
    "lower": "higher",
    "same": "same",
    "unclear": "unclear",
}


def _found(findings: dict[Pair, Finding], place: int, one: str, other: str) -> Finding:
    """What was found of `one` against `other`."""
    if (place, one, other) in findings:
        return findings[place, one, other]
    turned = findings.get((place, other, one))
    return _TURNED[turned] if turned else "unclear"


def _result(
    plan: Plan,
    collected: Collected,
    case: _Judged,
    share: float,
    limits: dict[Row, str],
    findings: dict[Pair, Finding],
    shifts: dict[Pair, Shift],
) -> CaseResult:
    place, reference = case.place, plan.described.reference
    counted = collected.counts.get((place, reference))
    checked = collected.checked.get((place, reference))
    beside = collected.held_back.get(place, ())
    tied = [
        name
        for name in case.logs
        if name == case.leader or _found(findings, place, name, case.leader) != "higher"
    ]
    rows = []
    for entry in plan.entries:
        row = _row(plan, collected, case, entry, share)
        if entry in case.logs:
            verdict = SLOWER if entry not in tied else FASTEST if len(tied) == 1 else TIE
            how = _tie(findings, shifts, place, entry, case) if verdict == TIE else ""
            row = replace(row, verdict=verdict, reason=how)
        elif (place, entry) in limits and not collected.trouble(place, entry):
            row = replace(row, verdict=SUSPECT, reason=limits[place, entry])
        rows.append(row)
    for name, fault in plan.described.faults.items():
        rows.append(VariantRow(name, ERROR, fault))
    return CaseResult(
        name=plan.described.cases[place],
        parameters=plan.described.parameters[place],
        rows=tuple(rows),
        useful_flops=counted.useful_flops if counted else None,
        vector_flops=counted.vector_flops if counted else None,
        moved_bytes=counted.tensor_bytes if counted else None,
        ideal_seconds=case.ideal.seconds,
        bound=case.ideal.bound,
        native_error=checked.native_error if checked else None,
        predicted=predicted(plan, collected, place),
        held_back=tuple(dict.fromkeys(name for one in beside for name in one.names)),
        held_back_seconds=math.fsum(one.seconds for one in beside) if beside else None,
    )


def _tie(
    findings: dict[Pair, Finding],
    shifts: dict[Pair, Shift],
    place: int,
    entry: str,
    case: _Judged,
) -> str:
    """What a tie rests on: shown to be the same, or too noisy to tell, and what would tell."""
    others = (
        [name for name in case.logs if name != entry] if entry == case.leader else [case.leader]
    )
    unclear = [
        shifts.get((place, entry, other)) or shifts.get((place, other, entry))
        for other in others
        if _found(findings, place, entry, other) == "unclear"
    ]
    known = [shift for shift in unclear if shift is not None]
    if not unclear:
        return f"the same within {percent(MARGIN, 0)}"
    if not known:
        return "too few processes"
    processes = len(case.logs[entry])
    needed = max(processes_needed(shift, processes, MARGIN) for shift in known)
    return f"too noisy to tell: about {needed} processes would"


def _interval(shift: Shift) -> Interval:
    low = shift.low if math.isfinite(shift.low) and shift.low > 0 else None
    return Interval(shift.estimate, low, shift.high if math.isfinite(shift.high) else None)


def _ratio(one: _Logs, other: _Logs | None) -> Interval | None:
    shift = _shift(one, other) if other else None
    return _interval(shift.ratio) if shift is not None else None


def _row(plan: Plan, collected: Collected, case: _Judged, entry: str, share: float) -> VariantRow:
    """All that is known of a row but its verdict, which is an error until it is compared."""
    place, reference = case.place, plan.described.reference
    trouble = collected.trouble(place, entry)
    processes = collected.calls.get((place, entry), {})
    took = None
    if processes and not (trouble and entry not in case.logs and trouble.verdict == ERROR):
        took = paired_shift([math.log(_value(calls, share)) for calls in processes.values()]).ratio
    firsts = [calls.first_seconds for calls in processes.values() if calls.first_seconds]
    checked = collected.checked.get((place, entry))
    own, theirs = collected.counts.get((place, entry)), collected.counts.get((place, reference))
    logs, base = case.logs.get(entry), case.logs.get(reference)
    return VariantRow(
        variant=entry,
        verdict=trouble.verdict if trouble else ERROR,
        reason=trouble.text if trouble else _untimed(plan),
        seconds=_interval(took) if took else None,
        ratio=_ratio(logs, base) if logs else None,
        ratios=tuple(map(math.exp, _differences(logs, base))) if logs and base else (),
        against_fastest=_ratio(logs, case.logs.get(case.leader)) if logs else None,
        executed_ratio=_executed_ratio(own, theirs),
        goodput=_over(case.ideal.useful_seconds, took),
        roofline=_over(case.ideal.seconds, took),
        error=checked.error if checked else None,
        deterministic=checked.deterministic if checked else None,
        first_seconds=median(firsts) if firsts else None,
        tuning_seconds=collected.tuning_seconds((place, entry)),
        peak_bytes=collected.peak_bytes.get((place, entry)),
        same_operators=bool(own and theirs and entry != reference)
        and own is not None
        and theirs is not None
        and own.operators == theirs.operators,
        resources=tuple(kernel_of(one) for one in collected.resources.get((place, entry), ())),
    )


def _untimed(plan: Plan) -> str:
    """Why a row without a trouble has no time."""
    if plan.targets:
        return f"compiled for {', '.join(plan.targets)}; nothing was to be timed"
    return f"none of {plan.processes} processes came to time it"


def _over(ideal: float | None, took: Shift | None) -> float | None:
    return ideal / took.estimate if ideal and took else None


def _executed_ratio(own: Counted | None, reference: Counted | None) -> float | None:
    """Executed FLOPs over the reference's useful ones; None where either is not counted whole."""
    if own is None or reference is None or own.missing or reference.missing:
        return None
    useful = sum(reference.useful_flops.values())
    return own.executed_flops / useful if useful else None


def _overall(plan: Plan, cases: Sequence[_Judged]) -> tuple[Overall, ...]:
    """Each variant over the cases that it ran on; those on most cases and fastest first."""
    reference = plan.described.reference
    found = []
    for entry in plan.entries:
        ran = [c for c in cases if entry in c.logs and reference in c.logs]
        numbers = (
            set.intersection(*(set(c.logs[entry]) & set(c.logs[reference]) for c in ran))
            if ran
            else set()
        )
        if not numbers:
            continue
        table = [[c.logs[entry][n] - c.logs[reference][n] for c in ran] for n in sorted(numbers)]
        losses = [
            shift.estimate for c in ran if (shift := _shift(c.logs[entry], c.logs[c.leader]))
        ] or [0.0]
        found.append(
            Overall(
                variant=entry,
                ratio=_interval(geometric_mean(table)),
                cases=len(ran),
                regret=math.exp(sum(losses) / len(losses)),
                worst_regret=math.exp(max(losses)),
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.cases, one.ratio.value)))


def _warnings(plan: Plan, collected: Collected, comparisons: int) -> tuple[str, ...]:
    told = list(collected.notes)
    if comparisons and least_p(plan.processes) * comparisons > ALPHA:
        told.append(
            f"{plan.processes} processes cannot prove a difference among {comparisons} pairs at "
            f"{percent(ALPHA, 0)}: all stand as ties; take more with --processes"
        )
    return tuple(told)
