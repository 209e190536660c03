"""What one fresh process says: its calls against an anchor that it timed among them.

The process is the sample. Its calls are not independent of each other: a busy second, a clock step
or where its memory lies is common to them all, and most of it to the anchor too. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from goodput.measure.statistics import quantile

CONTENDED_SHARE = 0.1
"""Calls of a contended CPU are judged by their 10th percentile: the undisturbed ones."""

EXCLUSIVE_SHARE = 0.5
"""Calls of a device used alone are judged by their median."""

CPU = "cpu"
"""The kind of a device that is contended."""

ANCHOR = "anchor"
"""The name of the anchor's calls among those of a process."""


def share_of(kind: str) -> float:
    """The share for a device of this kind."""
    return CONTENDED_SHARE if kind == CPU else EXCLUSIVE_SHARE


def anchored(
    calls: Sequence[float], anchor: Sequence[float], share: float = CONTENDED_SHARE
) -> float:
    """The logarithm of the `share` quantile of `calls` in units of that of `anchor`.

    The quotient of quantiles, not the quantile of quotients of neighbouring calls: the load of a
    contended machine changes between two neighbours, and the quotients have no undisturbed end
    (on recorded processes a true +5 % is found in 100 % of draws by the one, in 11 % by the
    other).
    """
    return math.log(quantile(calls, share) / quantile(anchor, share))


def anchored_all(
    process: Mapping[str, Sequence[float]], share: float = CONTENDED_SHARE
) -> dict[str, float]:
    """`anchored` of everything in `process` but its `ANCHOR`."""
    anchor = process[ANCHOR]
    return {
        name: anchored(calls, anchor, share) for name, calls in process.items() if name != ANCHOR
    }
