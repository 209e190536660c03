"""What is executed and not useful, as a table: each cause has a row of its own."""

from __future__ import annotations

from goodput.renderers.tables import Column, Table
from goodput.report.model import Report
from goodput.units import percent, si


def beyond_table(report: Report) -> Table | None:
    """Causes, FLOPs and shares of all that is executed; None where everything is useful."""
    causes, executed = report.beyond, report.totals.executed_flops
    if not causes or not executed:
        return None
    return Table(
        "Executed, not useful",
        (
            Column("cause", tuple(one.cause for one in causes), least=20),
            Column("FLOP", tuple(si(one.flops) for one in causes), right=True),
            Column(
                "of executed", tuple(percent(one.flops / executed) for one in causes), right=True
            ),
        ),
    )
