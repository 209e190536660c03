"""The line `seconds = latency + size / bandwidth` through measured transfers. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from goodput.capacity.measurement import Curve, Measurement

_FEWEST = 3


def curves_of(measurements: Sequence[Measurement]) -> tuple[Curve, ...]:
    """A line for each subject of memory, links and collectives with at least three sizes."""
    subjects = dict.fromkeys(
        (m.unit, m.subject) for m in measurements if m.unit in {"memory", "link", "collective"}
    )
    found = []
    for unit, subject in subjects:
        points = [
            (m.size, m.size / m.rate)
            for m in measurements
            if (m.unit, m.subject) == (unit, subject) and m.rate and m.size
        ]
        curve = fit(unit, subject, points)
        if curve is not None:
            found.append(curve)
    return tuple(found)


def fit(unit: str, subject: str, points: Sequence[tuple[int, float]]) -> Curve | None:
    """The line with the least relative squared error; None for too few points or a falling line.

    Relative, because the sizes span decades: an absolute fit would see the largest alone. A
    negative latency has no meaning; the line then goes through zero.
    """
    if len({size for size, _ in points}) < _FEWEST:
        return None
    sizes, seconds = np.array(points, dtype=np.float64).T
    ones = np.ones_like(sizes)
    (latency, slope), *_ = np.linalg.lstsq(
        np.stack([ones / seconds, sizes / seconds], axis=1), ones, rcond=None
    )
    if latency < 0:
        relative = sizes / seconds
        latency, slope = 0.0, relative.sum() / (relative**2).sum()
    if slope <= 0:
        return None
    worst = float(np.max(np.abs((latency + slope * sizes) / seconds - 1)))
    return Curve(unit, subject, float(latency), float(1 / slope), worst)
