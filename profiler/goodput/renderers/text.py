"""The report for a terminal: one screen with the answer, then the tables that explain it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

import click
from tabulate import tabulate

from goodput.renderers.content import content_of
from goodput.renderers.tables import Table, fit
from goodput.report.model import Report

WIDTH = 100
"""Characters of a line where the terminal does not say."""

_QUANTITY_GAP = re.compile(r"(?<=\d) (?=[%A-Za-z])")
_NO_BREAK = "\N{NO-BREAK SPACE}"

Paint = Callable[[str], str]


def render_text(
    report: Report, *, width: int = WIDTH, colour: bool = False, now: datetime | None = None
) -> str:
    """The report in lines of at most `width` characters.

    Args:
        report: what to say.
        width: 80 to 120 is what the tables were made for.
        colour: whether escape sequences may be used.
        now: to tell the capacity's age; left out without it.
    """
    content = content_of(report, now)
    title = _paint(colour, bold=True)
    blocks = [
        title(content.title),
        _sentences("error", content.errors, width, _paint(colour, fg="red", bold=True)),
        _labelled(content.headline, width),
        *(_table(table, width, title) for table in content.tables),
        f"{title('How far to trust this')}\n{_labelled(content.honesty, width)}",
        _sentences("warning", content.warnings, width, _paint(colour, fg="yellow")),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _paint(colour: bool, **style: object) -> Paint:
    return partial(click.style, **style) if colour else str  # type: ignore[arg-type]  # click's own keywords


def _table(table: Table, width: int, title: Paint) -> str:
    fitted = fit(table, width)
    # tabulate pads its own headers by two blanks; as plain rows they cost no width.
    lines = [fitted.headers, ["-" * column.width for column in fitted.columns], *fitted.rows]
    body = tabulate(lines, tablefmt="plain", colalign=fitted.alignments, disable_numparse=True)
    notes = [_wrapped(note, width) for note in fitted.notes]
    return "\n".join([title(table.title), *(line.rstrip() for line in body.splitlines()), *notes])


def _labelled(lines: Iterable[tuple[str, str]], width: int) -> str:
    """Lines with their labels in a column; a label that repeats is said once."""
    pairs = list(lines)
    column = max((len(label) for label, _ in pairs), default=0) + 2
    printed, last = [], ""
    for label, text in pairs:
        first = "" if label == last else label
        printed.append(_wrapped(text, width, first.ljust(column), " " * column))
        last = label
    return "\n".join(printed)


def _sentences(label: str, sentences: Iterable[str], width: int, paint: Paint) -> str:
    indent = " " * (len(label) + 2)
    return "\n".join(paint(_wrapped(text, width, f"{label}: ", indent)) for text in sentences)


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> str:
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
