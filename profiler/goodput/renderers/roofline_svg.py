"""A roofline as one self-contained SVG file: no script, no font and no picture from elsewhere."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from goodput.capacity.measurement import Peaks
from goodput.errors import NotMeasuredError
from goodput.renderers.roofline_layout import Drawing, Line, Text, layout

# Characters that no XML document may hold, however written.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_roofline_svg(peaks: Peaks) -> str:
    """The roofline of the roofs in `peaks.capacity`.

    Raises:
        NotMeasuredError: there is no compute roof or no memory roof to draw.
    """
    drawing = layout(peaks)
    if drawing is None:
        raise NotMeasuredError(
            "a roofline needs a compute roof and a memory roof, and one of them was not measured; "
            "run goodput peak without --dtype"
        )
    return svg_of(drawing, f"Roofline of {peaks.device.name}")


def svg_of(drawing: Drawing, title: str) -> str:
    """The drawing as SVG, with `title` for those who cannot see it."""
    width, height = _number(drawing.width), _number(drawing.height)
    face = "Helvetica, Arial, sans-serif"
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{face}">',
        f"<title>{_escaped(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *map(_line, drawing.lines),
        *map(_text, drawing.texts),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _line(line: Line) -> str:
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in line.points)
    dashes = f" stroke-dasharray={quoteattr(line.dashes)}" if line.dashes else ""
    return (
        f'<polyline points="{points}" fill="none" stroke={quoteattr(line.colour)} '
        f'stroke-width="{_number(line.width)}"{dashes}/>'
    )


def _text(text: Text) -> str:
    x, y = _number(text.x), _number(text.y)
    turn = f' transform="rotate(-90 {x} {y})"' if text.turned else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{_number(text.size)}" text-anchor="{text.anchor}" '
        f"fill={quoteattr(text.colour)}{turn}>{_escaped(text.text)}</text>"
    )


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _escaped(text: str) -> str:
    return escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text))
