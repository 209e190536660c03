"""Where figures over many checks changed for good, and what else changed there. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from goodput.measure.changes import change_points
from goodput.report.metrics import is_worse, metric_of
from goodput.report.series import Point, Series
from goodput.report.verdicts import Tier


@dataclass(frozen=True, slots=True)
class Step:
    """A lasting change of one series.

    Attributes:
        series: which.
        place: of the first value after it.
        before, after: medians on both sides.
        p: of the permutation test; 0 of exact figures, which have no noise.
        worse: whether it is one for the worse.
        point: the first value after it.
        software: what else changed there.
    """

    series: Series
    place: int
    before: float
    after: float
    p: float
    worse: bool
    point: Point
    software: str

    @property
    def change(self) -> float | None:
        """The relative change."""
        return self.after / self.before - 1 if self.before else None


def steps_of(series: Series, effect: float = 0.01) -> tuple[Step, ...]:
    """The lasting changes of a series; of exact and modelled figures, every change."""
    points = series.points
    if series.tier != Tier.MEASURED:
        return tuple(
            _step(series, place, points[place - 1].value, points[place].value, 0.0)
            for place in range(1, len(points))
            if points[place].value != points[place - 1].value
        )
    if any(point.value <= 0 for point in points):
        return ()
    found = change_points([math.log(point.value) for point in points], math.log1p(effect))
    return tuple(
        _step(series, one.place, math.exp(one.before), math.exp(one.after), one.p) for one in found
    )


def _step(series: Series, place: int, before: float, after: float, p: float) -> Step:
    worse = is_worse(metric_of(series.metric), before, after)
    software = _moved(series.points[place - 1], series.points[place])
    return Step(series, place, before, after, p, worse, series.points[place], software)


def _moved(before: Point, after: Point) -> str:
    names = sorted({*before.software, *after.software})
    versions = ((name, before.software.get(name), after.software.get(name)) for name in names)
    return ", ".join(f"{name} {was} to {now}" for name, was, now in versions if was != now)


def all_steps(series: Iterable[Series]) -> tuple[Step, ...]:
    """The lasting changes of many series, the latest first."""
    found = [step for one in series for step in steps_of(one)]
    return tuple(sorted(found, key=lambda step: step.point.created, reverse=True))
