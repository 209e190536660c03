"""A check's report for a terminal: the verdicts, then what moved, by case."""

from __future__ import annotations

from goodput.renderers import check_words as words
from goodput.renderers.terminal import WIDTH, painter, sentences, table_lines, wrapped
from goodput.report.verdicts import CaseResult, CheckReport, Verdict

_COLOURS = {
    Verdict.REGRESSED: "red",
    Verdict.ERROR: "red",
    Verdict.IMPROVED: "green",
    Verdict.PASS: "green",
}
_SHOWN = 12
"""Sentences that are shown of a case; the rest is counted."""


def render_check_text(report: CheckReport, *, width: int = WIDTH, colour: bool = False) -> str:
    """The report in lines of at most `width` characters."""
    title = painter(colour, bold=True)
    blocks = [
        title(f"goodput check: {words.headline(report)}"),
        table_lines(words.overview(report), width, title) if report.results else "",
        *(_case(result, width, colour=colour) for result in report.ranked),
        sentences("warning", report.warnings, width, painter(colour, fg="yellow")),
        _end(report),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _end(report: CheckReport) -> str:
    lines = [f"held against {report.against}"] if report.against else []
    if report.expected_false_alarms:
        lines.append(
            f"by chance alone, {report.expected_false_alarms:.3f} false alarms are expected"
        )
    return "\n".join([*lines, f"status {words.status_line(report)}"])


def _case(result: CaseResult, width: int, *, colour: bool) -> str:
    """What moved in a case; "" where nothing did."""
    found = words.told(result)
    if not (found or result.error or result.notes):
        return ""
    paint = painter(colour, fg=_COLOURS.get(result.verdict, "yellow"), bold=True)
    place = f" on {result.device}" if result.device else ""
    lines = [paint(f"{result.case}, {result.tier}{place}: {result.verdict}")]
    lines += [_bullet(result.error, width)] if result.error else []
    for finding in found[:_SHOWN]:
        cause = f"[{words.cause_of(finding)}] " if finding.cause else ""
        at = f" ({finding.file}:{finding.line})" if finding.file else ""
        lines.append(_bullet(f"{cause}{finding.sentence}{at}", width))
    if len(found) > _SHOWN:
        lines.append(
            _bullet(f"… {len(found) - _SHOWN} more figures; all of them with --json", width)
        )
    if result.operators:
        lines.append("  what lost most:")
        lines += [wrapped(words.moved(one), width, "    ", "      ") for one in result.operators]
    lines += [_bullet(f"note: {note}", width) for note in result.notes]
    if found or result.error:
        lines.append(f"  again: {result.reproduce}")
    return "\n".join(lines)


def _bullet(text: str, width: int) -> str:
    return wrapped(text, width, "  ", "    ")
