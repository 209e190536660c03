"""Which roofs a recording needs measured, and which of those it was given for its own shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import numpy as np

from goodput.capacity.profile import Capacity
from goodput.report.counts import counted
from goodput.trace.recording import Recording
from goodput.work import Contraction
from goodput_kernels.convolution import Convolution

HEAVIEST = 16
"""How many problems are measured at their own shapes: those with most FLOPs in a step."""
LARGEST = 3
"""How many of a mode's largest problems of a kind stand beside the standard shapes."""
_Problem = TypeVar("_Problem", Contraction, Convolution)


def modes_of(recording: Recording) -> tuple[str, ...]:
    """The math modes in which the program did contractions, most FLOPs first."""
    trace = recording.trace if recording.trace.steps else counted(recording)
    table, strings = trace.invocations, trace.strings
    executed = table.flops + table.recompute_flops + table.padding_flops
    totals = np.bincount(table.mode, weights=executed, minlength=len(strings))
    ranked = sorted(np.nonzero(totals)[0].tolist(), key=lambda mode: -totals[mode])
    return tuple(strings[mode] for mode in ranked)


def largest_contractions(recording: Recording) -> tuple[Contraction, ...]:
    """The distinct contractions with most FLOPs, at most `LARGEST` of each mode."""
    return _largest(recording.work.contractions)


def largest_convolutions(recording: Recording) -> tuple[Convolution, ...]:
    """The distinct convolutions with most FLOPs, at most `LARGEST` of each mode."""
    return _largest(recording.work.convolutions)


def heaviest_problems(
    recording: Recording,
) -> tuple[tuple[Contraction, ...], tuple[Convolution, ...]]:
    """The `HEAVIEST` problems of a step by the FLOPs of all their calls, uncut."""
    flops: Counter[Contraction | Convolution] = Counter()
    for entry in recording.work.entries:
        problem = entry.product or entry.convolution
        if problem is not None:
            flops[problem] += problem.flops * entry.calls
    chosen = [problem for problem, _ in flops.most_common(HEAVIEST)]
    return (
        tuple(problem for problem in chosen if isinstance(problem, Contraction)),
        tuple(problem for problem in chosen if isinstance(problem, Convolution)),
    )


def shape_rates(recording: Recording, capacity: Capacity | None) -> dict[tuple[str, str], float]:
    """FLOP/s by operator and shapes, for the calls whose own problem was measured."""
    if capacity is None or not capacity.shapes:
        return {}
    # Calls are many: each looks its problem up, and none walks through the shapes.
    rates = {(shape.product, shape.convolution): shape.peak.rate for shape in capacity.shapes}
    return {
        (entry.operator, entry.shapes): rate
        for entry in recording.work.entries
        if (rate := rates.get((entry.product, entry.convolution))) is not None
    }


def _largest(problems: Iterable[_Problem]) -> tuple[_Problem, ...]:
    chosen: list[_Problem] = []
    for problem in sorted(set(problems), key=lambda p: (-p.flops, repr(p))):
        if sum(other.mode == problem.mode for other in chosen) < LARGEST:
            chosen.append(problem)
    return tuple(chosen)
