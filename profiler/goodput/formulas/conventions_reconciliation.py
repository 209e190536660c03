"""Everything that `goodput reconcile` says of one model or program, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from goodput.formulas.architecture import Architecture
from goodput.formulas.conventions import BY_OPERATOR, CONVENTIONS
from goodput.formulas.conventions_bridge import Bridge, bridges
from goodput.formulas.conventions_closed import inapplicable
from goodput.formulas.conventions_counted import Counts, counted_bridges
from goodput.formulas.conventions_diagnosis import Explanation, Figure, Speed, explanations

NO_ARCHITECTURE = "it is a formula on an architecture, and a program does not show its own"


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a figure is of: the speed on its device.

    `device` is the datasheet's name and `source` where its peak is from; both are "" where only
    the speed is known. `assumed` says of what it was taken for, where its name was of several.
    """

    speed: Speed
    device: str = ""
    source: str = ""
    assumed: str = ""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One model or program, by every convention.

    Attributes:
        title: where it was described.
        bridges: the way from `exact`, which is the first, to each convention that applies; in
            FLOPs of `tokens` tokens.
        tokens: of one sequence of a model, of the step of a program; None where not known.
        batch: sequences of a step; 1 of a program.
        refused: conventions that do not apply, with the reason.
        model: what it is made of; None of a program.
        run: the run, where it is known.
        reported: the figure to be explained, where there is one.
        explanations: what gives it, the simplest first.
        warnings: sentences about the count.
    """

    title: str
    bridges: tuple[Bridge, ...]
    tokens: int | None
    batch: int = 1
    refused: tuple[tuple[str, str], ...] = ()
    model: Architecture | None = None
    run: Run | None = None
    reported: Figure | None = None
    explanations: tuple[Explanation, ...] = ()
    warnings: tuple[str, ...] = ()

    def per_token(self, flops: int) -> float | None:
        """FLOPs of one token; None where the tokens are not known."""
        return None if self.tokens is None else flops / self.tokens

    def mfu(self, flops: int) -> float | None:
        """The share of the peak that `flops` are, at the run's speed; None where not known."""
        if self.tokens is None or self.run is None or self.run.speed.peak is None:
            return None
        rate = Fraction(flops, self.tokens) * self.run.speed.tokens_per_s
        return float(rate / Fraction(self.run.speed.peak))


def of_model(
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
        bridges=bridges(model, tokens),
        tokens=tokens,
        batch=batch,
        refused=tuple((name, reason) for name, reason in reasons if reason),
        model=model,
        run=run,
        reported=reported,
        explanations=found,
    )


def of_program(
    title: str,
    calls: Iterable[Counts],
    tokens: int | None,
    run: Run | None = None,
    warnings: tuple[str, ...] = (),
) -> Reconciliation:
    """The reconciliation of a step that was counted, by the conventions by operator."""
    return Reconciliation(
        title=title,
        bridges=counted_bridges(calls),
        tokens=tokens,
        refused=tuple((n, NO_ARCHITECTURE) for n in CONVENTIONS if n not in BY_OPERATOR),
        run=run,
        warnings=warnings,
    )
