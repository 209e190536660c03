"""The way from the `exact` count to each convention's, term by term.

Every term is the change of one decision, the others as far as they are changed by then, so the
terms sum to the difference exactly. In FLOPs of training on one sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise

from goodput.formulas.architecture import Architecture
from goodput.formulas.conventions import CONVENTIONS, EXACT
from goodput.formulas.conventions_choices import Choices, choices_of, evaluate
from goodput.formulas.conventions_closed import inapplicable, training_flops

TEXTS: Mapping[tuple[str, object], str] = {
    ("windows", False): "sliding windows ignored",
    ("pairs", "half"): "half of all pairs",
    ("pairs", "dense"): "full attention, masks ignored",
    ("pairs", "none"): "attention omitted",
    ("whole_table", True): "block size for the sequence",
    ("own_width", False): "scores at hidden / heads",
    ("fifth_product", True): "fifth product backward",
    ("mask", True): "3 FLOP a pair for the mask",
    ("own_projections", False): "projections at hidden / heads",
    ("experts", "total"): "all experts, not active ones",
    ("experts", "none"): "grouped experts omitted",
    ("router", False): "router omitted",
    ("shared_gate", False): "gate of shared part omitted",
    ("third_matrix", False): "GLU factor missing",
    ("head", False): "LM head omitted",
    ("padded_vocabulary", True): "vocabulary padded to 128s",
    ("embedding", "never"): "input embedding omitted",
    ("embedding", "untied"): "input embedding counted",
    ("embedding", "always"): "input embedding counted",
    ("positions", True): "learned positions counted",
    ("vectors", True): "norms and biases counted",
    ("latent_norms", True): "latent norms counted",
    ("prediction", True): "further-token layers counted",
    ("recompute", "layers"): "recomputed layers counted",
    ("recompute", "all"): "all recomputation counted",
    ("macs", True): "multiply-adds for FLOP",
}
"""What it means that a decision is not the exact one."""

ORDER = tuple(field.name for field in fields(Choices))
"""The order in which decisions are changed."""


@dataclass(frozen=True, slots=True)
class Term:
    """One step of the way: the decision, in words, and what it adds or takes."""

    decision: str
    text: str
    flops: int


@dataclass(frozen=True, slots=True)
class Bridge:
    """The way from `exact` to `convention`: `flops` is exact plus all terms."""

    convention: str
    flops: int
    terms: tuple[Term, ...]


def bridge(model: Architecture, tokens: int, convention: str) -> Bridge:
    """The bridge to `convention`, without terms that change nothing.

    Raises:
        UsageError: the convention is none, or says nothing of such a model.
    """
    flops = training_flops(model, tokens, convention)
    steps = _steps(choices_of(convention, model))
    terms = [
        Term(decision, TEXTS[decision, getattr(after, decision)], change)
        for (_, before), (decision, after) in pairwise(steps)
        if (change := evaluate(model, tokens, after) - evaluate(model, tokens, before))
    ]
    return Bridge(convention, flops, tuple(terms))


def _steps(goal: Choices) -> list[tuple[str, Choices]]:
    """From the exact decisions to `goal`, one changed at a time; each with what was changed."""
    steps = [("", Choices())]
    for decision in ORDER:
        last = steps[-1][1]
        wanted = getattr(goal, decision)
        if getattr(last, decision) != wanted:
            steps.append((decision, replace(last, **{decision: wanted})))
    return steps


def bridges(model: Architecture, tokens: int) -> tuple[Bridge, ...]:
    """The bridge to every convention that says something of `model`, `exact` itself first."""
    names = [name for name in CONVENTIONS if not inapplicable(model, name)]
    return tuple(bridge(model, tokens, name) for name in sorted(names, key=lambda n: n != EXACT))
