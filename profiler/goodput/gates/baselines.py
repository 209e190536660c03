"""Baselines: committed JSON files, one a case, tier and device, byte for byte the same each time.

Reads and writes them, and says why one cannot be held against a run. Judges no figure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from goodput.capacity.schema import check_schema
from goodput.errors import NotMeasuredError, UsageError
from goodput.gates.observation import OperatorFigures
from goodput.gates.observed_run import CaseRun
from goodput.report.verdicts import Tier

FAMILY, VERSION = "goodput.baseline", 1
PROOFS = 3
"""Fresh processes that must agree before a figure counts as exact."""

_FIGURES = {
    Tier.EXACT: ("calls", "executed_flops", "bytes"),
    Tier.MODELLED: ("calls", "executed_flops", "bytes", "seconds", "bound"),
    Tier.MEASURED: ("seconds",),
}
"""What is known of an operator in each tier."""
_NOTHING: tuple[object, ...] = ({}, [], "", None)
_CONFLICT = re.compile(rb"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Blessing:
    """Who says that these figures are right: why, at which commit, after how many processes."""

    reason: str
    commit: str = ""
    processes: int = 0


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a case is held against.

    Attributes:
        case, tier, fingerprint, method, toolchain, device, profile: as in a `CaseRun`.
        values: by metric; of the measured tier the median over processes.
        operators: by `operator phase mode`.
        processes: of the measured tier, the figures of each process.
        noise: of the measured tier, the noise floor of cost, as a ratio.
        counts: of the measured tier, the exact figures beside the times.
        origin: the values of the first baseline of this fingerprint, for the drift since.
        blessed: by whom and why.
        blessings: how often it was blessed.
        surroundings: what need not match, and is told where it does not.
    """

    case: str
    tier: Tier
    fingerprint: Mapping[str, object]
    method: str
    values: Mapping[str, float]
    blessed: Blessing
    toolchain: Mapping[str, str] = field(default_factory=dict)
    operators: Mapping[str, OperatorFigures] = field(default_factory=dict)
    device: Mapping[str, object] = field(default_factory=dict)
    surroundings: Mapping[str, str] = field(default_factory=dict)
    profile: str = ""
    processes: tuple[Mapping[str, float], ...] = ()
    noise: float | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    origin: Mapping[str, float] = field(default_factory=dict)
    blessings: int = 1


def path_of(folder: Path, case: str, tier: Tier, device: str = "") -> Path:
    """Where the baseline of a case, tier and device lies."""
    slug = _UNSAFE.sub("-", device).strip("-").lower()
    return folder / case / (f"{tier}-{slug}.json" if slug else f"{tier}.json")


def encode(baseline: Baseline) -> bytes:
    """The file of a baseline: keys sorted, one value a line, no moment in it."""
    plain = {"schema": f"{FAMILY}/{VERSION}", **msgspec.to_builtins(baseline)}
    kept = {name: value for name, value in plain.items() if value not in _NOTHING}
    known = _FIGURES[baseline.tier]
    if baseline.operators or baseline.tier is Tier.EXACT:
        kept["operators"] = {
            name: {figure: value for figure, value in figures.items() if figure in known}
            for name, figures in kept.get("operators", {}).items()
        }
    return (json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def decode(content: bytes, name: str) -> Baseline:
    """The baseline in a file, which an error calls `name`.

    Raises:
        UsageError: it is none, or holds a merge conflict.
        SchemaVersionError: a newer goodput wrote it.
    """
    if _CONFLICT.search(content):
        raise UsageError(
            f"{name} holds a merge conflict; take one side (git checkout --theirs {name}), and "
            "bless again where the figures moved"
        )
    try:
        plain: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
        check_schema(str(plain.get("schema")), FAMILY, VERSION, name)
        return msgspec.convert(plain, Baseline)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{name} is no whole baseline ({error}); restore it from git") from error


def read(path: Path) -> Baseline | None:
    """The baseline in `path`; None where there is no such file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot read the baseline {path}: {error.strerror}") from error
    return decode(content, str(path))


def write(path: Path, baseline: Baseline) -> bool:
    """Puts a baseline into its file, whole or not at all; False where it is there already.

    Raises:
        NotMeasuredError: it cannot be written.
    """
    content = encode(baseline)
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.part")
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise NotMeasuredError(
            f"the baseline {path} cannot be written ({error.strerror}); nothing was overwritten"
        ) from error
    return True


def incomparable(run: CaseRun, baseline: Baseline) -> str:
    """Why a run cannot be held against a baseline as a whole; "" where it can."""
    if dict(run.fingerprint) != dict(baseline.fingerprint):
        return (
            f"the baseline is of {_told(baseline.fingerprint)}, and the case is now "
            f"{_told(run.fingerprint)}; bless it again"
        )
    if run.method != baseline.method:
        return (
            f"the baseline was counted by {baseline.method}, and this goodput counts by "
            f"{run.method}; bless it again"
        )
    for name in sorted({*run.device, *baseline.device}):
        if run.device.get(name) != baseline.device.get(name):
            return (
                f"the baseline is of another device ({name} {baseline.device.get(name)}, here "
                f"{run.device.get(name)})"
            )
    if run.profile != baseline.profile:
        return (
            f"the prediction is from other roofs ({run.profile or 'none'}) than the baseline's "
            f"({baseline.profile or 'none'}); bless it again"
        )
    return ""


def _told(fingerprint: Mapping[str, object]) -> str:
    """A fingerprint in a few words."""
    others = [f"{key} {value}" for key, value in fingerprint.items() if key != "program"]
    return " ".join([str(fingerprint.get("program", "")), *others])
