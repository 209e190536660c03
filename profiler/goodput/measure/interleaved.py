"""A program's step and an anchor, timed in turns in one process. Says how to time, never what.

The anchor is a fixed piece of work on the same device: what it takes tells what the device delivers
while the step runs, so that a clock or a neighbour moves both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from goodput.measure.clock import Clock


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a process measures.

    Attributes:
        warmup: calls of each before anything counts.
        seconds: after this much measured time no further round starts.
        fewest, most: rounds.
    """

    warmup: int = 3
    seconds: float = 3.0
    fewest: int = 10
    most: int = 200


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds of the step and of the anchor, a value a round."""

    step: tuple[float, ...]
    anchor: tuple[float, ...]


def interleaved(
    step: Callable[[], object],
    anchor: Callable[[], object],
    clock: Clock,
    plan: Plan,
    prepare: Callable[[], object] = lambda: None,
) -> Rounds:
    """Times `step` and `anchor` in turns; each must return when its work is done.

    `prepare` is called before each step and is no part of it.
    """
    for _ in range(plan.warmup):
        anchor()
        prepare()
        step()
    steps: list[float] = []
    anchors: list[float] = []
    begin = clock.now()
    while len(steps) < plan.fewest or (
        len(steps) < plan.most and clock.now() - begin < plan.seconds
    ):
        anchors.append(_seconds(anchor, clock))
        prepare()
        steps.append(_seconds(step, clock))
    return Rounds(tuple(steps), tuple(anchors))


def _seconds(call: Callable[[], object], clock: Clock) -> float:
    start = clock.now()
    call()
    return clock.now() - start
