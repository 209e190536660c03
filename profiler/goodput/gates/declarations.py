"""What a project wants held: the cases of `[tool.goodput]`, or of `goodput.toml`. Runs nothing."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from goodput.errors import UsageError
from goodput.gates.budgets import tiers_of
from goodput.report.metrics import limit_of, nearest
from goodput.report.verdicts import Tier
from goodput.units import quantity

OWN, PROJECT = "goodput.toml", "pyproject.toml"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ANCHORS = ("compute", "memory")
_CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is held.

    Attributes:
        name: as declared.
        target: `file.py:function`, or "".
        script: a script with its arguments, or ().
        compare: a file that declares variants, as `goodput compare` takes it, or "".
        tiers: how it is held.
        device: by its datasheet name: for the modelled tier, and what the measured one must run on.
        capacity: a file of measured roofs for the modelled tier, or "".
        budget: fixed limits by metric, in base units.
        batch, seq, train: as `goodput count` takes them.
        targets: GPU architectures that Triton kernels are compiled for, e.g. `sm_90`.
        timeout_seconds: of one process.
        min_effect: the least change of cost that counts, as a ratio.
        anchor: what a measured case is held against: `compute` or `memory`.
    """

    name: str
    target: str = ""
    script: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = (Tier.EXACT,)
    device: str = ""
    capacity: str = ""
    budget: Mapping[str, float] = field(default_factory=dict)
    batch: int | None = None
    seq: int | None = None
    train: bool | None = None
    targets: tuple[str, ...] = ()
    timeout_seconds: float = 600.0
    min_effect: float = 0.02
    anchor: str = "compute"
    compare: str = ""

    @property
    def program(self) -> str:
        """What is run, as typed."""
        return self.target or self.compare or shlex.join(self.script)

    @property
    def fingerprint(self) -> dict[str, object]:
        """What decides what is counted: two cases of other fingerprints are not compared."""
        own = {"batch": self.batch, "seq": self.seq, "train": self.train}
        return {"program": self.program, **{k: v for k, v in own.items() if v is not None}}


@dataclass(frozen=True, slots=True)
class Gates:
    """Everything that a project declares.

    Attributes:
        root: the folder of the file, which paths are relative to and programs run in.
        source: the file.
        cases: in the order declared.
        baselines: the folder of the baselines.
        history: the file of recorded runs.
    """

    root: Path
    source: Path
    cases: tuple[Case, ...]
    baselines: Path
    history: Path


def check_named(gates: Gates, names: Iterable[str]) -> None:
    """Raises where a case of this name is not declared.

    Raises:
        UsageError: the line that names the nearest one.
    """
    declared = [case.name for case in gates.cases]
    for name in names:
        if name not in declared:
            raise UsageError(f"there is no case {name} in {gates.source}{nearest(name, declared)}")


