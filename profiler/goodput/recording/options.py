"""What a user asks of a recorded script."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How much to measure.

    Attributes:
        steps: undisturbed steps to time.
        warmup: steps to let pass first; None to wait until their times settle.
        stop_after: end the script when the passes are done.
        count_only: count one step and measure no times.
    """

    steps: int = 10
    warmup: int | None = None
    stop_after: bool = False
    count_only: bool = False
