"""Where a profile of JAX counts otherwise than goodput, as on a TPU, and what it lacks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from goodput.readers.xplane_events import DeviceOps, Op
from goodput.work import Work

_DIFFERENT = 0.01


def doubts_of(
    ops: DeviceOps, works: Sequence[Work | None], linked: Sequence[bool]
) -> tuple[str, ...]:
    """The sentences on what ran.

    Args:
        ops: what ran.
        works: what goodput counts of each distinct operation.
        linked: whether each was found in its program.
    """
    calls = np.bincount(ops.op, minlength=len(ops.ops)).tolist()
    rows = list(zip(ops.ops, works, calls, strict=True))
    known = [(op, work, times) for op, work, times in rows if work is not None]
    flops = _both((op.flops, work.flops + work.vector_flops, n) for op, work, n in known)
    moved = _both((op.bytes, work.bytes, n) for op, work, n in known)
    told = []
    if _differ(*flops):
        told.append(
            f"the profiler counts {flops[0]:,} FLOP in these operations and goodput {flops[1]:,}, "
            "products and vector arithmetic together"
        )
    if _differ(*moved):
        told.append(
            f"the profiler counts {moved[0]:,} bytes that these operations move and goodput "
            f"{moved[1]:,}"
        )
    lacking = [
        (op, n) for (op, _, n), found in zip(rows, linked, strict=True) if _lacks(op) and not found
    ]
    return (*told, *_without_hlo(lacking))


def _without_hlo(lacking: Sequence[tuple[Op, int]]) -> Iterable[str]:
    """The sentence on operations whose program is not in the file, each with its calls."""
    if not lacking:
        return
    sentence = (
        f"the profile holds no HLO of {', '.join(sorted({op.module for op, _ in lacking}))}, so "
        "its operations are known by their names only"
    )
    flops = sum(times * (op.flops or 0) for op, times in lacking)
    moved = sum(times * (op.bytes or 0) for op, times in lacking)
    if flops or moved:
        sentence += f"; the profiler itself counts {flops:,} FLOP and {moved:,} bytes in them"
    yield sentence


def _both(counts: Iterable[tuple[int | None, int, int]]) -> tuple[int, int]:
    """What the profiler counts and what goodput does, of operations that both know."""
    theirs = ours = 0
    for one, other, times in counts:
        if one is not None:
            theirs += times * one
            ours += times * other
    return theirs, ours


def _differ(theirs: int, ours: int) -> bool:
    return bool(theirs) and abs(ours - theirs) > _DIFFERENT * theirs


def _lacks(op: Op) -> bool:
    return bool(op.module and op.name)
