"""A check's report as Markdown for a pull request: the verdict, what moved, how to see it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from goodput.renderers import check_words as words
from goodput.renderers.markdown import escaped
from goodput.renderers.tables import Table
from goodput.report.verdicts import CaseResult, CheckReport, Verdict

MARKER = "<!-- goodput check -->"
"""By this line a workflow finds its own comment, to change it instead of adding one."""

_ICONS = {
    Verdict.PASS: "✅",
    Verdict.IMPROVED: "🚀",
    Verdict.REGRESSED: "❌",
    Verdict.ERROR: "💥",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.INCOMPARABLE: "⚪",
}
_SHOWN = 8


def render_check_markdown(report: CheckReport) -> str:
    """The report; what did not change is folded away."""
    changed = [one for one in report.ranked if one.verdict is not Verdict.PASS]
    blocks = [
        MARKER,
        f"## {_icon(report)} goodput check: {escaped(words.headline(report))}",
        _overview(changed),
        *(_case(result) for result in changed),
        _folded(report),
        _bullets(f"**warning**: {escaped(warning)}" for warning in report.warnings),
        _end(report),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _icon(report: CheckReport) -> str:
    worst = report.ranked[0].verdict if report.results else Verdict.INCOMPARABLE
    return _ICONS[worst]


def _overview(results: Sequence[CaseResult]) -> str:
    return _grid(words.overview_of(results)) if results else ""


def _grid(table: Table) -> str:
    rows = [[escaped(cell) for cell in row] for row in table.rows]
    return tabulate(
        rows, table.headers, tablefmt="github", colalign=table.alignments, disable_numparse=True
    )


def _case(result: CaseResult) -> str:
    place = f" on {escaped(result.device)}" if result.device else ""
    title = f"### {_ICONS[result.verdict]} `{result.case}`, {result.tier}{place}"
    found = words.told(result)
    lines = [escaped(result.error)] if result.error else []
    for finding in found[:_SHOWN]:
        cause = f"**{words.cause_of(finding)}**: " if finding.cause else ""
        at = f" (`{finding.file}:{finding.line}`)" if finding.file else ""
        lines.append(f"{cause}{escaped(finding.sentence)}{at}")
    if len(found) > _SHOWN:
        lines.append(f"… {len(found) - _SHOWN} more figures, all of them in the JSON")
    blocks = [title, _bullets(lines)]
    if result.operators:
        blocks += [
            "What lost the most:",
            _bullets(f"`{words.moved(one)}`" for one in result.operators),
        ]
    blocks.append(_bullets(f"*{escaped(note)}*" for note in result.notes))
    if result.reproduce:
        blocks.append(f"Again: `{result.reproduce}`")
    return "\n\n".join(block for block in blocks if block)


def _folded(report: CheckReport) -> str:
    """Every result in one table, folded away."""
    if not report.results:
        return ""
    grid = _grid(words.overview_of(report.ranked))
    return f"<details><summary>All {len(report.results)} results</summary>\n\n{grid}\n\n</details>"


def _end(report: CheckReport) -> str:
    parts = [f"held against {report.against}"] if report.against else []
    if report.commit:
        parts.append(f"at {report.commit}")
    if report.expected_false_alarms:
        parts.append(f"{report.expected_false_alarms:.3f} false alarms expected by chance")
    parts.append(f"status {words.status_line(report)}")
    return escaped("; ".join(parts))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
