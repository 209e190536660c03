"""A check's report as GitHub's annotations: at most nine, the worst first, and how many are left.

GitHub shows ten errors and ten warnings of a step and drops the rest without a word.
"""

from __future__ import annotations

from collections.abc import Iterator

from goodput.renderers.check_words import lost_most
from goodput.report.verdicts import CaseResult, CheckReport, Finding, Verdict

_MOST = 9
_LEVELS = {
    Verdict.REGRESSED: "error",
    Verdict.ERROR: "error",
    Verdict.INCONCLUSIVE: "warning",
    Verdict.INCOMPARABLE: "warning",
}


def render_annotations(report: CheckReport) -> str:
    """The lines, each ended; "" where there is nothing to annotate."""
    found = list(_all(report))
    lines = found[:_MOST]
    if len(found) > _MOST:
        lines.append(_line("notice", "", 0, f"{len(found) - _MOST} more findings of goodput check"))
    return "".join(f"{line}\n" for line in lines)


def _all(report: CheckReport) -> Iterator[str]:
    """A line a case first, so that none is crowded out; then what else was found."""
    chosen = [result for result in report.ranked if result.verdict in _LEVELS]
    for result in chosen:
        worst = result.worst
        told = result.error or (worst.sentence if worst else "")
        yield _of(result, worst, f"{told}{lost_most(result)}")
    for result in chosen:
        for finding in result.findings[1:]:
            if finding.verdict is Verdict.REGRESSED:
                yield _of(result, finding, finding.sentence)


def _of(result: CaseResult, finding: Finding | None, told: str) -> str:
    level = _LEVELS[finding.verdict if finding and not result.error else result.verdict]
    cause = f" ({finding.cause})" if finding and finding.cause else ""
    text = f"{result.case}, {result.tier}: {result.verdict}{cause}: {told}; {result.reproduce}"
    return _line(level, finding.file if finding else "", finding.line if finding else 0, text)


def _line(level: str, file: str, line: int, text: str) -> str:
    place = f" file={_property(file)},line={line}," if file else " "
    return f"::{level}{place}title=goodput check::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
