"""A comparison as JSON: `{"schema": "goodput.comparison/1", "comparisons": [...]}`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from goodput.report.compared import Comparison

SCHEMA = "goodput.comparison/1"


def render_comparisons_json(comparisons: Sequence[Comparison]) -> str:
    """All comparisons of one file, every key as in `goodput.report.compared`; null is unknown."""
    content = {"schema": SCHEMA, "comparisons": list(comparisons)}
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"
