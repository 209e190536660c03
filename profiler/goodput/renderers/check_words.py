"""What every form of a check's report says: its headline, its rows, its sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from goodput.renderers.tables import Column, Table
from goodput.report.metrics import metric_of
from goodput.report.verdicts import CaseResult, CheckReport, Finding, OperatorChange, Verdict
from goodput.units import si

_MEANINGS = {
    0: "ok",
    1: "regressed",
    2: "wrong usage",
    3: "could not measure",
    4: "nothing comparable",
    5: "untrustworthy",
    6: "inconclusive",
}
_IN_A_LINE = 3
"""Operators that one line names."""
_ONE_WORD = {
    Verdict.REGRESSED: "regressed",
    Verdict.IMPROVED: "improved",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.INCOMPARABLE: "not comparable",
    Verdict.ERROR: "failed",
    Verdict.PASS: "passed",
}


def headline(report: CheckReport) -> str:
    """The check in one line."""
    counts = Counter(result.verdict for result in report.results)
    parts = [f"{counts[verdict]} {word}" for verdict, word in _ONE_WORD.items() if counts[verdict]]
    whole = len(report.results)
    noun = f"{whole} result{'s' * (whole != 1)}"
    return f"{noun}: {', '.join(parts)}" if parts else "nothing was checked"


def status_line(report: CheckReport) -> str:
    """The exit status and what it means; further ones where several apply."""
    first, *others = [f"{status} ({_MEANINGS[status]})" for status in report.statuses or (0,)]
    return f"{first}; also {', '.join(others)}" if others else first


def figures(finding: Finding) -> tuple[str, str, str]:
    """What a figure was, is, and by how much it moved."""
    if not finding.metric:
        return "", "", ""
    metric = metric_of(finding.metric)
    was = metric.text(finding.before) if finding.before is not None else ""
    now = metric.text(finding.value) if finding.value is not None else ""
    return was, now, change_of(finding)


def change_of(finding: Finding) -> str:
    """The relative change, signed; "" where there is none."""
    return "" if finding.change is None else f"{100 * finding.change:+.2f} %"


def drift_of(finding: Finding) -> str:
    """The relative change since what was blessed first; "" where it is the same."""
    if finding.drift is None or finding.drift == (finding.change or 0.0):
        return ""
    return f"{100 * finding.drift:+.2f} %"


def told(result: CaseResult) -> tuple[Finding, ...]:
    """The findings that say something: all but those that passed."""
    return tuple(one for one in result.findings if one.verdict is not Verdict.PASS)


def cause_of(finding: Finding) -> str:
    """The cause, and whether it is one for the better."""
    better = ", better" if finding.verdict is Verdict.IMPROVED else ""
    return f"{finding.cause}{better}"


def moved(operator: OperatorChange) -> str:
    """What an operator needs more than before."""
    unit = f" {operator.unit}" if operator.unit else f" {operator.figure}"
    added = si(operator.change, operator.unit) if operator.unit else f"{operator.change:,.0f}{unit}"
    before = si(operator.before, operator.unit) if operator.unit else f"{operator.before:,.0f}"
    if not operator.before:
        return f"{operator.operator}: +{added}, new"
    return f"{operator.operator}: +{added} on {before}"


def lost_most(result: CaseResult) -> str:
    """The operators that lost the most, for the end of a line; "" where none is known."""
    named = [moved(one) for one in result.operators[:_IN_A_LINE]]
    return f"; what lost most: {', '.join(named)}" if named else ""


def overview(report: CheckReport) -> Table:
    """A row a case and tier, worst first."""
    return overview_of(report.ranked)


def overview_of(results: Sequence[CaseResult]) -> Table:
    """A row a case and tier."""
    rows = [_row(result) for result in results]
    headers = ("case", "tier", "verdict", "cause", "figure", "was", "is", "change", "drift")
    columns = zip(*rows, strict=True) if rows else [()] * len(headers)
    right = {"was", "is", "change", "drift"}
    made = [
        Column(header, tuple(cells), right=header in right)
        for header, cells in zip(headers, columns, strict=True)
    ]
    return Table("Verdicts", tuple(column for column in made if any(column.cells)))


def _row(result: CaseResult) -> tuple[str, ...]:
    name = result.case, str(result.tier), str(result.verdict)
    worst = result.worst
    if worst is None:
        return (*name, *[""] * 6)
    if worst.verdict is Verdict.PASS:
        held = f"{result.evaluated} held"
        return (*name, "", held, "", "", "", "")
    cause = str(worst.cause) if worst.cause else ""
    return (*name, cause, worst.metric, *figures(worst), drift_of(worst))
