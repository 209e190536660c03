"""The ladder as a table: every second of the step has one rung, so the shares sum to 100 %."""

from __future__ import annotations

from goodput.renderers.tables import Column, Table
from goodput.report.model import Report, Rung
from goodput.units import percent, seconds

_MEANING = {
    "useful": "products that the model's math needs",
    "recompute": "products again, for the backward pass",
    "padding": "products on masked or padded elements",
    "vector": "elementwise and special functions",
    "memory": "moving bytes",
    "shape": "what a kernel cannot reach at this shape",
    "latency": "shorter than the device's shortest kernel",
    "kernel": "slower than every roof",
    "unmodelled": "no formula or no roof",
    "communication": "collectives that nothing overlapped",
    "copies": "copies that nothing overlapped",
    "host": "the device waited for the host",
    "idle": "other gaps",
}
BAR = 20
"""Characters of a bar of 100 %."""


def ladder_table(report: Report) -> Table | None:
    """Rungs, seconds, shares and bars, with their total; None where the step was not split."""
    rungs = report.ladder
    if not rungs:
        return None
    whole = Rung("total", sum(r.seconds for r in rungs), sum(r.share for r in rungs))
    lines = (*rungs, whole)
    return Table(
        "Where the step went",
        (
            Column("rung", tuple(line.rung for line in lines)),
            Column("seconds", tuple(seconds(line.seconds) for line in lines), right=True),
            Column("share", tuple(percent(line.share) for line in lines), right=True),
            Column("", (*(bar(rung.share) for rung in rungs), ""), spare=1),
            Column("what it is", tuple(_MEANING.get(line.rung, "") for line in lines), spare=2),
        ),
        _notes(report),
    )


def bar(share: float) -> str:
    """A bar whose length is the share; what is not nothing shows at least a dot."""
    blocks = round(share * BAR)
    return "█" * min(blocks, BAR) or ("·" if share > 0 else "")


def _notes(report: Report) -> tuple[str, ...]:
    absent = report.coverage.absent_rungs
    return (f"not measured on this run, so not 0: {', '.join(absent)}",) if absent else ()
