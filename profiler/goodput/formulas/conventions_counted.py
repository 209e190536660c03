"""The way from `exact` to the conventions by operator, of a program that was counted.

A program has no architecture that a closed formula could be applied to; what its operators did is
re-weighted instead. In FLOPs of the counted step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from goodput.formulas.conventions import (
    DENSE_ATTENTION,
    EXACT,
    FLOP_COUNTER_MODE,
    FLOP_COUNTER_OPERATORS,
    MACS,
    Counted,
    split,
)
from goodput.formulas.conventions_bridge import TEXTS, Bridge, Term
from goodput.work import Work

_MASKED = TEXTS["pairs", "dense"]


@dataclass(frozen=True, slots=True)
class Counts:
    """One operator call: its name, its work, and whether it is recomputation."""

    operator: str
    work: Work
    again: bool

    def useful(self, convention: str) -> int:
        """Its useful FLOPs under a convention by operator."""
        counted = Counted(
            self.work.flops,
            self.work.dense_flops,
            self.work.recompute_flops,
            self.work.padding_flops,
            again=int(self.again),
            listed=int(self.operator in FLOP_COUNTER_OPERATORS),
        )
        return split(counted, convention).useful

    @property
    def seen(self) -> int:
        """What FlopCounterMode would count if it knew the operator."""
        known = Counted(
            self.work.flops,
            self.work.dense_flops,
            self.work.recompute_flops,
            self.work.padding_flops,
            again=0,
            listed=1,
        )
        return split(known, FLOP_COUNTER_MODE).useful


def counted_bridges(calls: Iterable[Counts]) -> tuple[Bridge, ...]:
    """The bridge to every convention by operator, `exact` itself first."""
    every = tuple(calls)
    exact = sum(one.useful(EXACT) for one in every)
    dense = sum(one.useful(DENSE_ATTENTION) for one in every)
    masked = Term("pairs", _MASKED, dense - exact)
    half = exact // 2
    return (
        _bridge(EXACT, exact),
        _bridge(DENSE_ATTENTION, dense, masked),
        _bridge(
            FLOP_COUNTER_MODE,
            sum(one.useful(FLOP_COUNTER_MODE) for one in every),
            masked,
            *_flop_counter_terms(every),
        ),
        _bridge(MACS, half, Term("macs", TEXTS["macs", True], half - exact)),
    )


def _flop_counter_terms(every: tuple[Counts, ...]) -> Iterable[Term]:
    again = sum(one.work.dense_flops for one in every if one.again)
    beyond = sum(one.seen - one.work.dense_flops for one in every)
    unlisted = [one for one in every if one.operator not in FLOP_COUNTER_OPERATORS and one.seen]
    names = ", ".join(dict.fromkeys(one.operator for one in unlisted))
    yield Term("recompute", "recomputation counted", again)
    yield Term("fifth_product", "products repeated backward", beyond)
    yield Term("unlisted", f"no formula there: {names}", -sum(one.seen for one in unlisted))


def _bridge(convention: str, flops: int, *terms: Term) -> Bridge:
    return Bridge(convention, flops, tuple(term for term in terms if term.flops))
