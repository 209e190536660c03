"""Holds figures against fixed limits, which no new baseline moves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from goodput.report.metrics import Metric, is_worse, metric_of
from goodput.report.verdicts import Cause, Finding, Tier, Verdict

_PREDICTED = {"mfu": "predicted_mfu"}
"""What bounds a limit on measured figures before anything is timed: no run can do better."""
_COUNTED = ("useful_flops",)
"""The counts that a prediction tells too."""


def tiers_of(name: str) -> tuple[Tier, ...]:
    """The tiers that can hold a limit on a metric."""
    own = metric_of(name).tier
    predicted = name in {*_PREDICTED, *_COUNTED} and own is not Tier.MODELLED
    return (own, Tier.MODELLED) if predicted else (own,)


def held(budget: Mapping[str, float], values: Mapping[str, float], tier: Tier) -> list[Finding]:
    """A finding for each limit of this tier.

    The modelled tier holds the counts that it is made of too, and limits that no run can keep.
    """
    found = []
    for name, limit in sorted(budget.items()):
        bound = _PREDICTED.get(name, name)
        if tier is Tier.MODELLED and bound in values:
            found.append(_held(name, limit, bound, values[bound]))
        elif metric_of(name).tier is tier:
            found.append(_held(name, limit, name, values.get(name)))
    return found


def kept(findings: Iterable[Finding]) -> tuple[str, ...]:
    """A sentence for each limit that is held, to be told where nothing else could be."""
    return tuple(
        f"the budget is held: {one.metric} is {metric_of(one.metric).text(one.value)}, and "
        f"{_allowed(one.metric, one.limit)}"
        for one in findings
        if one.verdict is Verdict.PASS and one.limit is not None
    )


def _held(name: str, limit: float, figure: str, value: float | None) -> Finding:
    """What became of the limit on `name`, which is held against `figure`."""
    metric, allowed = metric_of(figure), _allowed(name, limit)
    if value is None:
        return Finding(
            name,
            Verdict.INCOMPARABLE,
            cause=Cause.METHOD,
            limit=limit,
            sentence=f"{name} is not known here, where {allowed}{_source(metric)}",
        )
    broken = is_worse(metric, limit, value)
    return Finding(
        figure,
        Verdict.REGRESSED if broken else Verdict.PASS,
        value=value,
        cause=Cause.BUDGET if broken else None,
        limit=limit,
        sentence=f"{figure} is {metric.text(value)}, and {allowed}" if broken else "",
    )


def _source(metric: Metric) -> str:
    return f"; only {metric.source} tells it" if metric.source else ""


def _allowed(name: str, limit: float | None) -> str:
    metric = metric_of(name)
    most = "at most" if metric.higher_is_worse else "at least"
    return f"{most} {metric.text(limit)} is allowed"
