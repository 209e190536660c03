"""What one fresh process counted, as plain data. Counts nothing and needs no numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

METHOD = "goodput.exact/1"
"""The rule behind the figures; its number changes when one of them is counted otherwise."""


@dataclass(frozen=True, slots=True)
class OperatorFigures:
    """What one operator of one phase and math mode does in a step.

    `seconds` are ideal ones of a prediction, or measured ones; `bound` is what bounds them.
    """

    calls: int = 0
    executed_flops: int = 0
    bytes: int = 0
    seconds: float = 0.0
    bound: str = ""

    def __add__(self, other: OperatorFigures) -> OperatorFigures:
        """The figures of both."""
        return OperatorFigures(
            self.calls + other.calls,
            self.executed_flops + other.executed_flops,
            self.bytes + other.bytes,
            self.seconds + other.seconds,
            self.bound if self.seconds >= other.seconds else other.bound,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the program that a figure comes from, e.g. where a graph broke."""

    metric: str
    file: str
    line: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What one fresh process counted.

    Attributes:
        values: by metric.
        operators: by `operator phase mode`.
        toolchain: the versions that a pinned figure depends on.
        method: the rule behind the figures.
        places: lines of the program that figures come from.
        notes: sentences.
    """

    values: Mapping[str, float]
    operators: Mapping[str, OperatorFigures] = field(default_factory=dict)
    toolchain: Mapping[str, str] = field(default_factory=dict)
    method: str = METHOD
    places: tuple[Place, ...] = ()
    notes: tuple[str, ...] = ()


def rounded(value: float) -> float:
    """`value` to nine digits: the last ones depend on the order in which a machine adds."""
    return float(f"{value:.9g}")
