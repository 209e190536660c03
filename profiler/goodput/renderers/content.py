"""What a report says, in order, in words: the text and the Markdown form differ only in dress."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from goodput.renderers.beyond import beyond_table
from goodput.renderers.device_rows import device_rows_table
from goodput.renderers.devices import devices_table
from goodput.renderers.headline import headline
from goodput.renderers.honesty import honesty
from goodput.renderers.ladder import ladder_table
from goodput.renderers.module_tree import module_table
from goodput.renderers.operators import operators_table
from goodput.renderers.stated import stated_table
from goodput.renderers.tables import Table
from goodput.report.model import Report


@dataclass(frozen=True, slots=True)
class Content:
    """A report in words: labelled lines and tables."""

    title: str
    errors: tuple[str, ...]
    headline: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    honesty: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


def content_of(report: Report, now: datetime | None = None) -> Content:
    """The words of `report`; `now` tells how old its capacity is."""
    tables = (
        ladder_table(report),
        beyond_table(report),
        devices_table(report),
        device_rows_table(report),
        operators_table(report),
        module_table(report),
        stated_table(report),
    )
    return Content(
        title=f"goodput: {report.title}" if report.title else "goodput",
        errors=report.errors,
        headline=headline(report),
        tables=tuple(table for table in tables if table is not None and table.rows),
        honesty=honesty(report, now),
        warnings=report.warnings,
    )
