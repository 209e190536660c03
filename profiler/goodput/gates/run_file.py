"""The file of one check: its verdicts for machines, and what its processes saw, to judge again.

`goodput.check/1`. Nothing in it is executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from goodput.capacity.schema import check_schema
from goodput.errors import UsageError
from goodput.gates.observed_run import CaseRun
from goodput.report.verdicts import CheckReport

FAMILY, VERSION = "goodput.check", 1


@dataclass(frozen=True, slots=True)
class StoredCheck:
    """A check that was stored: what its processes saw."""

    runs: tuple[CaseRun, ...]
    created: str = ""
    commit: str = ""


def encode(report: CheckReport, runs: Sequence[CaseRun]) -> str:
    """The JSON of a check: verdicts with every status that applies, and the runs."""
    results = [
        {**msgspec.to_builtins(result), "statuses": sorted(result.statuses)}
        for result in report.results
    ]
    whole = {
        "schema": f"{FAMILY}/{VERSION}",
        **msgspec.to_builtins(report),
        "status": report.status,
        "statuses": report.statuses,
        "results": results,
        "runs": runs,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=1).decode() + "\n"


def load(path: Path) -> StoredCheck:
    """The check in `path`.

    Raises:
        UsageError: it cannot be read or is none.
        SchemaVersionError: a newer goodput wrote it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the run {path}: {error.strerror}") from error
    try:
        plain: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
        check_schema(str(plain.get("schema")), FAMILY, VERSION, str(path))
        return msgspec.convert(plain, StoredCheck)
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"{path} is no run of goodput check --json ({error}); write one and give that"
        ) from error
