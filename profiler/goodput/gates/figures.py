"""The exact figures of a counted step: whole numbers that any machine gives. Counts nothing itself.

A figure that is not there is not known: none is zero for want of a count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from goodput.report.bare import communicates
from goodput.trace.recording import Recording, WorkEntry
from goodput.work import Work

RECOMPUTE = "recompute"
METHOD = "goodput.exact/1"
"""The rule behind the figures; its number changes when one of them is counted otherwise."""

_FLOATS = ("f64[", "f32[", "bf16[", "f16[", "f8")
_CONVERSIONS = ("aten::_to_copy", "prims::convert_element_type", "lax::convert_element_type")


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


def observed(
    recording: Recording, extra: Mapping[str, float] | None = None, places: tuple[Place, ...] = ()
) -> Observation:
    """The figures of a recording's counted step.

    Args:
        recording: one with a work pass.
        extra: figures that are not in it, e.g. of the compiler.
        places: where figures come from.
    """
    entries = recording.work.entries
    return Observation(
        {**_values(entries), **(extra or {})},
        _operators(entries),
        {name: recording.environment[name] for name in _PINNED if name in recording.environment},
        places=places,
        notes=recording.warnings,
    )


def rounded(value: float) -> float:
    """`value` to nine digits: the last ones depend on the order in which a machine adds."""
    return float(f"{value:.9g}")


_PINNED = ("torch", "jax", "jaxlib", "triton")


def _values(entries: tuple[WorkEntry, ...]) -> dict[str, float]:
    sums = sum((entry.work for entry in entries if entry.work is not None), Work())
    useful: defaultdict[str, int] = defaultdict(int)
    executed: defaultdict[str, int] = defaultdict(int)
    for entry in entries:
        if entry.work is not None:
            useful[entry.mode] += 0 if entry.phase == RECOMPUTE else entry.work.flops
            executed[entry.mode] += entry.work.executed_flops
    whole = sum(useful.values())
    values: dict[str, float] = {
        "useful_flops": whole,
        "executed_flops": sum(executed.values()),
        "vector_flops": sums.vector_flops,
        "special_calls": sums.special,
        "bytes": sums.bytes,
        "operator_calls": sum(entry.calls for entry in entries),
        "uncounted_calls": sum(
            entry.calls
            for entry in entries
            if entry.work is None and not communicates(entry.operator)
        ),
        "upcasts": sum(entry.calls for entry in entries if _widens(entry)),
        "collective_bytes": sum(
            entry.work.bytes
            for entry in entries
            if entry.work is not None and communicates(entry.operator)
        ),
    }
    if whole:
        values["recompute_ratio"] = sum(executed.values()) / whole
    for name, by_mode in (("useful_flops", useful), ("executed_flops", executed)):
        values |= {f"{name}.{mode}": flops for mode, flops in by_mode.items() if mode and flops}
    return values


def _widens(entry: WorkEntry) -> bool:
    """Whether a call makes a wider copy of floating numbers: it writes more than it reads."""
    work = entry.work
    return (
        work is not None
        and entry.operator in _CONVERSIONS
        and entry.shapes.startswith(_FLOATS)
        and work.bytes_written > work.bytes_read
    )


def _operators(entries: tuple[WorkEntry, ...]) -> dict[str, OperatorFigures]:
    found: defaultdict[str, OperatorFigures] = defaultdict(OperatorFigures)
    for entry in entries:
        work = entry.work or Work()
        name = " ".join(filter(None, (entry.operator, entry.phase, entry.mode)))
        found[name] += OperatorFigures(entry.calls, work.executed_flops, work.bytes)
    return dict(found)
