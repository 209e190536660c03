"""One case in one fresh process: first calls, checks, timing, and checks of what was timed.

Judges no time; tells everything on the wire.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from goodput.comparison.checks import DEGENERATE, Examination, Truths, native_error
from goodput.comparison.declared import Case, Study
from goodput.comparison.faults import raised, said
from goodput.comparison.heldback import tried
from goodput.comparison.problem import Frameworks, Problem
from goodput.comparison.timing import Session
from goodput.comparison.trust import LEVELS, Trust
from goodput.comparison.tuning import first_call
from goodput.comparison.watching import SecondClock, clock_faults
from goodput.comparison.wire import Checked, HeldBack, Request, Timed, Wire
from goodput.measure.anchored import ANCHOR
from goodput.measure.clock import HostClock
from goodput.report.compared_verdicts import ERROR, INCORRECT, INVALID


@dataclass(slots=True)
class Sample:
    """One case in one process.

    Attributes:
        request: what is asked.
        wire: where answers go.
        frameworks: of this process.
        clock: of the host.
        second: the clock that watches the first.
        study: what is compared.
        place: which of its cases.
        problem: that case.
    """

    request: Request
    wire: Wire
    frameworks: Frameworks
    clock: HostClock
    second: SecondClock
    study: Study
    place: int
    problem: Problem
    _first: dict[str, float] = field(default_factory=dict)
    _faulty: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Warms up, checks, times, and checks what was timed."""
        random_seed = random.Random(f"{self.request.seed} {self.place}")  # noqa: S311 - see Session
        seeds = tuple(random_seed.randrange(2**62) for _ in range(self._trust.seeds))
        self._at("making the inputs")
        try:
            values = self.problem.values(seeds[0])
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
            self._trouble(f"the inputs function fails: {said(error)}")
            return
        reference = self.study.reference
        truths = Truths(self.problem, reference, seeds, self.problem.case.tolerance)
        if not self._warm(values) or (self.request.check and not self._checked(truths)):
            return
        self._timed(random_seed.randrange(2**62), truths)
        if self.request.check and "held-back shapes" in self._trust.checks:
            self._held_back(seeds[0])

    @property
    def _trust(self) -> Trust:
        return LEVELS[self.request.trust]

    def _at(self, stage: str, entry: str = "") -> None:
        self.wire.at(stage, self.place, entry)

    def _trouble(self, text: str, entry: str = "", verdict: str = ERROR) -> None:
        if entry:
            if entry in self._faulty:
                return
            self._faulty.add(entry)
        self.wire.trouble(text, self.place, entry, verdict)

    @property
    def _alive(self) -> tuple[str, ...]:
        return tuple(e for e in self._entries if e not in self._faulty)

    @property
    def _entries(self) -> tuple[str, ...]:
        return self.request.entries[self.place]

    def _warm(self, values: tuple[Any, ...]) -> bool:
        """First calls, which compile and tune; False where the reference itself fails."""
        clock = self.clock
        # A variant runs before the reference: memory that is handed out anew holds no right result.
        for entry in sorted(self._entries, key=lambda name: name == self.study.reference):
            self._at("the first call", entry)
            try:
                arguments = self.problem.arguments(entry, values)
                call = partial(self.problem.run, entry, values, arguments)
                start = clock.now()
                tuning = first_call(self.wire, self.place, entry, self.request.choices, call)
                self._first[entry] = clock.now() - start - tuning
                self._clocks(entry)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
                if entry == self.study.reference:
                    self._trouble(raised(error, "the reference"))
                    return False
                self._trouble(raised(error), entry)
        return True

    def _checked(self, truths: Truths) -> bool:
        """The checks before the timing; False where the case tells nothing."""
        self._at("computing the truth", self.study.reference)
        try:
            passing = truths.degenerate()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code
            self._trouble(f"the reference fails on other values: {said(error)}")
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
        self.wire.note(text, self.place)

    def _examine(self, entry: str, truths: Truths) -> None:
        self._at("the checks", entry)
        found = Examination(self.problem, entry, truths, self._trust, self.clock).run()
        if found.fault is not None:
            self._trouble(found.fault.text, entry, found.fault.verdict)
        self._clocks(entry)
        self.wire.say(
            Checked(
                nonce=self.wire.nonce,
                case=self.place,
                entry=entry,
                error=found.error,
                native_error=native_error(truths),
                deterministic=found.deterministic,
                notes=tuple(found.notes),
            )
        )

    def _clocks(self, entry: str) -> None:
        if "clocks" not in self._trust.checks:
            return
        fault = clock_faults(self.frameworks.in_use, self.second)
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
            anchor=(home, home.anchor(self.request.bound.get(self.place, "compute"))),
            clock=self.clock,
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
            self._trouble(raised(error, "a timed call"), turn[0])
            if turn[0] and turn[0] != self.study.reference:
                self._timed(seed, truths)
            return
        self._at("the results of timed calls")
        for kept in session.kept:
            fault = kept.fault or (kept.result and truths.judge(kept.seed).fault(kept.result))
            if fault:
                self._trouble(f"in a timed call {fault}", kept.entry, INCORRECT)
        self._clocks("")
        self.wire.say(
            Timed(
                nonce=self.wire.nonce,
                case=self.place,
                anchor=tuple(session.calls.pop(ANCHOR)),
                calls={name: tuple(calls) for name, calls in session.calls.items()},
                trains=session.trains,
                first_seconds=self._first,
                device=home.device,
                cache_bytes=home.cache_bytes,
                flush_bytes=home.flush_bytes,
            )
        )

    def _held_back(self, seed: int) -> None:
        """The accuracy once more, on sizes that the user did not name; says what that took."""
        for values in self.frameworks.in_use:
            values.between_cases()
        start = self.clock.now()
        tried_ones = tried(self.problem.case, seed, lambda case: self._on_other_sizes(case, seed))
        names = tuple(case.name for case in tried_ones)
        took = self.clock.now() - start
        self.wire.say(HeldBack(nonce=self.wire.nonce, case=self.place, names=names, seconds=took))

    def _on_other_sizes(self, case: Case, seed: int) -> bool:
        """Whether the reference runs on the sizes of `case`; then variants are held to it."""
        problem = Problem(case, self.study.calls, self.frameworks)
        truths = Truths(problem, self.study.reference, (seed, seed + 1), None)
        self._at("held-back sizes", self.study.reference)
        try:
            truths.judge(seed)
        except (Exception, SystemExit):  # noqa: BLE001 - sizes that the user's code may refuse
            return False
        trust = Trust("held back", ("accuracy",), 1, 0, 0.0)
        for entry in self._alive:
            self._at("held-back sizes", entry)
            found = Examination(problem, entry, truths, trust, self.clock).run()
            if found.fault is None:
                continue
            if found.fault.verdict == ERROR:
                self._note(f"{entry} does not run at {case.name}: {found.fault.text}")
            else:
                self._trouble(f"at {case.name} {found.fault.text}", entry, found.fault.verdict)
        return True
