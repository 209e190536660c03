"""Words laid out for a terminal: tables, labelled lines, sentences, colours. Knows no report."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable
from functools import partial

import click

from goodput.renderers.tables import Table, aligned, fit

WIDTH = 100
"""Characters of a line where the terminal does not say."""

_QUANTITY_GAP = re.compile(r"(?<=\d) (?=[%A-Za-z])")
_NO_BREAK = "\N{NO-BREAK SPACE}"

Paint = Callable[[str], str]


def painter(colour: bool, **style: object) -> Paint:
    """A function that dresses a text in `style`, click's own keywords; without `colour`, none."""
    return partial(click.style, **style) if colour else str  # type: ignore[arg-type]  # click's own keywords


def table_lines(table: Table, width: int, title: Paint) -> str:
    """The table with its title and its notes, cut to `width`."""
    fitted = fit(table, width)
    notes = [wrapped(note, width) for note in fitted.notes]
    return "\n".join([title(table.title), *aligned(fitted), *notes])


def labelled(lines: Iterable[tuple[str, str]], width: int) -> str:
    """Lines with their labels in a column; a label that repeats is said once."""
    pairs = list(lines)
    column = max((len(label) for label, _ in pairs), default=0) + 2
    printed, last = [], ""
    for label, text in pairs:
        first = "" if label == last else label
        printed.append(wrapped(text, width, first.ljust(column), " " * column))
        last = label
    return "\n".join(printed)


def sentences(label: str, texts: Iterable[str], width: int, paint: Paint) -> str:
    """Each of `texts` behind its label, e.g. `warning: ...`."""
    indent = " " * (len(label) + 2)
    return "\n".join(paint(wrapped(text, width, f"{label}: ", indent)) for text in texts)


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> str:
    """`text` in lines of `width`; no quantity and no long word (a URL, a kernel) is broken."""
    lines = textwrap.fill(
        _QUANTITY_GAP.sub(_NO_BREAK, text),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.replace(_NO_BREAK, " ")
