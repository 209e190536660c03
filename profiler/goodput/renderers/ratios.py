"""How a ratio is shown: never a plain percentage where it breaks the limit."""

from __future__ import annotations

from goodput.report.model import LIMIT
from goodput.units import percent

BROKEN = "error"
FASTER = "> 100 %"

# Only a compute roof is a hard limit: a cached operator may well be faster than its memory roof.
_HARD_BOUNDS = ("", "compute")
SOFT = "memory"
"""A bound that is no hard limit, for what several bounds made."""
TOO_SHORT = f"{BROKEN}: above {percent(LIMIT, 0)} of its roof, in too little time to judge"
"""The note under a table with a broken ratio, where the report as a whole has no error."""


def ratio(value: float | None) -> str:
    """A share of a compute roof: `61.3 %`, `n/a`, or `error` above the limit."""
    return BROKEN if value is not None and value > LIMIT else percent(value)


def efficiency(value: float | None, bound: str) -> str:
    """Roofline efficiency; above the limit `error`, or `> 100 %` where `bound` is a soft roof."""
    if value is not None and value > LIMIT and bound not in _HARD_BOUNDS:
        return FASTER
    return ratio(value)
