"""One fresh process of a comparison: loads the user's study, checks, times, and answers.

It never judges times: those go to the parent, process by process.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goodput.comparison import source
from goodput.comparison.checks import DEGENERATE, Examination, Truths, native_error
from goodput.comparison.declared import Case, Study
from goodput.comparison.heldback import held_back
from goodput.comparison.problem import Frameworks, Problem
from goodput.comparison.timing import Session
from goodput.comparison.trust import LEVELS, Trust
from goodput.comparison.watching import SecondClock, clock_faults
from goodput.comparison.wire import (
    Checked,
    Described,
    End,
    Request,
    Timed,
    Wire,
)
from goodput.errors import GoodputError, typed_line
from goodput.frontends.compared import versions
from goodput.measure.anchored import ANCHOR
from goodput.measure.clock import HostClock
from goodput.report.compared_verdicts import ERROR, INCORRECT, INVALID

Counting = Callable[[Wire, int, str, Problem], None]
"""Counts one entry of a case and answers with it."""


@dataclass(slots=True)
class Worker:
    """A process at work on one request.

    Attributes:
        request: what is asked.
        wire: where answers go.
        frameworks: of this process.
        count: counts one entry of a case.
        compile_for: compiles the Triton kernels of one entry of a case.
    """

    request: Request
    wire: Wire
    frameworks: Frameworks
    count: Counting
    compile_for: Counting
    clock: HostClock = field(default_factory=HostClock)
    second: SecondClock = field(default_factory=SecondClock)

    def run(self) -> None:
        """The whole request."""
        start = self.clock.now()
        self.wire.at("loading the file")
        try:
            found = self._studies()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own file
            self.wire.trouble(_said(error))
            return
        if self.request.task == "describe":
            for study in found.values():
                self.wire.say(self._described(study))
        else:
            self._on_cases(found[self.request.operator])
        took = self.clock.now() - start
        self.wire.say(End(nonce=self.wire.nonce, versions=versions(), seconds=took))

    def _studies(self) -> Mapping[str, Study]:
        if self.request.study:
            study = source.unpickled(self.request.study)
            return {study.operator: study}
        return source.from_file(Path(self.request.file))

    def _described(self, study: Study) -> Described:
        return Described(
            nonce=self.wire.nonce,
            entry=study.operator,
            reference=study.reference,
            calls=tuple(study.calls),
            cases=tuple(case.name for case in study.cases),
            parameters=tuple({k: str(v) for k, v in c.parameters.items()} for c in study.cases),
            faults=study.faults,
        )

    def _on_cases(self, study: Study) -> None:
        for place in self.request.cases:
            problem = Problem(study.cases[place], study.calls, self.frameworks)
            for values in self.frameworks.in_use:
                values.between_cases()
            if self.request.task == "sample":
                _Sample(self, study, place, problem).run()
                continue
            work = self.count if self.request.task == "count" else self.compile_for
            for entry in self.request.entries[place]:
                self.wire.at(self.request.task, place, entry)
                work(self.wire, place, entry, problem)


@dataclass(slots=True)
class _Sample:
    """One case in one process."""

    worker: Worker
    study: Study
    place: int
    problem: Problem
    _first: dict[str, float] = field(default_factory=dict)
    _faulty: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Warms up, checks, times, and checks what was timed."""
        random_seed = random.Random(f"{self._request.seed} {self.place}")  # noqa: S311 - see Session
        seeds = tuple(random_seed.randrange(2**62) for _ in range(self._trust.seeds))
        self._at("making the inputs")
        try:
            values = self.problem.values(seeds[0])
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
            self._trouble(f"the inputs function fails: {_said(error)}")
            return
        reference = self.study.reference
        truths = Truths(self.problem, reference, seeds, self.problem.case.tolerance)
        if not self._warm(values) or (self._request.check and not self._checked(truths)):
            return
        self._timed(random_seed.randrange(2**62), truths)
        if self._request.check and "held-back shapes" in self._trust.checks:
            self._held_back(seeds[0])

    @property
    def _request(self) -> Request:
        return self.worker.request

    @property
    def _trust(self) -> Trust:
        return LEVELS[self._request.trust]

    def _at(self, stage: str, entry: str = "") -> None:
        self.worker.wire.at(stage, self.place, entry)

    def _trouble(self, text: str, entry: str = "", verdict: str = ERROR) -> None:
        if entry:
            if entry in self._faulty:
                return
            self._faulty.add(entry)
        self.worker.wire.trouble(text, self.place, entry, verdict)

    @property
    def _alive(self) -> tuple[str, ...]:
        return tuple(e for e in self._entries if e not in self._faulty)

    @property
    def _entries(self) -> tuple[str, ...]:
        return self._request.entries[self.place]

    def _warm(self, values: tuple[Any, ...]) -> bool:
        """First calls, which compile and tune; False where the reference itself fails."""
        clock = self.worker.clock
        # A variant runs before the reference: memory that is handed out anew holds no right result.
        for entry in sorted(self._entries, key=lambda name: name == self.study.reference):
            self._at("the first call", entry)
            try:
                arguments = self.problem.arguments(entry, values)
                start = clock.now()
                self.problem.run(entry, values, arguments)
                self._first[entry] = clock.now() - start
                self._clocks(entry)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
                if entry == self.study.reference:
                    self._trouble(f"the reference raises {_said(error)}")
                    return False
                self._trouble(f"it raises {_said(error)}", entry)
        return True

    def _checked(self, truths: Truths) -> bool:
        """The checks before the timing; False where the case tells nothing."""
        self._at("computing the truth", self.study.reference)
        try:
            passing = truths.degenerate()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
            self._trouble(f"the reference fails on other values: {_said(error)}")
            return False
        if truths.tolerance is not None and passing:
            told = f"{', '.join(passing)} would pass the tolerance of {truths.tolerance[0]:g}"
            self._note(f"{told}: it is refused, and the one of the precision taken")
            truths.tolerance = None
            truths.forget()
            passing = truths.degenerate()
        empty = [name for name in passing if name in DEGENERATE]
        if empty:
            told = f"{', '.join(empty)} would be called right here"
            self._trouble(f"{told}: the case tells nothing of a variant", verdict=INVALID)
            return False
        if passing:
            self._note("a result in a lower precision would pass here: it has nothing to lose")
        if truths.untrue:
            self._note(f"{truths.untrue}: results are held against it as it is")
        for entry in self._alive:
            self._examine(entry, truths)
        return True

    def _note(self, text: str) -> None:
        self.worker.wire.note(text, self.place)

    def _examine(self, entry: str, truths: Truths) -> None:
        self._at("the checks", entry)
        found = Examination(self.problem, entry, truths, self._trust, self.worker.clock).run()
        if found.fault is not None:
            self._trouble(found.fault.text, entry, found.fault.verdict)
        self._clocks(entry)
        self.worker.wire.say(
            Checked(
                nonce=self.worker.wire.nonce,
                case=self.place,
                entry=entry,
                error=found.error,
                native_error=native_error(truths),
                deterministic=found.deterministic,
                notes=tuple(found.notes),
                peak_bytes=found.peak_bytes,
            )
        )

    def _clocks(self, entry: str) -> None:
        if "clocks" not in self._trust.checks:
            return
        fault = clock_faults(self.worker.frameworks.in_use, self.worker.second)
        if fault:
            self._trouble(fault, entry, INVALID)

    def _timed(self, seed: int, truths: Truths) -> None:
        entries = self._alive
        if not entries:
            return
        home = self.problem.home(self.study.reference, self.problem.values(seed))
        session = Session(
            problem=self.problem,
            entries=entries,
            anchor=(home, home.anchor(self._request.bound.get(self.place, "compute"))),
            clock=self.worker.clock,
            seconds=self._trust.seconds,
            checked=self._trust.timed_outputs,
            seed=seed,
        )
        turn = [""]

        def begin(entry: str) -> None:
            if entry != turn[0]:
                turn[0] = entry
                self._at("timed calls", entry)

        try:
            session.run(begin)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
            self._trouble(f"a timed call raises {_said(error)}", turn[0])
            if turn[0] and turn[0] != self.study.reference:
                self._timed(seed, truths)
            return
        self._at("the results of timed calls")
        for kept in session.kept:
            fault = kept.fault or (kept.result and truths.judge(kept.seed).fault(kept.result))
            if fault:
                self._trouble(f"in a timed call {fault}", kept.entry, INCORRECT)
        self._clocks("")
        self.worker.wire.say(
            Timed(
                nonce=self.worker.wire.nonce,
                case=self.place,
                anchor=tuple(session.calls.pop(ANCHOR)),
                calls={name: tuple(calls) for name, calls in session.calls.items()},
                trains=session.trains,
                first_seconds=self._first,
                device=home.device,
            )
        )

    def _held_back(self, seed: int) -> None:
        """The checks once more, on sizes that the user did not name."""
        for values in self.worker.frameworks.in_use:
            values.between_cases()
        for cases in held_back(self.problem.case, seed):
            for case in cases:
                if self._on_other_sizes(case, seed):
                    break

    def _on_other_sizes(self, case: Case, seed: int) -> bool:
        """Whether the reference runs on the sizes of `case`; then variants are held to it."""
        problem = Problem(case, self.study.calls, self.worker.frameworks)
        truths = Truths(problem, self.study.reference, (seed, seed + 1), None)
        self._at("held-back sizes", self.study.reference)
        try:
            truths.judge(seed)
        except (Exception, SystemExit):  # noqa: BLE001 - sizes that the user's code may refuse
            return False
        trust = Trust("held back", ("accuracy",), 1, 0, 0.0)
        for entry in self._alive:
            self._at("held-back sizes", entry)
            found = Examination(problem, entry, truths, trust, self.worker.clock).run()
            if found.fault is None:
                continue
            if found.fault.verdict == ERROR:
                self._note(f"{entry} does not run at {case.name}: {found.fault.text}")
            else:
                self._trouble(f"at {case.name} {found.fault.text}", entry, found.fault.verdict)
        return True


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, GoodputError) else typed_line(error)