def found_from(folder: Path) -> Gates:
    """The gates of the nearest `goodput.toml` or `pyproject.toml` with `[tool.goodput]`.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    for place in (folder, *folder.parents):
        own, project = place / OWN, place / PROJECT
        if own.is_file():
            return of_table(_table(own), own)
        if project.is_file():
            table = _table(project).get("tool", {}).get("goodput")  # type: ignore[attr-defined]  # a table of tables
            if table is not None:
                return of_table(table, project)
    raise UsageError(
        f"no gates are declared in {folder} or above: write [tool.goodput.case.NAME] into "
        f"{PROJECT}, or [case.NAME] into {OWN}"
    )


def _table(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        conflict = " (it holds a merge conflict)" if _CONFLICT.search(text) else ""
        raise UsageError(f"{path} is no TOML{conflict}: {error}") from error


def of_table(table: object, source: Path) -> Gates:
    """The gates in a table, which an error says is in `source`.

    Raises:
        UsageError: it holds something unknown or wrong.
    """
    checked = _Table(table, str(source))
    checked.only("case", "baselines", "history")
    cases = _Table(checked.value.get("case", {}), f"{source}: case")
    root = source.parent
    return Gates(
        root,
        source,
        tuple(_case(name, entry, f"{source}: case.{name}") for name, entry in cases.value.items()),
        root / checked.text("baselines", ".goodput/baselines"),
        root / checked.text("history", ".goodput/history.jsonl"),
    )


_PROGRAMS = ("target", "script", "compare")
_KEYS = (
    *_PROGRAMS,
    "tiers",
    "device",
    "capacity",
    "budget",
    "batch",
    "seq",
    "train",
    "targets",
    "timeout_seconds",
    "min_effect",
    "anchor",
)
_NOT_COMPARED = ("batch", "seq", "train", "targets", "anchor")
"""What is said of a program and not of a file that makes its own inputs."""


def _case(name: str, entry: object, where: str) -> Case:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{where}: a case is named by letters, digits, `_`, `.` and `-`")
    table = _Table(entry, where)
    table.only(*_KEYS)
    programs = [key for key in _PROGRAMS if key in table.value]
    if len(programs) != 1:
        raise UsageError(f"{where}: give one of {', '.join(_PROGRAMS)}, not {len(programs)}")
    target, script = table.text("target"), table.text("script")
    if target and ".py:" not in target and not re.fullmatch(r"[\w.]+:\w+|hf:.+", target):
        raise UsageError(f"{where}: target = {target!r} is no file.py:function")
    budget = _Table(table.value.get("budget", {}), f"{where}: budget").value
    compare = table.text("compare")
    tiers = table.words("tiers", ("measured",) if compare else ("exact",))
    anchor = table.text("anchor", "compute")
    if anchor not in _ANCHORS:
        raise UsageError(f"{where}: anchor = {anchor!r}{nearest(anchor, _ANCHORS)}")
    case = Case(
        name=name,
        target=target,
        script=tuple(shlex.split(script)),
        tiers=tuple(_tier(each, where) for each in tiers),
        device=table.text("device"),
        capacity=table.text("capacity"),
        budget={metric: _limit(metric, limit, where) for metric, limit in budget.items()},
        batch=table.number("batch"),
        seq=table.number("seq"),
        train=table.flag("train"),
        targets=table.words("targets", ()),
        timeout_seconds=float(table.number("timeout_seconds") or 600),
        min_effect=_ratio(table.value.get("min_effect", 0.02), f"{where}: min_effect"),
        anchor=anchor,
        compare=compare,
    )
    if compare:
        _check_compared(case, table.value, where)
    _check_budget(case, where)
    if Tier.MODELLED in case.tiers and not (case.device or case.capacity):
        raise UsageError(f"{where}: the modelled tier needs a device or a capacity file")
    return case


def _check_compared(case: Case, given: Mapping[str, object], where: str) -> None:
    """Raises where a case that compares variants is told what it cannot heed."""
    if case.tiers != (Tier.MEASURED,):
        raise UsageError(f"{where}: variants are compared by their times; tiers = ['measured']")
    for key in _NOT_COMPARED:
        if key in given:
            raise UsageError(f"{where}: {key} is of a target or a script, not of compare")
    for metric in case.budget:
        if not metric.startswith("ratio."):
            raise UsageError(
                f"{where}: the budget of variants is their ratio to the reference, "
                f"as 'ratio.OPERATOR VARIANT, CASE' = 1.5, not {metric}"
            )


def _check_budget(case: Case, where: str) -> None:
    """Raises where a limit would never be held: its tier is not one of the case's."""
    for metric in case.budget:
        able = tiers_of(metric)
        if not set(able) & set(case.tiers):
            raise UsageError(
                f"{where}: budget: {metric} is held in the {' or '.join(able)} tier, and tiers = "
                f"{[str(tier) for tier in case.tiers]} leaves that out"
            )


def _tier(text: str, where: str) -> Tier:
    if text not in tuple(Tier):
        raise UsageError(f"{where}: there is no tier {text}{nearest(text, Tier)}")
    return Tier(text)


def _limit(metric: str, limit: object, where: str) -> float:
    try:
        return limit_of(metric, limit)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _ratio(value: object, where: str) -> float:
    """`"2%"` or 0.02."""
    try:
        ratio, unit = (value, "%") if isinstance(value, int | float) else quantity(str(value))
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
    if unit != "%" or not 0 < ratio < 1:
        raise UsageError(f"{where} = {value!r}: give a percentage, as '2%'")
    return float(ratio)


class _Table:
    """A TOML table that knows where it stands, for its errors."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise UsageError(f"{where} must be a table")
        self.value: dict[str, object] = value
        self._where = where

    def only(self, *keys: str) -> None:
        """Raises where there is any other key."""
        for key in self.value:
            if key not in keys:
                raise UsageError(f"{self._where}: unknown key {key}{nearest(key, keys)}")

    def text(self, key: str, otherwise: str = "") -> str:
        """A text."""
        return str(self._of(key, str, "a text", otherwise))

    def number(self, key: str) -> int | None:
        """A whole number of at least 1, if given."""
        value = self._of(key, int, "a whole number", None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{self._where}: {key} = {value!r} must be at least 1")
        return value

    def flag(self, key: str) -> bool | None:
        """True or false, if given."""
        value = self._of(key, bool, "true or false", None)
        return None if value is None else bool(value)

    def words(self, key: str, otherwise: tuple[str, ...]) -> tuple[str, ...]:
        """A list of texts."""
        value = self._of(key, list, "a list of texts", list(otherwise))
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise UsageError(f"{self._where}: {key} must be a list of texts")
        return tuple(value)

    def _of(self, key: str, kind: type, called: str, otherwise: object) -> object:
        value = self.value.get(key, otherwise)
        if value is not otherwise and not isinstance(value, kind):
            raise UsageError(f"{self._where}: {key} = {value!r} must be {called}")
        return value
