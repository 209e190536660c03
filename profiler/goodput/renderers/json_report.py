"""The report as JSON, `goodput.report/1`: base units, ratios 1.0 = 100 %, `null` where unknown."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec

from goodput.errors import SchemaVersionError, TraceFormatError
from goodput.report.model import Report, StepSummary

SCHEMA = "goodput.report/1"
"""Its number changes only when the meaning of a key does; keys are added freely."""

_SPREAD = ("median", "p05", "p95", "mean")


def render_json(report: Report) -> str:
    """The report as indented JSON; a number that is not finite is `null`."""
    fields_of_report = msgspec.to_builtins(report)
    fields_of_report["step"] = _step(report.step)
    encoded = msgspec.json.encode({"schema": SCHEMA, **fields_of_report})
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def parse_json(text: str | bytes) -> Report:
    """The report that `render_json` wrote.

    Raises:
        SchemaVersionError: it has another schema.
        TraceFormatError: it is no report.
    """
    try:
        keys: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
        schema = keys.get("schema")
        if schema != SCHEMA:
            raise SchemaVersionError(
                f"this goodput reads {SCHEMA}, not {schema}; install the goodput that wrote it"
            )
        step = {**keys["step"], **keys["step"]["seconds"]}
        known = {field.name for field in fields(Report)}
        plain = {key: value for key, value in keys.items() if key in known} | {"step": step}
        return msgspec.convert(plain, Report)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise TraceFormatError(f"this is no goodput report: {error}") from error


def _step(step: StepSummary) -> dict[str, object]:
    return {
        "count": step.count,
        "basis": step.basis,
        "seconds": {name: getattr(step, name) for name in _SPREAD},
    }
