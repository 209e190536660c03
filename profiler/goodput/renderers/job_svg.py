"""A job's time as a drawing: for each part of the window, where its device time went."""

from __future__ import annotations

from collections.abc import Iterator

from goodput.events import buckets as b
from goodput.events import wire
from goodput.events.account import Account, JobAccount
from goodput.renderers.job import moment
from goodput.renderers.roofline_layout import Drawing, Line, Text
from goodput.renderers.roofline_svg import svg_of
from goodput.units import percent

PARTS = 400
"""Into how many parts the window is cut."""
_COLUMN, _HEIGHT = 2.0, 220.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 60.0, 56.0, 220.0, 48.0
_ROW = 18.0
_COLOURS = {
    b.KEPT: "#007a5a",
    b.LOST: "#d55e00",
    b.UNFINISHED: "#e69f00",
    b.UNSAVED: "#8fbcaa",
    wire.INITIALISATION: "#7a3b00",
    wire.COMPILE: "#a3417f",
    wire.DATA_WAIT: "#cc79a7",
    wire.CHECKPOINT_SAVE: "#0072b2",
    wire.CHECKPOINT_LOAD: "#56b4e9",
    wire.EVALUATION: "#f0e442",
    wire.CUSTOM: "#996633",
    b.UNATTRIBUTED: "#bbbbbb",
    wire.QUEUE: "#888888",
    wire.ALLOCATION: "#777777",
    wire.RESTART: "#333333",
    b.ELASTIC: "#5b5b5b",
    b.DOWN: "#111111",
}


def render_timeline_svg(job: JobAccount) -> str:
    """The drawing of `job.timeline`: shares of the device time, stacked; failures are marked."""
    width = _LEFT + _COLUMN * len(job.timeline) + _RIGHT
    lines = [line for place, part in enumerate(job.timeline) for line in _stack(place, part)]
    drawing = Drawing(
        width, _TOP + _HEIGHT + _BOTTOM, (*lines, *_failures(job)), tuple(_texts(job))
    )
    return svg_of(drawing, f"Where the device time of {job.job} went")


def _stack(place: int, part: Account) -> Iterator[Line]:
    x, below = _LEFT + _COLUMN * (place + 0.5), _TOP + _HEIGHT
    for name in b.NAMES:
        share = part.buckets.get(name, 0) / part.device_ns if part.device_ns else 0.0
        if share:
            above = below - share * _HEIGHT
            yield Line(((x, below), (x, above)), _COLOURS[name], _COLUMN)
            below = above


def _failures(job: JobAccount) -> Iterator[Line]:
    """A tick above each start of a life after the first."""
    start, end = job.total.start_ns, job.total.end_ns
    for each in job.incarnations[1:]:
        share = (each.account.start_ns - start) / (end - start)
        x = _LEFT + share * _COLUMN * len(job.timeline)
        yield Line(((x, _TOP - 8), (x, _TOP)), _COLOURS[b.LOST], 1.5)


def _texts(job: JobAccount) -> Iterator[Text]:
    bottom, right = _TOP + _HEIGHT, _LEFT + _COLUMN * len(job.timeline)
    yield Text(_LEFT, 24, f"{job.job}: goodput {percent(job.total.goodput)}", 16.0)
    yield Text(_LEFT, 42, "share of the device time; a tick is a restart", 12.0)
    yield Text(_LEFT - 8, _TOP + 10, "100 %", 12.0, "end")
    yield Text(_LEFT - 8, bottom, "0 %", 12.0, "end")
    yield Text(_LEFT, bottom + 20, moment(job.total.start_ns), 12.0)
    yield Text(right, bottom + 20, moment(job.total.end_ns), 12.0, "end")
    shown = [name for name in b.NAMES if name in job.total.buckets]
    for row, name in enumerate(shown):
        share = percent(job.total.buckets[name] / job.total.device_ns)
        text = f"■ {name.replace('_', ' ')} {share}"
        yield Text(right + 14, _TOP + 10 + _ROW * row, text, 12.0, colour=_COLOURS[name])
