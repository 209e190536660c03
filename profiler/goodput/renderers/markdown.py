"""The report as Markdown with GitHub tables, for a pull request. The same words as the text."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tabulate import tabulate

from goodput.renderers.content import Content, content_of
from goodput.renderers.tables import Column, Table
from goodput.report.model import Report


def render_markdown(report: Report, *, now: datetime | None = None) -> str:
    """The report as Markdown; `now` tells the capacity's age."""
    return content_markdown(content_of(report, now))


def content_markdown(content: Content) -> str:
    """What a report says, as Markdown."""
    blocks = [
        f"## {escaped(content.title)}",
        _bullets(f"**error**: {escaped(error)}" for error in content.errors),
        _grid(("", ""), content.headline),
        *(_table(table) for table in content.tables),
        "### How far to trust this" if content.honesty else "",
        _bullets(f"**{label}**: {escaped(text)}" for label, text in content.honesty),
        _bullets(f"**warning**: {escaped(warning)}" for warning in content.warnings),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _table(table: Table) -> str:
    body = _grid(
        tuple(table.headers), table.rows, tuple(_alignment(column) for column in table.columns)
    )
    return "\n\n".join([f"### {table.title}", body, *(escaped(note) for note in table.notes)])


def _alignment(column: Column) -> str:
    return "right" if column.right else "left"


def _grid(
    headers: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
    alignments: tuple[str, ...] | None = None,
) -> str:
    cells = [[escaped(cell) for cell in row] for row in rows]
    return tabulate(cells, headers, tablefmt="github", colalign=alignments, disable_numparse=True)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def escaped(text: str) -> str:
    """`text` with the characters that would end a cell, or start emphasis, made plain."""
    for character in "\\|*_<>":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
