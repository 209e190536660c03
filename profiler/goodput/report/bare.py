"""A counted step that is held against nothing: sums of whole numbers, entry by entry.

Pure, and without numpy: most counts are of few calls, whose columns take longer to make than to
sum. Says exactly what `counts` says of a recording without roofs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from operator import attrgetter

from goodput.formulas.conventions import FLOP_COUNTER_OPERATORS, Counted, split
from goodput.formulas.lax_collective import COLLECTIVES
from goodput.formulas.registry import has_formula
from goodput.report.groups import ancestry, natural_key, view_columns
from goodput.report.model import OperatorRow, Totals, UnmodelledOperator
from goodput.report.totals import untimed
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.work import Work

_COLLECTIVES = ("c10d::", "_c10d_functional::")
_JAX = "lax::"
_RECOMPUTE = "recompute"
_Numbers = tuple[int, int, int, int, int]
_NONE: _Numbers = (0, 0, 0, 0, 0)


@dataclass(slots=True)
class _Group:
    """Calls of one group: their number, and the numbers of those with work."""

    operator: str = ""
    phase: str = ""
    module: str = ""
    mode: str = ""
    shapes: str = ""
    calls: int = 0
    modelled: int = 0
    communicating: int = 0
    numbers: list[Sequence[int]] = field(default_factory=list)

    def add(self, other: _Group) -> None:
        """Takes in the calls of `other`."""
        self.calls += other.calls
        self.modelled += other.modelled
        self.communicating += other.communicating
        self.numbers += other.numbers

    def close(self) -> None:
        """Adds its numbers up."""
        if len(self.numbers) > 1:
            self.numbers = [[sum(column) for column in zip(*self.numbers, strict=True)]]

    @property
    def row(self) -> OperatorRow:
        """The sums as a row of the report."""
        self.close()
        names = self.operator, self.phase, self.module, self.mode, self.shapes
        numbers = tuple(self.numbers[0]) if self.modelled else ()
        return _row(*names, self.calls, numbers, talks=2 * self.communicating >= self.calls)


class BareStep:
    """The sums of one counted step under a convention.

    Args:
        work: what was counted.
        convention: which FLOPs are useful.
    """

    def __init__(self, work: WorkPass, convention: str) -> None:
        self._entries = work.entries
        self._convention = convention
        self._numbers_of: dict[tuple[int, int, bool, bool], _Numbers] = {}
        self._numbers = [self._of(entry) for entry in work.entries]

    @property
    def totals(self) -> Totals:
        """The totals: nothing that takes a time or a roof."""
        sums = [float(sum(column)) for column in zip(_NONE, *self._numbers, strict=True)]
        by_mode: dict[str, int] = {}
        for entry, numbers in zip(self._entries, self._numbers, strict=True):
            by_mode[entry.mode] = by_mode.get(entry.mode, 0) + numbers[0]
        modes = {mode: float(flops) for mode, flops in by_mode.items() if flops}
        return untimed(sums[0], modes, *sums[1:])

    def rows_by(self, view: str) -> tuple[OperatorRow, ...]:
        """The rows of one view, most useful FLOPs first; those without work last.

        Raises:
            UsageError: no such view.
        """
        return _ranked(one.row for one in self._grouped(view_columns(view)))

    @property
    def modules(self) -> tuple[OperatorRow, ...]:
        """Every module with what ran inside it, in name order; none where no module ran."""
        own = self._grouped(("module",))
        if not any(one.module for one in own):
            return ()
        inside: dict[str, _Group] = {}
        for one in own:
            one.close()
            for path in ancestry(one.module):
                around = inside.get(path)
                if around is None:
                    around = inside[path] = _Group(module=path)
                around.add(one)
        return tuple(inside[path].row for path in sorted(inside, key=natural_key))

    @property
    def modelled_calls_share(self) -> float | None:
        """The share of computing calls with a formula; None without any."""
        computing = [entry for entry in self._entries if not communicates(entry.operator)]
        modelled = sum(entry.calls for entry in computing if entry.work is not None)
        return modelled / sum(entry.calls for entry in computing) if computing else None

    @property
    def unmodelled(self) -> tuple[UnmodelledOperator, ...]:
        """Operators that compute and have no work, most calls first."""
        calls: dict[str, int] = {}
        for entry in self._entries:
            if entry.work is None and not communicates(entry.operator):
                calls[entry.operator] = calls.get(entry.operator, 0) + entry.calls
        ranked = sorted(calls, key=lambda name: (-calls[name], name))
        return tuple(
            UnmodelledOperator(name, None, no_work(name), float(calls[name])) for name in ranked
        )

    def _grouped(self, columns: tuple[str, ...]) -> list[_Group]:
        groups: dict[object, _Group] = {}
        known = [column for column in columns if column != "kernel"]
        key_of = attrgetter(*known)
        for entry, numbers in zip(self._entries, self._numbers, strict=True):
            key = key_of(entry)
            found = groups.get(key)
            if found is None:
                names = {column: getattr(entry, column) for column in known}
                found = groups[key] = _Group(**names)
            found.calls += entry.calls
            if numbers is not _NONE:
                found.modelled += entry.calls
                found.numbers.append(numbers)
            if communicates(entry.operator):
                found.communicating += entry.calls
        return list(groups.values())

    def _of(self, entry: WorkEntry) -> _Numbers:
        """Useful, executed, vector and special work, and the bytes; equal calls share theirs."""
        work = entry.work
        if work is None:
            return _NONE
        again, listed = entry.phase == _RECOMPUTE, entry.operator in FLOP_COUNTER_OPERATORS
        key = id(work), entry.calls, again, listed
        found = self._numbers_of.get(key)
        if found is None:
            found = self._numbers_of[key] = _numbers(
                work, entry.calls, self._convention, again=again, listed=listed
            )
        return found


@lru_cache(2**10)
def _row(  # the names of a group
    operator: str,
    phase: str,
    module: str,
    mode: str,
    shapes: str,
    calls: int,
    numbers: tuple[int, ...],
    *,
    talks: bool,
) -> OperatorRow:
    """A row, made once for all that are equal: there is no other object with so many fields."""
    useful, executed, vector, special, moved = map(float, numbers) if numbers else (None,) * 5
    return OperatorRow(
        operator,
        phase,
        module,
        mode,
        shapes,
        "",
        float(calls),
        useful,
        executed,
        vector,
        special,
        moved,
        device_seconds=None,
        ideal_seconds=None,
        lost_seconds=None,
        goodput=None,
        roofline_efficiency=None,
        bound="communication" if talks else "unmodelled",
        link="none",
    )


def no_work(operator: str) -> str:
    """Why a call of `operator` has no work."""
    if operator.startswith(_JAX):
        import goodput.formulas.lax  # noqa: F401 - registers what is asked for; of JAX alone
    return "its formula knows no such call" if has_formula(operator) else "no formula"


@lru_cache(2**14)
def _numbers(work: Work, calls: int, convention: str, *, again: bool, listed: bool) -> _Numbers:
    # A convention speaks of one call.
    counted = Counted(
        work.flops // calls,
        work.dense_flops // calls,
        work.recompute_flops // calls,
        work.padding_flops // calls,
        again=int(again),
        listed=int(listed),
    )
    found = split(counted, convention)
    executed = (found.useful + found.recompute + found.padding) * calls
    return found.useful * calls, executed, work.vector_flops, work.special, work.bytes


@cache
def communicates(operator: str) -> bool:
    """Whether an operator talks to other devices."""
    return operator.startswith(_COLLECTIVES) or operator in COLLECTIVES


def _ranked(rows: Iterable[OperatorRow]) -> tuple[OperatorRow, ...]:
    return tuple(
        sorted(
            rows,
            key=lambda row: (
                row.useful_flops is None,
                -(row.useful_flops or 0.0),
                -(row.bytes or 0.0),
                row.operator,
                row.shapes,
            ),
        )
    )
