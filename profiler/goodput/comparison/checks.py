"""The checks of a variant before it is timed: whether it is right, and whether it is honest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from goodput.comparison.accuracy import Judge, Result, error_of
from goodput.comparison.faults import raised
from goodput.comparison.problem import Problem
from goodput.comparison.trees import leaves
from goodput.comparison.trust import Trust
from goodput.comparison.watching import Fallback, code_of, threads, threads_left
from goodput.errors import UsageError, typed_line
from goodput.measure.clock import Clock
from goodput.measure.statistics import median
from goodput.report.compared_verdicts import ERROR, INCORRECT, INVALID, SUSPECT

_SETTLE_SECONDS = 0.05
_REPEATS, _ROUNDS = 7, 3
_KEPT_RATIO = 3.0
_SHORTEST = 2e-5
"""A call shorter than this is not tested for kept results: it is mostly Python's own time."""

DEGENERATE = ("all zeros", "the mean everywhere", "the result of an earlier call")
"""Controls that show that a case tells nothing; a lower precision may have nothing to lose."""

_sleep = time.sleep


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a variant is not compared, and as what it stands in the table."""

    verdict: str
    text: str


@dataclass(slots=True)
class Findings:
    """What the checks found of one variant.

    Attributes:
        fault: the first that was found; None of a good one.
        error: the largest root mean square error, relative.
        deterministic: whether equal values gave equal bits.
        notes: sentences.
    """

    fault: Fault | None = None
    error: float | None = None
    deterministic: bool | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Truths:
    """What the reference says on several sets of values, computed when first asked for."""

    problem: Problem
    reference: str
    seeds: Sequence[int]
    tolerance: tuple[float, float] | None
    untrue: str = ""
    _judges: dict[int, Judge] = field(default_factory=dict)

    def judge(self, seed: int) -> Judge:
        """The judge of results on the values of `seed`."""
        if seed not in self._judges:
            self._judges[seed] = self._made(seed)
        return self._judges[seed]

    def _made(self, seed: int) -> Judge:
        problem, name = self.problem, self.reference
        values = problem.values(seed)
        native = problem.result(
            name, values, problem.run(name, values, problem.arguments(name, values))
        )
        try:
            truth = problem.truth(name, values)
        except Exception as error:  # noqa: BLE001 - the user's own code, in a precision it may refuse
            self.untrue = f"the reference does not run in float64 ({typed_line(error)})"
            truth = native
        doubled = all(
            dtype == "float64" or not dtype.startswith(("float", "bfloat"))
            for dtype in truth.dtypes
        )
        if not doubled and not self.untrue:
            self.untrue = "the reference computes in its own precision whatever it is given"
        return Judge(native, truth, self.tolerance)

    @property
    def forms(self) -> list[tuple[tuple[int, ...], str]]:
        """Shapes and dtypes of a result, where one is known."""
        for judge in self._judges.values():
            native = judge.native
            return [(a.shape, d) for a, d in zip(native.values, native.dtypes, strict=True)]
        return []

    def forget(self) -> None:
        """Judges are made anew, by the tolerance as it is now."""
        self._judges.clear()

    def degenerate(self) -> tuple[str, ...]:
        """The controls that pass: wrong results that would be called right."""
        # On seeds of their own: no right result of values that a variant is to see is in memory.
        first, second = (self.judge(self.seeds[0] + extra) for extra in (1, 2))
        previous = first.native
        if [a.shape for a in previous.values] != [a.shape for a in second.native.values]:
            previous = Result(
                tuple(np.zeros_like(a) for a in second.native.values), previous.dtypes
            )
        return second.passing(previous)


def native_error(truths: Truths) -> float | None:
    """The largest error of the reference itself; None where the truth is not known."""
    if truths.untrue:
        return None
    judges = [truths.judge(seed) for seed in truths.seeds]
    return max(error_of(j.native.values, j.truth.values).rms for j in judges)


@dataclass(slots=True)
class Examination:
    """The checks of one variant on one case.

    Attributes:
        problem: the case.
        entry: the variant's name.
        truths: what is right.
        trust: which checks run.
        clock: for what is timed here.
    """

    problem: Problem
    entry: str
    truths: Truths
    trust: Trust
    clock: Clock
    findings: Findings = field(default_factory=Findings)

    def run(self) -> Findings:
        """All checks, until one fails."""
        steps: tuple[Callable[[], None], ...] = (
            self._accuracy,
            self._fallback,
            self._determinism,
            self._kept_results,
        )
        for step in steps:
            if self.findings.fault is None:
                step()
        return self.findings

    def _fail(self, verdict: str, text: str) -> None:
        if self.findings.fault is None:
            self.findings.fault = Fault(verdict, text)

    def _has(self, check: str) -> bool:
        return check in self.trust.checks

    def _accuracy(self) -> None:
        """Right on every seed; with the first two in the same tensors, the others in new ones."""
        problem, entry = self.problem, self.entry
        before = threads()
        held: Any = None
        earlier: Any = None
        for place, seed in enumerate(self.truths.seeds):
            values = problem.values(seed)
            arguments = problem.arguments(entry, values)
            same = place == 1 and self._has("same tensors") and held is not None
            if same and self._refilled(held, arguments):
                arguments = held
            else:
                same = False
            held = arguments
            outputs = self._call(values, arguments)
            if outputs is None:
                return
            result = self._result(values, outputs)
            if result is None:
                return
            if self._has("threads"):
                self._report(INVALID, threads_left(before))
            self._settled(values, outputs, result, earlier)
            earlier = (values, outputs, result)
            self._unchanged(values, arguments)
            self._judged(seed, result, same=same)
            if self.findings.fault:
                return

    def _report(self, verdict: str, text: str) -> None:
        if text:
            self._fail(verdict, text)

    def _refilled(self, held: Any, arguments: tuple[Any, ...]) -> bool:
        """Whether the values of `arguments` could be put into the tensors `held`."""
        old, new = list(leaves(held)), list(leaves(arguments))
        home = self.problem.home(self.entry, arguments)
        tensors = [(o, n) for o, n in zip(old, new, strict=False) if home.owns(n)]
        return bool(tensors) and len(old) == len(new) and all(home.fill(o, n) for o, n in tensors)

    def _call(self, values: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
        problem, entry = self.problem, self.entry
        home = problem.home(entry, values)
        if self._has("poison"):
            home.poison(self._shapes(values))
        try:
            outputs = problem.run(entry, values, arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
            self._fail(ERROR, raised(error))
            return None
        if self._has("plain tensors"):
            for leaf in leaves(outputs):
                self._report(INVALID, home.fault(leaf) if home.owns(leaf) else "")
        return outputs if outputs is not None else ()

    def _shapes(self, values: tuple[Any, ...]) -> list[tuple[tuple[int, ...], str]]:
        """Shapes and dtypes of the result, if known, and of the arguments; each twice."""
        home = self.problem.home(self.entry, values)
        arguments = self.problem.arguments(self.entry, values)
        owned = [leaf for leaf in leaves(arguments) if home.owns(leaf)]
        shapes = [(tuple(leaf.shape), home.dtype(leaf)) for leaf in owned]
        return 2 * [*shapes, *self.truths.forms]

    def _result(self, values: tuple[Any, ...], outputs: Any) -> Result | None:
        try:
            found = self.problem.result(self.entry, values, outputs)
        except UsageError as error:
            self._fail(INCORRECT, str(error))
            return None
        except Exception as error:  # noqa: BLE001 - reading a strange tensor runs its code
            self._fail(INVALID, f"its result cannot be read: {typed_line(error)}")
            return None
        if not found.values:
            self._fail(INCORRECT, "it returned nothing")
            return None
        return found

    def _settled(self, values: tuple[Any, ...], outputs: Any, result: Result, earlier: Any) -> None:
        """Whether the result stays as it was when the call returned, and so does an earlier one."""
        if not self._has("settled"):
            return
        if earlier is not None and not self._is_still(*earlier):
            self._fail(INVALID, "the result of an earlier call changed with a later one")
        _sleep(_SETTLE_SECONDS)
        if not self._is_still(values, outputs, result):
            self._fail(INVALID, "its result went on changing after it had returned")

    def _is_still(self, values: tuple[Any, ...], outputs: Any, result: Result) -> bool:
        now = self.problem.result(self.entry, values, outputs)
        return _equal(now, result)

    def _unchanged(self, values: tuple[Any, ...], arguments: tuple[Any, ...]) -> None:
        if not self._has("inputs"):
            return
        home = self.problem.home(self.entry, values)
        pristine = leaves(self.problem.arguments(self.entry, values))
        for given, wanted in zip(leaves(arguments), pristine, strict=True):
            if home.owns(wanted) and not np.array_equal(
                home.float64(given), home.float64(wanted), equal_nan=True
            ):
                self._fail(INVALID, "it changes its inputs")

    def _judged(self, seed: int, result: Result, *, same: bool) -> None:
        judge = self.truths.judge(seed)
        fault = judge.fault(result)
        if fault and same:
            fault = f"{fault}, where the same tensors held new values: is a result kept?"
        self._report(INCORRECT, fault)
        if not fault and not self.truths.untrue:
            error = error_of(result.values, judge.truth.values).rms
            self.findings.error = max(self.findings.error or 0.0, error)

    def _fallback(self) -> None:
        calls = self.problem.calls
        reference, own = calls[self.truths.reference], calls[self.entry]
        if not self._has("fallback") or own is reference or self.entry == self.truths.reference:
            return
        values = self.problem.values(self.truths.seeds[0])
        arguments = self.problem.arguments(self.entry, values)
        codes = code_of(reference), code_of(own)
        if codes[0] is codes[1]:
            return  # the same function, compiled: told by its operators, and no fallback
        watch = Fallback(*codes)
        self._report(SUSPECT, watch.watch(lambda: self.problem.run(self.entry, values, arguments)))

    def _determinism(self) -> None:
        values = self.problem.values(self.truths.seeds[0])
        results = []
        for _ in range(2):
            outputs = self._call(values, self.problem.arguments(self.entry, values))
            result = self._result(values, outputs) if outputs is not None else None
            if result is None:
                return
            results.append(result)
        self.findings.deterministic = _equal(*results)

    def _kept_results(self) -> None:
        """Whether values that were seen before take much less time than new ones."""
        if not self._has("kept results"):
            return
        ratio = 0.0
        for round_ in range(_ROUNDS):
            ratio = self._times_less(round_)
            if ratio <= _KEPT_RATIO:
                return
        self._fail(
            SUSPECT, f"values that it has seen take it {ratio:.0f} times less: are results kept?"
        )

    def _times_less(self, round_: int) -> float:
        """How many times less values take that were seen: the least of new over the median again.

        Others on a shared machine slow any call, but seldom all that see new values and few that
        see old ones: by chance the order is that in 3.5 % of rounds, and the ratio seldom.
        """
        new, again = [], []
        for place in range(round_ * _REPEATS, (round_ + 1) * _REPEATS):
            values = self.problem.values(self.truths.seeds[0] + 1 + 2 * place)
            new.append(self._seconds(values))
            # Made and left unused: caches and memory are as they were before the new values.
            self.problem.values(self.truths.seeds[0] + 2 + 2 * place)
            again.append(self._seconds(values))
        return min(new) / median(again) if min(new) > _SHORTEST else 0.0

    def _seconds(self, values: tuple[Any, ...]) -> float:
        arguments = self.problem.arguments(self.entry, values)
        start = self.clock.now()
        self.problem.run(self.entry, values, arguments)
        return self.clock.now() - start


def _equal(one: Result, other: Result) -> bool:
    return all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(one.values, other.values, strict=True)
    )
