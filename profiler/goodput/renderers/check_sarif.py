"""Exact findings with a source line as SARIF 2.1.0, which code scanning shows in a diff."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from goodput.renderers.check_words import lost_most
from goodput.report.metrics import METRICS, metric_of
from goodput.report.verdicts import CaseResult, CheckReport, Finding, Tier, Verdict

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_HELP = {
    "graph_breaks": "torch.compile broke the graph here, so that eager code runs between its parts",
    "recompiles": "torch.compile compiled this code again",
    "upcasts": "floating numbers are copied into a wider type",
    "spills": "a Triton kernel keeps values in memory for want of registers",
}


def render_sarif(report: CheckReport, version: str = "") -> str:
    """The findings as one run of goodput of this `version`."""
    found = [
        (result, finding)
        for result in report.ranked
        if result.tier is Tier.EXACT
        for finding in result.findings
        if finding.verdict is Verdict.REGRESSED and finding.file
    ]
    rules = sorted({metric_of(finding.metric).name for _, finding in found})
    run = {
        "tool": {
            "driver": {
                "name": "goodput",
                "version": version,
                "rules": [_rule(name) for name in rules],
            }
        },
        "results": [_result(result, finding) for result, finding in found],
    }
    whole = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(whole), indent=1).decode() + "\n"


def _rule(name: str) -> dict[str, object]:
    told = _HELP.get(name, f"{METRICS[name].name} of the step rose")
    return {"id": name, "shortDescription": {"text": told}}


def _result(result: CaseResult, finding: Finding) -> dict[str, object]:
    told = f"{result.case}: {finding.sentence}{lost_most(result)}; {result.reproduce}"
    place = {
        "artifactLocation": {"uri": quote(finding.file)},
        "region": {"startLine": max(finding.line, 1)},
    }
    return {
        "ruleId": metric_of(finding.metric).name,
        "level": "error",
        "message": {"text": told},
        "locations": [{"physicalLocation": place}],
    }
