"""Tables of words: their columns, and how they fit a width. Knows neither reports nor units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

GAP = 2
"""Blanks between two columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        header: its name.
        cells: one text a row.
        right: numbers stand on the right.
        least: where the table is too wide, cells are cut in the middle down to this many
            characters; 0 is never cut.
        spare: where that is not enough, the column with the highest `spare` goes first; 0 stays.
    """

    header: str
    cells: tuple[str, ...]
    right: bool = False
    least: int = 0
    spare: int = 0

    @property
    def width(self) -> int:
        """Characters of the widest cell."""
        return max(len(self.header), *map(len, self.cells), 0)


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table and the sentences under it."""

    title: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    @property
    def headers(self) -> list[str]:
        """The header row."""
        return [column.header for column in self.columns]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells, row by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))

    @property
    def alignments(self) -> list[str]:
        """`left` or `right`, a column each."""
        return ["right" if column.right else "left" for column in self.columns]


def aligned(table: Table) -> list[str]:
    """The lines of the table under its headers; where the widths are known, no library is needed.

    tabulate, which Markdown is written by, takes a third of what `goodput check` needs to start.
    """
    rules = ["-" * column.width for column in table.columns]
    return [
        (" " * GAP).join(map(_padded, row, table.columns)).rstrip()
        for row in (table.headers, rules, *table.rows)
    ]


def _padded(cell: str, column: Column) -> str:
    return cell.rjust(column.width) if column.right else cell.ljust(column.width)


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` characters, its middle replaced by `…`: both ends tell most."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def filled(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns that say anything: a view leaves the names that it does not group by empty."""
    return tuple(column for column in columns if any(column.cells))


def fit(table: Table, width: int) -> Table:
    """The table in `width` characters: cells are cut first, then columns are left out."""
    columns = list(table.columns)
    while columns:
        fitted = _cut(columns, width)
        dispensable = max(columns, key=lambda column: column.spare)
        if _width(fitted) <= width or dispensable.spare == 0:
            return replace(table, columns=tuple(fitted))
        columns.remove(dispensable)
    return table


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def _cut(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns with the widest cuttable one cut, again and again, as far as it helps."""
    cut = list(columns)
    while (excess := _width(cut) - width) > 0:
        cuttable = [i for i, column in enumerate(cut) if 0 < column.least < column.width]
        if not cuttable:
            break
        widest = max(cuttable, key=lambda i: cut[i].width)
        column = cut[widest]
        goal = max(column.least, len(column.header), column.width - excess)
        if goal >= column.width:
            break
        cut[widest] = replace(column, cells=tuple(shorten(cell, goal) for cell in column.cells))
    return cut
