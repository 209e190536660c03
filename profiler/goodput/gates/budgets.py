"""Holds figures against fixed limits, which no new baseline moves. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from goodput.report.metrics import is_worse, metric_of
from goodput.report.verdicts import Cause, Finding, Tier, Verdict


def held(budget: Mapping[str, float], values: Mapping[str, float], tier: Tier) -> list[Finding]:
    """A finding for each limit of this tier."""
    return [
        _held(name, limit, values.get(name))
        for name, limit in sorted(budget.items())
        if metric_of(name).tier is tier
    ]


def _held(name: str, limit: float, value: float | None) -> Finding:
    metric = metric_of(name)
    most = "at most" if metric.higher_is_worse else "at least"
    allowed = f"{most} {metric.text(limit)} is allowed"
    if value is None:
        return Finding(
            name,
            Verdict.INCOMPARABLE,
            cause=Cause.METHOD,
            limit=limit,
            sentence=f"{name} is not known here, where {allowed}",
        )
    broken = is_worse(metric, limit, value)
    return Finding(
        name,
        Verdict.REGRESSED if broken else Verdict.PASS,
        value=value,
        cause=Cause.BUDGET if broken else None,
        limit=limit,
        sentence=f"{name} is {metric.text(value)}, and {allowed}" if broken else "",
    )
