"""The result of a comparison in one sentence, as hyperfine says it. Judges nothing itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

from goodput.measure.exact import least_p
from goodput.measure.families import ALPHA
from goodput.report.compared import CaseResult, Comparison, Overall
from goodput.report.compared_verdicts import FASTEST, SLOWER, TIE


def sentence_of(comparison: Comparison) -> str:
    """What is fastest, or tied for it, and by how much."""
    if comparison.compiled:
        kernels = [one for row in comparison.rows for one in row.resources]
        spilling = sum(one.spilled_bytes > 0 for one in kernels)
        return f"{len(kernels)} kernels compiled, {spilling} of them spill registers; none was run"
    cases = [case for case in comparison.cases if case.winners]
    if not cases or not comparison.overall:
        return "nothing could be compared"
    over = f" over {len(cases)} cases" if len(cases) > 1 else ""
    always = _always(cases)
    if not _provable(comparison):
        one = comparison.processes == 1
        return (
            f"{'1 process' if one else f'{comparison.processes} processes'} cannot tell them apart"
        )
    if len(always) > 1:
        return _tied(comparison, always, over)
    whole = [one for one in comparison.overall if one.cases == comparison.overall[0].cases]
    best = next((one for one in whole if one.variant in always), whole[0])
    over = f" over {best.cases} cases" if best.cases > 1 else ""
    if best.variant == comparison.reference:
        return f"nothing is faster than the reference {best.variant}{over}{_elsewhere(cases, best)}"
    return f"{_ran(best)} the reference{over}{_elsewhere(cases, best)}"


def _provable(comparison: Comparison) -> bool:
    """Whether so few processes can prove any difference among all pairs of all cases."""
    pairs = sum(
        math.comb(sum(row.verdict in {FASTEST, TIE, SLOWER} for row in case.rows), 2)
        for case in comparison.cases
    )
    return pairs == 0 or least_p(comparison.processes) * pairs <= ALPHA


def _always(cases: Sequence[CaseResult]) -> tuple[str, ...]:
    """Those that are the fastest of every case, or tied for it."""
    return tuple(
        name for name in cases[0].winners if all(name in case.winners for case in cases[1:])
    )


def _tied(comparison: Comparison, names: Sequence[str], over: str) -> str:
    """That the best are tied, and how they stand to the reference."""
    told = f"{', '.join(names[:-1])} and {names[-1]} are tied for the fastest{over}"
    if comparison.reference in names:
        return f"{told}: nothing is proven faster than the reference{_noise(comparison)}"
    own = next((one for one in comparison.overall if one.variant in names), None)
    return f"{told}; {_ran(own)} the reference" if own else told


def _noise(comparison: Comparison) -> str:
    if comparison.processes_needed is None:
        return ""
    return f"; about {comparison.processes_needed} processes would tell more"


def _ran(one: Overall) -> str:
    speed = 1 / one.ratio.value
    ends = ""
    if one.ratio.low and one.ratio.high:
        ends = f" [{1 / one.ratio.high:.2f}, {1 / one.ratio.low:.2f}]"
    return f"{one.variant} ran {speed:.2f}{ends} times as fast as"


def _elsewhere(cases: Sequence[CaseResult], best: Overall) -> str:
    """In how many cases another one was faster."""
    lost = sum(best.variant not in case.winners for case in cases)
    return f"; in {lost} of them another one is faster" if lost and len(cases) > 1 else ""
