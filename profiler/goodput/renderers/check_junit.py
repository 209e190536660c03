"""A check's report as JUnit XML: a case and tier is a test; what could not be judged is skipped."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from goodput.renderers import check_words as words
from goodput.report.verdicts import CaseResult, CheckReport, Verdict

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SKIPPED = (Verdict.INCOMPARABLE, Verdict.INCONCLUSIVE)


def render_junit(report: CheckReport) -> str:
    """The report as one test suite."""
    verdicts = [result.verdict for result in report.results]
    suite = ET.Element(
        "testsuite",
        name="goodput check",
        tests=str(len(verdicts)),
        failures=str(verdicts.count(Verdict.REGRESSED)),
        errors=str(verdicts.count(Verdict.ERROR)),
        skipped=str(sum(verdict in _SKIPPED for verdict in verdicts)),
    )
    for result in report.results:
        suite.append(_case(result))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(result: CaseResult) -> ET.Element:
    device = f" on {result.device}" if result.device else ""
    test = ET.Element(
        "testcase", classname=f"goodput.{result.tier}", name=_plain(f"{result.case}{device}")
    )
    told = [result.error] if result.error else [one.sentence for one in words.told(result)]
    body = "\n".join([*told, *map(words.moved, result.operators), f"again: {result.reproduce}"])
    kind = {
        Verdict.REGRESSED: "failure",
        Verdict.ERROR: "error",
        Verdict.INCOMPARABLE: "skipped",
        Verdict.INCONCLUSIVE: "skipped",
    }.get(result.verdict)
    if kind is not None:
        message = f"{result.verdict}: {told[0] if told else ''}"
        ET.SubElement(test, kind, message=_plain(message)).text = _plain(body)
    return test


def _plain(text: str) -> str:
    """`text` without the characters that XML cannot hold."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
