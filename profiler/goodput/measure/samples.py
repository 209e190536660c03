"""Samples: times as measured. They cross module borders whole, never as a bare average."""

from __future__ import annotations

from dataclasses import dataclass

from goodput.measure.statistics import quantile


@dataclass(frozen=True, slots=True)
class Samples:
    """Seconds a call of one bout, one value a train.

    Attributes:
        seconds: what one call took, on average over its train; at least one value.
    """

    seconds: tuple[float, ...]

    def rate(self, amount: float, share: float = 0.5) -> float:
        """`amount` per second at the `share` quantile of the times (0.5: the median)."""
        return amount / quantile(self.seconds, share)
