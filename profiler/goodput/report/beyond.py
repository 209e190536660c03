"""What runs beyond the useful FLOPs, each cause by itself. Pure; by the exact convention."""

from __future__ import annotations

from collections.abc import Iterable

from goodput.report.model import Beyond
from goodput.trace.recording import WorkEntry

CHECKPOINTS = "recomputed for the backward pass"
KERNELS = "repeated by attention's backward kernels"
MASKED = "masked pairs that a kernel computes"
TOLD = "padded tokens and sizes, as the program tells"

_RECOMPUTE = "recompute"


def beyond(entries: Iterable[WorkEntry]) -> tuple[Beyond, ...]:
    """FLOPs of a step that are executed and not useful, by cause; only those that are there.

    What is recomputed counts as that alone, whatever of it is padding too.
    """
    flops = dict.fromkeys((CHECKPOINTS, KERNELS, MASKED, TOLD), 0)
    for entry in entries:
        work = entry.work
        if work is None or not (work.flops or work.padding_flops):
            continue
        if entry.phase == _RECOMPUTE:
            flops[CHECKPOINTS] += work.executed_flops
            continue
        flops[KERNELS] += work.recompute_flops
        flops[TOLD] += entry.told_flops
        flops[MASKED] += work.padding_flops - entry.told_flops
    return tuple(Beyond(cause, float(number)) for cause, number in flops.items() if number)
