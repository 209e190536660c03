"""The roofline in plain characters: log-log, capital letters for burst roofs, small for sustained.

Two memory slopes at most; every mix stands in the memory table and in the SVG.
"""

from __future__ import annotations

from itertools import chain, repeat
from string import ascii_uppercase

from goodput.capacity.measurement import BURST, SUSTAINED
from goodput.renderers.roofline_lines import (
    CACHE,
    MAIN,
    Axis,
    Roof,
    Roofline,
    Slope,
)
from goodput.renderers.tables import shorten
from goodput.units import si

ROWS = 16
"""Lines of the drawing."""

TITLE = "Roofline: the rate that an operator can reach, over its FLOP per byte"

_LEFT = 12
_TAGS = 8
_MARKS = {MAIN: "/", CACHE: ":"}
_PREFERRED = "copy"
_ROOFS = {BURST: "-", SUSTAINED: "."}


def roofline_text(roofline: Roofline, width: int) -> str:
    """The drawing and its legend in lines of at most `width` characters."""
    columns = max(width - _LEFT - _TAGS - 2, 20)
    slopes = _shown(roofline.slopes)
    grid = _grid(roofline, slopes, columns)
    letters = _letters(roofline.roofs)
    labels, tags = _row_labels(roofline.rate), _row_tags(roofline, letters)
    lines = [
        f"{labels.get(row, ''):>{_LEFT}}|{''.join(cells)} {tags.get(row, '')}".rstrip()
        for row, cells in enumerate(grid)
    ]
    legend = (shorten(line, width) for line in _legend(roofline, slopes, letters))
    return "\n".join([*lines, *_axis(roofline.intensity, columns), "", *legend])


def _shown(slopes: tuple[Slope, ...]) -> tuple[Slope, ...]:
    """One slope a level: `copy`, else the highest."""
    shown: dict[str, Slope] = {}
    for slope in slopes:
        if slope.level not in shown or slope.mix == _PREFERRED:
            shown[slope.level] = slope
    return tuple(shown.values())


def _row(axis: Axis, rate: float) -> int:
    return round((1 - axis.part(rate)) * (ROWS - 1))


def _grid(roofline: Roofline, slopes: tuple[Slope, ...], columns: int) -> list[list[str]]:
    grid = [[" "] * columns for _ in range(ROWS)]
    start = max(slope.bytes_per_s for slope in slopes)
    for column in range(columns):
        intensity = roofline.intensity.value(column / (columns - 1))
        # Burst roofs are drawn over sustained ones, and slopes over both.
        for roof in sorted(roofline.roofs, key=lambda roof: roof.regime == BURST):
            if intensity * start >= roof.flops_per_s:
                grid[_row(roofline.rate, roof.flops_per_s)][column] = _ROOFS[roof.regime]
        for slope in slopes:
            rate = intensity * slope.bytes_per_s
            if roofline.rate.low <= rate <= roofline.top:
                grid[_row(roofline.rate, rate)][column] = _MARKS[slope.level]
    return grid


def _letters(roofs: tuple[Roof, ...]) -> dict[str, str]:
    """A capital letter a mode, the highest first; `*` where there are no more letters."""
    modes = dict.fromkeys(roof.mode for roof in roofs)
    return dict(zip(modes, chain(ascii_uppercase, repeat("*")), strict=False))


def _row_labels(axis: Axis) -> dict[int, str]:
    return {_row(axis, rate): f"{si(rate, 'FLOP/s', 1)} " for rate in axis.decades}


def _row_tags(roofline: Roofline, letters: dict[str, str]) -> dict[int, str]:
    tags: dict[int, str] = {}
    for roof in roofline.roofs:
        row, letter = _row(roofline.rate, roof.flops_per_s), letters.get(roof.mode, "")
        tags[row] = tags.get(row, "") + (letter if roof.regime == BURST else letter.lower())
    return {
        row: text if len(text) <= _TAGS else f"{text[: _TAGS - 1]}+" for row, text in tags.items()
    }


def _axis(axis: Axis, columns: int) -> list[str]:
    """The axis with a tick and a figure at every decade, and its unit."""
    ticks, figures = ["-"] * columns, [" "] * (columns + _TAGS)
    free = 0
    for value in axis.decades:
        column = round(axis.part(value) * (columns - 1))
        ticks[column] = "+"
        text = f"{value:g}"
        start = max(column - len(text) // 2, 0)
        if start >= free and start + len(text) <= len(figures):
            figures[start : start + len(text)] = text
            free = start + len(text) + 1
    margin = " " * (_LEFT + 1)
    unit = "FLOP per byte"
    return [
        f"{' ' * _LEFT}+{''.join(ticks)}",
        f"{margin}{''.join(figures)}".rstrip(),
        f"{margin}{unit.center(columns)}".rstrip(),
    ]


def _legend(roofline: Roofline, slopes: tuple[Slope, ...], letters: dict[str, str]) -> list[str]:
    lines = []
    if any(roof.regime == SUSTAINED for roof in roofline.roofs):
        lines.append("-  burst, capital letters     .  sustained, small letters")
    for mode, letter in letters.items():
        roofs = [roof for roof in roofline.roofs if roof.mode == mode]
        named = ", ".join(roof.label.removeprefix(f"{mode} ") for roof in roofs)
        lines.append(f"{letter}  {mode:<13}{named}")
    return [*lines, *(f"{_MARKS[slope.level]}  {slope.label}" for slope in slopes)]
