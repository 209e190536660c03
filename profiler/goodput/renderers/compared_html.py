"""A comparison as HTML for a notebook: the sentence and the tables, nothing from elsewhere."""

from __future__ import annotations

from html import escape

from goodput.renderers.compared_tables import tables_of
from goodput.renderers.compared_text import head_lines
from goodput.renderers.tables import Table
from goodput.report.compared import Comparison


def render_comparison_html(comparison: Comparison) -> str:
    """The comparison as a fragment of HTML."""
    parts = [
        f"<h3>{escape(comparison.operator)}: {escape(comparison.sentence)}</h3>",
        *map(_table, tables_of(comparison)),
        *(f"<p>warning: {escape(text)}</p>" for text in comparison.warnings),
        "<p><small>",
        "<br>".join(f"{escape(k)}: {escape(v)}" for k, v in head_lines(comparison)),
        "</small></p>",
    ]
    return "\n".join(parts)


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(header)}</th>" for header in table.headers)
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:{side}">{escape(cell)}</td>'
            for cell, side in zip(row, table.alignments, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in table.notes)
    return (
        f"<p><b>{escape(table.title)}</b></p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}"
    )
