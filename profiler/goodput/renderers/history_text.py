"""A history as text and JSON: where figures changed for good, and how many did not."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from goodput.renderers.tables import Column, Table
from goodput.renderers.terminal import WIDTH, painter, sentences, table_lines
from goodput.report.metrics import metric_of
from goodput.report.series import Series
from goodput.report.steps import Step

SCHEMA = "goodput.history-changes/1"
_SHOWN = 30


def render_history(
    series: Sequence[Series],
    steps: Sequence[Step],
    warnings: Sequence[str] = (),
    *,
    width: int = WIDTH,
    colour: bool = False,
) -> str:
    """The changes in lines of at most `width` characters, the latest first."""
    title = painter(colour, bold=True)
    checks = max((len(one.points) for one in series), default=0)
    steady = len({one.title for one in series} - {step.series.title for step in steps})
    blocks = [
        title(f"goodput history: {len(series)} series of at most {checks} checks"),
        table_lines(_table(steps), width, title) if steps else "",
        f"{steady} series did not change for good",
        sentences("warning", warnings, width, painter(colour, fg="yellow")),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def history_json(series: Sequence[Series], steps: Sequence[Step]) -> str:
    """Every change and every value as indented JSON, in base units."""
    changes = [
        {
            "case": step.series.case,
            "tier": step.series.tier,
            "device": step.series.device,
            "metric": step.series.metric,
            "place": step.place,
            "before": step.before,
            "after": step.after,
            "change": step.change,
            "p": step.p,
            "worse": step.worse,
            "created": step.point.created,
            "commit": step.point.commit,
            "software": step.software,
        }
        for step in steps
    ]
    whole = {"schema": SCHEMA, "changes": changes, "series": series}
    return msgspec.json.format(msgspec.json.encode(whole), indent=1).decode() + "\n"


def _table(steps: Sequence[Step]) -> Table:
    shown = steps[:_SHOWN]
    was = [metric_of(step.series.metric).text(step.before) for step in shown]
    now = [metric_of(step.series.metric).text(step.after) for step in shown]
    changes = ["" if step.change is None else f"{100 * step.change:+.2f} %" for step in shown]
    columns = (
        Column("since", tuple(step.point.created[:16].replace("T", " ") for step in shown)),
        Column("commit", tuple(step.point.commit for step in shown)),
        Column("case", tuple(step.series.case for step in shown)),
        Column("tier", tuple(step.series.tier for step in shown), spare=1),
        Column("figure", tuple(step.series.metric for step in shown), least=16),
        Column("was", tuple(was), right=True),
        Column("is", tuple(now), right=True),
        Column("change", tuple(changes), right=True),
        Column("", tuple("worse" if step.worse else "better" for step in shown)),
        Column("p", tuple(f"{step.p:.3f}" if step.p else "exact" for step in shown), spare=2),
        Column("with it", tuple(step.software for step in shown), least=12, spare=3),
    )
    left = len(steps) - len(shown)
    told = any(step.software for step in shown)
    notes = ["with it: versions and settings that changed at the same check"] if told else []
    if left:
        notes.append(f"… {left} earlier changes; all of them with --json")
    return Table("Lasting changes, the latest first", columns, tuple(notes))
