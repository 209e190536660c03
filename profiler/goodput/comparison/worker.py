"""One fresh process of a comparison: loads the user's study, checks, times, and answers.

It never judges times: those go to the parent, process by process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from goodput.comparison import source
from goodput.comparison.declared import Study
from goodput.comparison.faults import said
from goodput.comparison.problem import Frameworks, Problem
from goodput.comparison.sampling import Sample
from goodput.comparison.watching import SecondClock
from goodput.comparison.wire import (
    Described,
    End,
    Request,
    Wire,
)
from goodput.frontends.compared import versions
from goodput.measure.clock import HostClock

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
        """The whole request, and the word that it is done: a process without one has died."""
        start = self.clock.now()
        self.wire.at("loading the file")
        try:
            found = self._studies()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own file
            self.wire.trouble(said(error))
        else:
            self._answer(found)
        took = self.clock.now() - start
        self.wire.say(End(nonce=self.wire.nonce, versions=versions(), seconds=took))

    def _answer(self, found: Mapping[str, Study]) -> None:
        if self.request.task == "describe":
            for study in found.values():
                self.wire.say(self._described(study))
        else:
            self._on_cases(found[self.request.operator])

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

    def _sample(self, study: Study, place: int, problem: Problem) -> Sample:
        return Sample(
            self.request,
            self.wire,
            self.frameworks,
            self.clock,
            self.second,
            study,
            place,
            problem,
        )

    def _on_cases(self, study: Study) -> None:
        for place in self.request.cases:
            problem = Problem(study.cases[place], study.calls, self.frameworks)
            for values in self.frameworks.in_use:
                values.between_cases()
            if self.request.task == "sample":
                self._sample(study, place, problem).run()
                continue
            work = self.count if self.request.task == "count" else self.compile_for
            for entry in self.request.entries[place]:
                self.wire.at(self.request.task, place, entry)
                work(self.wire, place, entry, problem)
