"""Figures over recorded checks as SVG: a small plot a series, with its lasting changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from goodput.renderers.roofline_layout import Drawing, Line, Text
from goodput.renderers.roofline_svg import svg_of
from goodput.report.metrics import metric_of
from goodput.report.series import Series
from goodput.report.steps import Step

_WIDTH, _HEIGHT, _GAP = 720.0, 90.0, 46.0
_LEFT, _RIGHT = 110.0, 30.0
_DOTS, _LEVELS = "#8a8f98", "#1f5fa8"
_WORSE, _BETTER = "#b3261e", "#1b7f3b"
_MOST = 24
"""Plots of a drawing; those with changes come first."""


def render_history_svg(series: Sequence[Series], steps: Sequence[Step]) -> str:
    """The series as one drawing, those that changed for good first."""
    changed = {step.series.title for step in steps}
    several = [one for one in series if len(one.points) > 1]
    ranked = sorted(several, key=lambda one: (one.title not in changed, one.title))[:_MOST]
    lines: list[Line] = []
    texts: list[Text] = []
    for number, one in enumerate(ranked):
        top = _GAP + number * (_HEIGHT + _GAP)
        own = sorted((s for s in steps if s.series.title == one.title), key=lambda s: s.place)
        lines += _lines(one, own, top)
        texts += _texts(one, own, top)
    height = _GAP + max(len(ranked), 1) * (_HEIGHT + _GAP)
    if not ranked:
        texts.append(Text(_LEFT, _GAP, "no figure was recorded twice yet"))
    return svg_of(Drawing(_WIDTH, height, tuple(lines), tuple(texts)), "goodput history")


def _lines(series: Series, steps: Sequence[Step], top: float) -> Iterator[Line]:
    values = [point.value for point in series.points]
    low, high = min(values), max(values)
    bottom = top + _HEIGHT
    yield Line(((_LEFT, bottom), (_WIDTH - _RIGHT, bottom)), _DOTS, 0.6)
    yield Line(
        tuple((_x(n, len(values)), _y(value, low, high, top)) for n, value in enumerate(values)),
        _DOTS,
        1.0,
    )
    edges = [0, *(step.place for step in steps), len(values)]
    levels = [step.before for step in steps] + [step.after for step in steps[-1:]]
    for start, end, level in zip(edges, edges[1:], levels, strict=False):
        height = _y(level, low, high, top)
        yield Line(
            ((_x(start, len(values)), height), (_x(end - 1, len(values)), height)), _LEVELS, 2
        )
    for step in steps:
        x = _x(step.place - 0.5, len(values))
        yield Line(((x, top), (x, bottom)), _WORSE if step.worse else _BETTER, 1.2, "4 3")


def _texts(series: Series, steps: Sequence[Step], top: float) -> Iterator[Text]:
    metric = metric_of(series.metric)
    values = [point.value for point in series.points]
    yield Text(_LEFT, top - 8, series.title)
    yield Text(_LEFT - 8, top + 8, metric.text(max(values)), anchor="end")
    yield Text(_LEFT - 8, top + _HEIGHT, metric.text(min(values)), anchor="end")
    for step in steps:
        told = f"{100 * step.change:+.1f} % " if step.change is not None else ""
        x = _x(step.place - 0.5, len(values))
        colour = _WORSE if step.worse else _BETTER
        yield Text(
            x, top + _HEIGHT + 14, f"{told}{step.point.commit}", anchor="middle", colour=colour
        )


def _x(place: float, count: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * max(place, 0.0) / max(count - 1, 1)


def _y(value: float, low: float, high: float, top: float) -> float:
    part = (value - low) / (high - low) if high > low else 0.5
    return top + _HEIGHT * (1 - part)
