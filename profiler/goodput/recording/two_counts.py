"""What a program of JAX asks for beside what XLA made of it: two counts of one step. Pure.

The jaxpr tells the first; the optimised HLO in the profile, by what really ran, the second.
"""

from __future__ import annotations

import numpy as np

from goodput.trace.recording import WorkPass
from goodput.trace.table import Kind, Phase, Trace
from goodput.units import si

# A padded or a split last tile is less than that.
_SAME = 1e-3
_RECOMPUTE = Phase.RECOMPUTE.name.lower()


def differences(work: WorkPass, trace: Trace) -> tuple[str, ...]:
    """A sentence each for recompute and for the other products, where the two counts differ."""
    if not work.entries or not trace.steps:
        return ()
    asked, asked_again = _asked(work)
    ran, ran_again = _ran(trace)
    told = []
    if not _same(asked_again, ran_again, asked):
        told.append(
            f"the jaxpr of a step asks for {si(asked_again, 'FLOP')} of recompute, and XLA runs "
            f"{si(ran_again, 'FLOP')}: {_why(asked_again, ran_again, _REMOVED_AGAIN, _ADDED_AGAIN)}"
        )
    if not _same(asked, ran, asked):
        why = _why(asked, ran, _REMOVED, _ADDED)
        if lacking := _lacking(trace):
            why = f"what {', '.join(lacking)} does is not known"
        told.append(
            f"the jaxpr of a step holds {si(asked, 'FLOP')} of products beside recompute, and XLA "
            f"runs {si(ran, 'FLOP')}: {why}"
        )
    return tuple(told)


_REMOVED_AGAIN = "{} were the same as in the forward pass, whose results it keeps instead"
_ADDED_AGAIN = "it computes {} again to keep less"
_REMOVED = "it found {} that are computed twice or not needed"
_ADDED = "it added {}, by padding or by another algorithm"


def _why(asked: float, ran: float, fewer: str, more: str) -> str:
    return (fewer if ran < asked else more).format(si(abs(ran - asked), "FLOP"))


def _same(one: float, other: float, scale: float) -> bool:
    return abs(one - other) <= _SAME * scale


def _asked(work: WorkPass) -> tuple[float, float]:
    """FLOPs of the jaxpr's products: all but recompute, and recompute."""
    flops = {True: 0, False: 0}
    for entry in work.entries:
        flops[entry.phase == _RECOMPUTE] += entry.work.flops if entry.work else 0
    return flops[False], flops[True]


def _ran(trace: Trace) -> tuple[float, float]:
    """The same of what ran in a step, on all devices."""
    if trace.shares:
        useful = sum(sum(share.useful_flops.values()) for share in trace.shares)
        return useful, sum(share.executed_flops for share in trace.shares) - useful
    table, steps = trace.invocations, len(trace.steps)
    again = table.phase == Phase.RECOMPUTE
    return float(table.flops[~again].sum()) / steps, float(table.flops[again].sum()) / steps


def _lacking(trace: Trace) -> list[str]:
    """Operators that compute and have no formula."""
    table = trace.invocations
    rows = ~table.modelled & (table.kind == Kind.COMPUTE)
    return sorted({trace.strings[name] for name in np.unique(table.operator[rows]).tolist()})
