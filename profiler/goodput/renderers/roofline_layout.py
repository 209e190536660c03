"""Where everything of a roofline drawing stands: lines and texts with sizes, in pixels.

Roofs are labelled at their right end; labels that would touch are moved apart, each with a leader
to its line. Knows no file format.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from goodput.capacity.measurement import SUSTAINED, Peaks
from goodput.renderers.roofline_lines import (
    CACHE,
    Axis,
    Roofline,
    Slope,
    roofline_of,
)
from goodput.renderers.tables import shorten
from goodput.units import si

WIDTH = 1040.0
FONT, SMALL_FONT, TITLE_FONT = 13.0, 12.0, 16.0

_LEFT, _RIGHT, _TOP, _BOTTOM = 120.0, 340.0, 72.0, 62.0
_PLOT_HEIGHT = 420.0
_LINE = 18.0
_LEADER = 22.0
_PAD = 6.0
# Widths of a sans-serif face that no text comes out wider than, in parts of its size.
_NARROW_GLYPH, _WIDE_GLYPH = 0.66, 1.1

# Distinct for colour-blind eyes and dark enough on white (after Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#007a5a", "#a3417f", "#8a6d00", "#2b6c8f", "#5b5b5b", "#7a3b00")
SLOPE_COLOURS = ("#444444", "#777777", "#996633", "#336699", "#669933", "#993366")
_GRID, _INK = "#e3e3e3", "#222222"


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; `x`, `y` is its anchor on the baseline."""

    x: float
    y: float
    text: str
    size: float = FONT
    anchor: str = "start"
    colour: str = _INK
    turned: bool = False

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of what it may cover."""
        width = width_of(self.text, self.size)
        back = {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        up, down = 0.8 * self.size, 0.25 * self.size
        if self.turned:
            return self.x - up, self.y - width + back, self.x + down, self.y + back
        return self.x - back, self.y - up, self.x - back + width, self.y + down


@dataclass(frozen=True, slots=True)
class Line:
    """A polyline."""

    points: tuple[tuple[float, float], ...]
    colour: str
    width: float = 1.0
    dashes: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Lines and texts on a canvas, in the order in which they are drawn."""

    width: float
    height: float
    lines: tuple[Line, ...]
    texts: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that ran: FLOP per byte, FLOP/s, and what it is called."""

    intensity: float
    flops_per_s: float
    label: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """The rectangle of the plot, and its axes."""

    height: float
    intensity: Axis
    rate: Axis

    @property
    def left(self) -> float:
        return _LEFT

    @property
    def right(self) -> float:
        return WIDTH - _RIGHT

    @property
    def top(self) -> float:
        return _TOP

    @property
    def bottom(self) -> float:
        return _TOP + self.height

    def x(self, intensity: float) -> float:
        return self.left + self.intensity.part(intensity) * (self.right - self.left)

    def y(self, rate: float) -> float:
        return self.bottom - self.rate.part(rate) * self.height


def width_of(text: str, size: float) -> float:
    """Pixels that `text` takes at most."""
    wide = sum(unicodedata.east_asian_width(character) in "WFA" for character in text)
    return size * (_NARROW_GLYPH * (len(text) - wide) + _WIDE_GLYPH * wide)


def layout(peaks: Peaks, marks: Sequence[Mark] = ()) -> Drawing | None:
    """The drawing of a device's roofline; None where it has no compute or no memory roof.

    `marks` stand on it, numbered, with a legend below.
    """
    roofline = roofline_of(peaks)
    if roofline is None:
        return None
    labels = len(roofline.roofs) + len(roofline.slopes) + 2
    height = max(_PLOT_HEIGHT, labels * _LINE)
    frame = _Frame(height, roofline.intensity, roofline.rate)
    grid_lines, grid_texts = _grid(frame)
    slope_lines, slope_texts = _slopes(roofline, frame)
    roof_lines, roof_texts = _roofs(roofline, frame)
    mark_lines, mark_texts = _marks(marks, frame)
    return Drawing(
        WIDTH,
        frame.bottom + _BOTTOM + _LINE * len(marks),
        (*grid_lines, *slope_lines, *roof_lines, *mark_lines),
        (*_titles(peaks, frame), *grid_texts, *roof_texts, *slope_texts, *mark_texts),
    )


def _marks(marks: Sequence[Mark], frame: _Frame) -> tuple[list[Line], list[Text]]:
    """A diamond each, its number beside it, and the legend below the plot."""
    lines, texts = [], []
    for number, mark in enumerate(marks, 1):
        x, y = frame.x(mark.intensity), frame.y(mark.flops_per_s)
        corners = ((x - 4, y), (x, y - 4), (x + 4, y), (x, y + 4), (x - 4, y))
        colour = COLOURS[(number - 1) % len(COLOURS)]
        lines.append(Line(corners, colour, 2))
        texts.append(Text(x + _PAD, y + 4, str(number), SMALL_FONT, colour=colour))
        said = f"{number}  {mark.label}, {si(mark.flops_per_s, 'FLOP/s')}"
        place = frame.bottom + _BOTTOM + _LINE * (number - 1)
        texts.append(Text(frame.left, place, _fitted(said, SMALL_FONT), SMALL_FONT, colour=colour))
    return lines, texts


def _titles(peaks: Peaks, frame: _Frame) -> list[Text]:
    name = peaks.device.name or f"unnamed {peaks.device.kind}"
    versions = sorted(peaks.surroundings.software.items())
    software = ", ".join(f"{name} {version}" for name, version in versions)
    level = f"goodput peak, {peaks.level}" if peaks.level else ""
    facts = (peaks.measured_at[:10], level, software, peaks.partial)
    middle = (frame.left + frame.right) / 2
    return [
        Text(frame.left, 30, _fitted(f"Roofline of {name}", TITLE_FONT), TITLE_FONT),
        Text(frame.left, 52, _fitted(" | ".join(filter(None, facts)), SMALL_FONT), SMALL_FONT),
        Text(middle, frame.bottom + 46, "FLOP per byte of memory traffic", anchor="middle"),
        Text(18, frame.top + frame.height / 2, "FLOP/s", anchor="middle", turned=True),
    ]


def _fitted(text: str, size: float, room: float = WIDTH - _LEFT - _PAD) -> str:
    """`text`, cut in the middle until it has `room`."""
    fitted = text
    while width_of(fitted, size) > room:
        fitted = shorten(fitted, len(fitted) - 1)
    return fitted


def _grid(frame: _Frame) -> tuple[list[Line], list[Text]]:
    """Lines at every decade, with their figures, and the frame."""
    lines, texts = [], []
    for value in frame.intensity.decades:
        x = frame.x(value)
        lines.append(Line(((x, frame.top), (x, frame.bottom)), _GRID))
        texts.append(Text(x, frame.bottom + 20, f"{value:g}", SMALL_FONT, "middle"))
    for value in frame.rate.decades:
        y = frame.y(value)
        lines.append(Line(((frame.left, y), (frame.right, y)), _GRID))
        texts.append(Text(frame.left - _PAD, y + 4, si(value, "FLOP/s", 1), SMALL_FONT, "end"))
    corners = (
        (frame.left, frame.top),
        (frame.left, frame.bottom),
        (frame.right, frame.bottom),
    )
    return [*lines, Line(corners, _INK)], _apart(texts)


def _apart(texts: Iterable[Text]) -> list[Text]:
    """The texts without those that would touch one before them."""
    kept: list[Text] = []
    for text in texts:
        if not any(touch(text.box, other.box) for other in kept):
            kept.append(text)
    return kept


def touch(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes (left, top, right, bottom) share any area."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _slopes(roofline: Roofline, frame: _Frame) -> tuple[list[Line], list[Text]]:
    """The memory slopes, and their legend below the labels of the roofs."""
    lines, texts = [], []
    first = frame.bottom - _LINE * (len(roofline.slopes) - 1)
    for place, slope in enumerate(roofline.slopes):
        colour = SLOPE_COLOURS[place % len(SLOPE_COLOURS)]
        dashes = "2 3" if slope.level == CACHE else ""
        y = first + place * _LINE
        sample = ((frame.right + _PAD, y - 4), (frame.right + _PAD + _LEADER, y - 4))
        lines += [
            Line(_course(slope, roofline, frame), colour, 1.5, dashes),
            Line(sample, colour, 1.5, dashes),
        ]
        texts.append(_label(slope.label, frame, y, colour))
    return lines, texts


def _course(slope: Slope, roofline: Roofline, frame: _Frame) -> tuple[tuple[float, float], ...]:
    """From the left or the bottom edge to the highest roof."""
    start = max(roofline.intensity.low, roofline.rate.low / slope.bytes_per_s)
    end = roofline.top / slope.bytes_per_s
    return tuple((frame.x(i), frame.y(i * slope.bytes_per_s)) for i in (start, end))


def _roofs(roofline: Roofline, frame: _Frame) -> tuple[list[Line], list[Text]]:
    """The compute roofs from the steepest slope on, each with its label and a leader to it."""
    modes = list(dict.fromkeys(roof.mode for roof in roofline.roofs))
    heights = [frame.y(roof.flops_per_s) for roof in roofline.roofs]
    room = frame.bottom - _LINE * (len(roofline.slopes) + 1)
    places = spread_out([y + 4 for y in heights], _LINE, frame.top + _LINE / 2, room)
    lines, texts = [], []
    for roof, y, place in zip(roofline.roofs, heights, places, strict=True):
        colour = COLOURS[modes.index(roof.mode) % len(COLOURS)]
        dashes = "7 4" if roof.regime == SUSTAINED else ""
        begin = frame.x(roof.flops_per_s / roofline.steepest)
        leader = ((frame.right, y), (frame.right + _LEADER, place - 4))
        lines += [
            Line(((begin, y), (frame.right, y)), colour, 2, dashes),
            Line(leader, colour, 0.75),
        ]
        texts.append(_label(roof.label, frame, place, colour))
    return lines, texts


def _label(text: str, frame: _Frame, y: float, colour: str) -> Text:
    x = frame.right + _LEADER + 2 * _PAD
    return Text(x, y, _fitted(text, FONT, WIDTH - x - _PAD), FONT, colour=colour)


def spread_out(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near the `wanted` ones, in their order, `gap` apart and within `low` and `high`.

    `wanted` ascends, and `high - low` has room for all of them.
    """
    places: list[float] = []
    for one in wanted:
        places.append(max(one, low, places[-1] + gap if places else low))
    limit = high
    for place in reversed(range(len(places))):
        places[place] = min(places[place], limit)
        limit = places[place] - gap
    return places
