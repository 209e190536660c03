"""Holds times against times: cost, process by process. Pure: the same values, the same verdict.

Cost is the wall seconds of a step times what an anchor reached in the same process: what the device
could have done meanwhile. A clock that fell moves both and leaves cost where it was; a model that
is upcast or does its work twice raises cost, where its goodput and MFU would rise.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from goodput.gates.looks import CONFIRMING, LOOKS
from goodput.measure.exact import Side, rank_sum, signed_rank
from goodput.measure.families import holm
from goodput.measure.shifts import Shift, paired_shift, unpaired_shift
from goodput.report.verdicts import Verdict

_CONFIRMING_ALPHA = 0.01
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the processes of one case say.

    Attributes:
        verdict: `PASS`, `REGRESSED`, `IMPROVED` or `INCONCLUSIVE`.
        shift: of the logarithm of cost.
        p: the chance of such a rise, or fall, where nothing moved; 1 of one that does not count.
        processes: of each side.
        decided: whether more processes would change nothing.
        effect: the least change that counts, as a ratio.
    """

    verdict: Verdict
    shift: Shift
    p: float
    processes: int
    decided: bool
    effect: float

    @property
    def visible(self) -> float:
        """The least change that these processes could have told, as a ratio."""
        width = self.shift.half_width
        return math.expm1(width) if math.isfinite(width) and width < 1 else math.inf


def judged(
    costs: Sequence[float], before: Sequence[float], effect: float, *, paired: bool, family: int = 1
) -> Judgement:
    """What became of cost, with the processes that there are.

    Args:
        costs: of this run, a value a process.
        before: what they are held against; with `paired`, each beside the one that ran with it.
        effect: the least change that counts, as a ratio.
        paired: whether the two ran in turns.
        family: cases that are judged together.
    """
    now, then = [math.log(cost) for cost in costs], [math.log(cost) for cost in before]
    differences = [a - b for a, b in zip(now, then, strict=True)] if paired else []
    shift = paired_shift(differences) if paired else unpaired_shift(now, then)
    margin, made = math.log1p(effect), len(costs)
    p = 1.0
    if abs(shift.estimate) > margin:  # what is smaller does not count, however sure it is
        side: Side = "greater" if shift.estimate > 0 else "less"
        p = signed_rank(differences, side) if paired else rank_sum(now, then, side)
        if family * p <= _alpha(made):
            verdict = Verdict.REGRESSED if shift.estimate > 0 else Verdict.IMPROVED
            return Judgement(verdict, shift, p, made, decided=True, effect=effect)
    if shift.high < margin and shift.low > -margin:
        return Judgement(Verdict.PASS, shift, p, made, decided=True, effect=effect)
    last = made >= LOOKS[-1][0]
    # Neither a rise nor shown to be none: that no rise is left is all that a gate asks.
    verdict = Verdict.PASS if shift.high < margin and last else Verdict.INCONCLUSIVE
    return Judgement(verdict, shift, p, made, decided=last, effect=effect)


def confirmed(first: Judgement, again: Judgement | None) -> Judgement:
    """A regression that further processes do not show too is not proven."""
    if first.verdict is not Verdict.REGRESSED or again is None:
        return first
    same = again.shift.estimate > math.log1p(first.effect) and again.p <= _CONFIRMING_ALPHA
    if same:
        return first
    return Judgement(
        Verdict.INCONCLUSIVE,
        first.shift,
        first.p,
        first.processes + again.processes,
        decided=True,
        effect=first.effect,
    )


def in_family(judgements: Mapping[_Key, Judgement]) -> dict[_Key, Judgement]:
    """The judgements of cases that are judged together: a rise must stand after Holm."""
    adjusted = holm({name: one.p for name, one in judgements.items()})
    return {
        name: one
        if one.verdict is not Verdict.REGRESSED or adjusted[name] <= _alpha(one.processes)
        else Judgement(
            Verdict.INCONCLUSIVE,
            one.shift,
            adjusted[name],
            one.processes,
            decided=True,
            effect=one.effect,
        )
        for name, one in judgements.items()
    }


def _alpha(processes: int) -> float:
    """What may be spent with so many processes: that of the last look that they allow."""
    spent = [alpha for count, alpha in LOOKS if count <= processes]
    return spent[-1] if spent else 0.0


def sequential(
    costs: Sequence[float],
    before: Sequence[float],
    effect: float,
    *,
    paired: bool,
    family: int = 1,
) -> Judgement:
    """What a check would have said of processes that are all there: look by look, then confirmed.

    Args:
        costs: of enough processes for the last look and for a confirmation.
        before: as many, where they are `paired`; else a stored baseline.
        effect: the least change that counts, as a ratio.
        paired: whether the two ran in turns.
        family: cases that are judged together.
    """
    for look, _ in LOOKS:
        other = before[:look] if paired else before
        first = judged(costs[:look], other, effect, paired=paired, family=family)
        if first.decided:
            break
    if first.verdict is not Verdict.REGRESSED:
        return first
    again = slice(look, look + CONFIRMING)
    other = before[again] if paired else before
    return confirmed(first, judged(costs[again], other, effect, paired=paired))
