"""Which roofs a recording needs measured: its math modes and its own largest problems."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np

from goodput.report.counts import counted
from goodput.trace.recording import Recording
from goodput.work import Contraction
from goodput_kernels.convolution import Convolution

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


def _largest(problems: Iterable[_Problem]) -> tuple[_Problem, ...]:
    chosen: list[_Problem] = []
    for problem in sorted(set(problems), key=lambda p: (-p.flops, repr(p))):
        if sum(other.mode == problem.mode for other in chosen) < LARGEST:
            chosen.append(problem)
    return tuple(chosen)
