"""What authors say that their kernels do, beside what is counted, as a table."""

from __future__ import annotations

from goodput.renderers.tables import Column, Table
from goodput.report.model import Report
from goodput.units import si

_UNKNOWN = "-"


def stated_table(report: Report) -> Table | None:
    """Kernels with counted and stated FLOPs and bytes; None where no author says anything."""
    kernels = report.stated
    if not kernels:
        return None
    return Table(
        "Stated by the kernels' authors (launch_metadata)",
        (
            Column("kernel", tuple(one.kernel for one in kernels), least=16),
            Column("calls", tuple(str(one.calls) for one in kernels), right=True),
            Column("FLOP", tuple(_told(one.flops) for one in kernels), right=True),
            Column("executed", tuple(_told(one.executed_flops) for one in kernels), right=True),
            Column("stated", tuple(_told(one.stated_flops) for one in kernels), right=True),
            Column(
                "ratio", tuple(_ratio(one.stated_flops, one.flops) for one in kernels), right=True
            ),
            Column("byte", tuple(_told(one.bytes) for one in kernels), right=True),
            Column("stated", tuple(_told(one.stated_bytes) for one in kernels), right=True),
            Column(
                "ratio", tuple(_ratio(one.stated_bytes, one.bytes) for one in kernels), right=True
            ),
        ),
    )


def _told(number: float | None) -> str:
    return _UNKNOWN if number is None else si(number)


def _ratio(stated: float | None, counted: float | None) -> str:
    if stated is None or not counted:
        return _UNKNOWN
    return f"{stated / counted:.3f}"
