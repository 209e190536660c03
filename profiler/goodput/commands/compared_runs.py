"""Runs the comparison that a case names, as `goodput compare` does, and keeps what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass, replace

from goodput.commands.case_runs import Site, reproduce
from goodput.commands.compared import Choice, comparisons, place_of
from goodput.commands.given import read_capacity
from goodput.commands.own_imports import path_for
from goodput.commands.timed_runs import is_called
from goodput.errors import GoodputError, NotMeasuredError
from goodput.gates import looks
from goodput.gates.baselines import Baseline
from goodput.gates.declarations import Case
from goodput.gates.held import Held
from goodput.gates.judge_compared import judgements
from goodput.gates.observed_run import CaseRun, Compared
from goodput.report.compared import Comparison, VariantRow
from goodput.report.compared_verdicts import ERROR, UNTRUSTWORTHY
from goodput.report.verdicts import Tier, Verdict

METHOD = "goodput.compared/1"
"""The rule behind the ratios."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Where a comparison runs: the work tree, and the tree that it is held against, if any."""

    head: Site
    base: Site | None


def compared(
    case: Case, sides: Sides, baseline_of: Callable[[CaseRun], Baseline | None]
) -> CaseRun:
    """What fresh processes say of the variants, and further ones where one became slower.

    Args:
        case: a case that compares.
        sides: where.
        baseline_of: the stored baseline of a run, on its device.
    """
    started = time.monotonic()
    run = CaseRun(
        case.name,
        Tier.MEASURED,
        case.fingerprint,
        method=METHOD,
        commit=sides.head.commit,
        reproduce=reproduce(case, Tier.MEASURED),
    )
    try:
        run = _held(case, sides, run, baseline_of)
    except GoodputError as error:
        run = replace(run, error=str(error), status=error.exit_code)
    return replace(run, seconds=time.monotonic() - started)


def _held(
    case: Case, sides: Sides, run: CaseRun, baseline_of: Callable[[CaseRun], Baseline | None]
) -> CaseRun:
    """Comparisons until each ratio is decided; what became slower is compared again, too.

    The sides take turns in who is first. A ratio needs no turns with other cases: its reference
    ran in the same processes.
    """
    wanted: int | None = None
    while True:
        run = _both(case, sides, run, wanted)
        found = judgements(Held(case, run, baseline_of(run)))
        made = len(run.processes)
        further = looks.next_look(made)
        if further is None or all(one.decided for one in found.values()):
            break
        wanted = further - made
    if any(one.verdict is Verdict.REGRESSED for one in found.values()):
        again = _compared(case, sides.head, looks.CONFIRMING)
        run = replace(run, again=_processes(again))
    return run


def _both(case: Case, sides: Sides, run: CaseRun, processes: int | None) -> CaseRun:
    """The run with further processes of both sides; `None` are as many as a proof needs."""

    def head(run: CaseRun) -> CaseRun:
        return further(run, of_comparisons(case, run, _compared(case, sides.head, processes)))

    def base(run: CaseRun) -> CaseRun:
        if sides.base is None:
            return run
        there = of_comparisons(case, run, _compared(case, sides.base, processes))
        return replace(run, before=(*run.before, *there.processes), before_counts=there.counts)

    return base(head(run)) if processes is None else head(base(run))


def further(run: CaseRun, more: CaseRun) -> CaseRun:
    """The run with the processes of another comparison of it.

    What either of them found wrong with a variant is wrong with it.
    """
    wrong = {n: one for n, one in run.variants.items() if one.verdict in {ERROR, *UNTRUSTWORTHY}}
    return replace(
        more,
        processes=(*run.processes, *more.processes),
        variants={**more.variants, **wrong},
        before=run.before,
        before_counts=run.before_counts,
        notes=tuple(dict.fromkeys((*run.notes, *more.notes))),
    )


def _compared(case: Case, site: Site, processes: int | None) -> tuple[Comparison, ...]:
    """The comparisons of a case's file, run from the project's folder."""
    choice = Choice(
        processes=processes,
        capacity=read_capacity(site.root / case.capacity) if case.capacity else True,
        timeout_seconds=case.timeout_seconds,
    )
    place = place_of(site.root / case.compare)
    with chdir(site.root), path_for(site.top, site.instead_of):
        return comparisons(place, choice)


def of_comparisons(case: Case, run: CaseRun, found: Sequence[Comparison]) -> CaseRun:
    """The run with what its comparisons say.

    Raises:
        NotMeasuredError: nothing was measured, or on another device than the case declares.
    """
    for one in found:
        if not one.measured:
            reasons = [row.reason for row in one.rows if row.reason] or list(one.warnings)
            why = f": {reasons[0]}" if reasons else ""
            raise NotMeasuredError(f"case {case.name}: {one.operator} was not measured{why}")
    first = found[0]
    identity = first.capacity.device if first.capacity else None
    name = identity.name if identity else first.device
    if case.device and not (identity and is_called(identity, case.device)):
        raise NotMeasuredError(
            f"case {case.name} is declared for {case.device}, and this machine computes on {name}"
        )
    return replace(
        run,
        processes=_processes(found),
        variants={name: Compared(row.verdict, row.reason) for name, row in _rows(found)},
        device={"name": name, **({"units": identity.units} if identity else {})},
        surroundings=first.environment,
        counts=_counts(found),
        notes=tuple(text for one in found for text in one.warnings),
    )


def _rows(found: Sequence[Comparison]) -> Iterator[tuple[str, VariantRow]]:
    """Every variant but the references, by `operator variant, case`."""
    for one in found:
        for case in one.cases:
            for row in case.rows:
                if row.variant != one.reference:
                    where = f", {case.name}" if case.name else ""
                    yield f"{one.operator} {row.variant}{where}", row


def _processes(found: Sequence[Comparison]) -> tuple[dict[str, float], ...]:
    """The ratios of each process; a variant is left out of those in which it has none."""
    rows = [(f"ratio.{name}", row.ratios) for name, row in _rows(found)]
    made = max((len(ratios) for _, ratios in rows), default=0)
    return tuple(
        {name: ratios[number] for name, ratios in rows if number < len(ratios)}
        for number in range(made)
    )


def _counts(found: Sequence[Comparison]) -> dict[str, float]:
    """The useful FLOPs of the references, by operator and case."""
    return {
        f"{one.operator}, {case.name}": sum(case.useful_flops.values())
        for one in found
        for case in one.cases
        if case.useful_flops is not None
    }
