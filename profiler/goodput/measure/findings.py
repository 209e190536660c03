"""What a shift and its p value come to: higher, lower, the same, or unclear. Pure."""

from __future__ import annotations

from typing import Literal

from goodput.measure.families import ALPHA
from goodput.measure.shifts import Shift

Finding = Literal["higher", "lower", "same", "unclear"]

MARGIN = 0.01
"""A difference of less than this, in logarithms, is none: it would not be acted upon."""


def finding(shift: Shift, p: float, margin: float = MARGIN, alpha: float = ALPHA) -> Finding:
    """What is shown of `shift`, whose p value within its family is `p`.

    A difference is shown where it is both proven and greater than `margin`; sameness where the
    whole interval is within `margin`. Anything else is unclear, which is never sameness.
    """
    if p <= alpha and abs(shift.estimate) > margin:
        return "higher" if shift.estimate > 0 else "lower"
    return "same" if shift.within(margin) else "unclear"
