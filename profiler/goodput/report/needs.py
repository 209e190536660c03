"""Which roofs a recording needs measured: its math modes and its own largest contractions."""

from __future__ import annotations

import numpy as np

from goodput.trace.recording import Recording
from goodput.work import Contraction

LARGEST = 3
"""How many of a mode's largest contractions stand beside the standard shapes."""


def modes_of(recording: Recording) -> tuple[str, ...]:
    """The math modes in which the program did contractions, most FLOPs first."""
    table, strings = recording.trace.invocations, recording.trace.strings
    executed = table.flops + table.recompute_flops + table.padding_flops
    totals = np.bincount(table.mode, weights=executed, minlength=len(strings))
    ranked = sorted(np.nonzero(totals)[0].tolist(), key=lambda mode: -totals[mode])
    return tuple(strings[mode] for mode in ranked)


def largest_contractions(recording: Recording) -> tuple[Contraction, ...]:
    """The distinct contractions with most FLOPs, at most `LARGEST` of each mode."""
    chosen: list[Contraction] = []
    for contraction in sorted(set(recording.work.contractions), key=lambda c: (-c.flops, repr(c))):
        if sum(c.mode == contraction.mode for c in chosen) < LARGEST:
            chosen.append(contraction)
    return tuple(chosen)
