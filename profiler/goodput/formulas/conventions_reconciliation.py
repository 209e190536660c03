"""Everything that `goodput reconcile` says of one model, as data."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from goodput.formulas.architecture import Architecture
from goodput.formulas.conventions import CONVENTIONS
from goodput.formulas.conventions_bridge import Bridge, bridges
from goodput.formulas.conventions_closed import inapplicable
from goodput.formulas.conventions_diagnosis import Explanation, Figure, Speed, explanations


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a model was trained in: its device, and the speed on it."""

    device: str
    source: str
    speed: Speed


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One model, by every convention.

    Attributes:
        title: where it was described.
        model: what it is made of.
        tokens: of a sequence.
        batch: sequences of a step.
        bridges: the way from `exact`, which is the first, to each convention that applies.
        refused: conventions that do not apply, with the reason.
        run: the run, where it is known.
        reported: the figure to be explained, where there is one.
        explanations: what gives it, the simplest first.
    """

    title: str
    model: Architecture
    tokens: int
    batch: int
    bridges: tuple[Bridge, ...]
    refused: tuple[tuple[str, str], ...]
    run: Run | None = None
    reported: Figure | None = None
    explanations: tuple[Explanation, ...] = ()

    def per_token(self, flops: int) -> float:
        """FLOPs of a token, of those of a sequence."""
        return flops / self.tokens

    def mfu(self, flops: int) -> float | None:
        """The share of the peak that `flops` of a sequence are; None where no peak is known."""
        if self.run is None or self.run.speed.peak is None:
            return None
        rate = Fraction(flops, self.tokens) * self.run.speed.tokens_per_s
        return float(rate / Fraction(self.run.speed.peak))


def reconciliation(
    title: str,
    model: Architecture,
    tokens: int,
    batch: int = 1,
    run: Run | None = None,
    reported: Figure | None = None,
) -> Reconciliation:
    """The reconciliation of `model`, with explanations where a figure is to be explained."""
    speed = run.speed if run is not None else None
    found = explanations(model, tokens, reported, speed) if reported is not None else ()
    reasons = ((name, inapplicable(model, name)) for name in CONVENTIONS)
    return Reconciliation(
        title=title,
        model=model,
        tokens=tokens,
        batch=batch,
        bridges=bridges(model, tokens),
        refused=tuple((name, reason) for name, reason in reasons if reason),
        run=run,
        reported=reported,
        explanations=found,
    )
