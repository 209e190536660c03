"""The module tree: each module with what ran inside it, repeated layers in one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from goodput.renderers.operators import share_of, whole_seconds
from goodput.renderers.ratios import BROKEN, TOO_SHORT, ratio
from goodput.renderers.tables import Column, Table
from goodput.report.model import OperatorRow, Report
from goodput.units import seconds, si

_NUMBER = re.compile(r"(^|(?<=_))\d+$")

_SUMS = ("device_seconds", "lost_seconds", "useful_flops", "bytes", "ideal_seconds")
"""Fields of a row, and of a branch in this order, that add up over modules."""

DEPTH = 5
"""Levels below the root that are shown."""

SHOWN = 24
"""Lines of the tree; those with least time are left out first."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Modules of one place in the tree: `blocks.*` stands for every layer of a list.

    Attributes:
        path: fully qualified name, numbers of layers written `*`, "" at the root.
        name: its last part; the module's own where it stands for one.
        count: how many modules it stands for.
        device_seconds: seconds per step of all of them; None where no step was profiled.
        lost_seconds: None where the work of one is unknown.
        useful_flops, bytes, ideal_seconds: per step of all of them, None where one is unknown.
    """

    path: str
    name: str
    count: int
    device_seconds: float | None
    lost_seconds: float | None
    useful_flops: float | None
    bytes: float | None
    ideal_seconds: float | None

    @property
    def depth(self) -> int:
        """Levels below the root."""
        return self.path.count(".") + 1 if self.path else 0

    @property
    def goodput(self) -> float | None:
        """Useful seconds over device seconds."""
        if self.lost_seconds is None or not self.device_seconds:
            return None
        return (self.device_seconds - self.lost_seconds) / self.device_seconds


def branches(modules: Iterable[OperatorRow]) -> tuple[Branch, ...]:
    """The tree's lines in its order, layers of a list merged."""
    merged: dict[str, list[OperatorRow]] = {}
    for row in modules:
        merged.setdefault(starred(row.module), []).append(row)
    ordered = [_branch(path, rows) for path, rows in merged.items()]
    return tuple(_depth_first(ordered))


def starred(path: str) -> str:
    """A module name with the numbers of layers as `*`: `blocks.3.mlp_0` -> `blocks.*.mlp_*`.

    A trace that another program recorded names modules `Block_3`: by class and number.
    """
    return ".".join(_NUMBER.sub("*", part) for part in path.split("."))


def _branch(path: str, rows: list[OperatorRow]) -> Branch:
    own = rows[0].module if len(rows) == 1 else path
    return Branch(
        path,
        own.rsplit(".", 1)[-1],
        len(rows),
        *(_sum(getattr(row, name) for row in rows) for name in _SUMS),
    )


def _sum(values: Iterable[float | None]) -> float | None:
    """None where one is unknown."""
    whole = 0.0
    for value in values:
        if value is None:
            return None
        whole += value
    return whole


def _depth_first(found: list[Branch]) -> list[Branch]:
    """Every branch right under its parent, brothers in the order in which they came."""
    order = {branch.path: place for place, branch in enumerate(found)}

    def key(branch: Branch) -> list[int]:
        parts = branch.path.split(".") if branch.path else []
        above = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
        return [order.get(path, len(order)) for path in above]

    return sorted(found, key=key)


def module_table(report: Report) -> Table | None:
    """The tree as a table; None where no module is known."""
    if report.coverage.untimed:
        lines, left = _heaviest(
            report, lambda branch: (branch.useful_flops or 0, branch.bytes or 0)
        )
    else:
        lines, left = _heaviest(report, lambda branch: (branch.device_seconds or 0,))
    if not lines:
        return None
    notes = [f"… {left} more; every module with --by module"] if left else []
    columns = _counts(lines, report) if report.coverage.untimed else _times(lines, report)
    if any(BROKEN in column.cells for column in columns) and not report.errors:
        notes.append(TOO_SHORT)
    return Table("Modules, each with what ran inside it", columns, tuple(notes))


def _heaviest(
    report: Report, weight: Callable[[Branch], tuple[float, ...]]
) -> tuple[list[Branch], int]:
    """The branches of most weight in the order of the tree, and how many are left out."""
    everything = branches(report.modules)
    near = [branch for branch in everything if branch.depth <= DEPTH and any(weight(branch))]
    heaviest = sorted(near, key=lambda b: (*(-part for part in weight(b)), b.depth))
    kept = {branch.path for branch in heaviest[:SHOWN]}
    lines = [branch for branch in near if branch.path in kept]
    return lines, len(everything) - len(lines)


def _times(lines: list[Branch], report: Report) -> tuple[Column, ...]:
    whole = whole_seconds(report)
    return (
        Column("module", tuple(_label(branch) for branch in lines), least=30),
        Column("time", tuple(seconds(b.device_seconds) for b in lines), right=True),
        Column("share", tuple(share_of(b.device_seconds, whole) for b in lines), right=True),
        Column("goodput", tuple(ratio(b.goodput) for b in lines), right=True),
        Column("lost", tuple(seconds(b.lost_seconds) for b in lines), right=True),
    )


def _counts(lines: list[Branch], report: Report) -> tuple[Column, ...]:
    whole = report.totals.useful_flops
    columns = [
        Column("module", tuple(_label(branch) for branch in lines), least=30),
        Column("useful", tuple(si(b.useful_flops, "FLOP") for b in lines), right=True),
        Column("share", tuple(share_of(b.useful_flops, whole) for b in lines), right=True),
        Column("bytes", tuple(si(b.bytes, "B") for b in lines), right=True),
    ]
    if report.capacity is not None:
        ideal = tuple(seconds(b.ideal_seconds) for b in lines)
        columns.append(Column("ideal", ideal, right=True))
    return tuple(columns)


def _label(branch: Branch) -> str:
    if not branch.path:
        return "(root)"
    times = f" x{branch.count}" if branch.count > 1 else ""
    # tabulate strips leading blanks, so the indent is drawn.
    return f"{'· ' * branch.depth}{branch.name}{times}"
