"""All processes of a comparison: who is still in, who failed and why, and every time by process.

Judges no time: `judging` does, from what is collected here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from goodput.comparison.processes import Outcome, nonce, outcome_of
from goodput.comparison.trust import LEVELS
from goodput.comparison.wire import (
    At,
    Checked,
    Counted,
    Described,
    End,
    HeldBack,
    Memory,
    Message,
    Note,
    Request,
    Resources,
    Timed,
    Trouble,
    Tuned,
)
from goodput.errors import UsageError
from goodput.report.compared_verdicts import ERROR

Row = tuple[int, str]
"""A case's place and an entry's name."""

TIMEOUT_SECONDS = 120.0
FILE = -1
"""The place of no case: what is told of it is told of all."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the user's study is: a file, or pickled."""

    file: str = ""
    study: bytes = b""


@dataclass(frozen=True, slots=True)
class Calls:
    """Seconds of the calls of one entry in one process, and of the anchor in the same."""

    seconds: tuple[float, ...]
    anchor: tuple[float, ...]
    first_seconds: float | None


@dataclass(slots=True)
class Collected:
    """What all processes said of one study.

    Attributes:
        calls: of each row, by the number of the process.
        troubles: why a row is not compared: verdict and text; the first that was told.
        checked: what its checks found.
        notes: sentences, in order, once each.
        counts: what each row needs.
        resources: of each row's Triton kernels.
        versions: of the frameworks.
        device: as the framework calls it.
        held_back: of each case, what each process says of sizes that nobody named.
        cache_bytes: of the device's last cache; 0 where that is not known.
        flush_bytes: written between two calls.
        tuned: what Triton's tuners chose, in order.
        peak_bytes: that a call of each row takes at most.
    """

    calls: dict[Row, dict[int, Calls]] = field(default_factory=dict)
    troubles: dict[Row, Trouble] = field(default_factory=dict)
    checked: dict[Row, Checked] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    counts: dict[Row, Counted] = field(default_factory=dict)
    resources: dict[Row, list[Resources]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    held_back: dict[int, list[HeldBack]] = field(default_factory=dict)
    cache_bytes: int = 0
    flush_bytes: int = 0
    tuned: list[Tuned] = field(default_factory=list)
    peak_bytes: dict[Row, int] = field(default_factory=dict)

    def take(self, outcome: Outcome, number: int) -> None:
        """Takes in what one process said; `number` is that of the sample."""
        for answer in outcome.answers:
            if isinstance(answer, Timed):
                self._timed(answer, number)
            elif isinstance(answer, Tuned):
                self._tuned(answer)
            elif isinstance(answer, End):
                self.versions |= answer.versions
            else:
                self._told(answer)

    def _told(self, answer: Message) -> None:
        row = answer.case, answer.entry
        if isinstance(answer, Trouble):
            self.troubles.setdefault(row, answer)
        elif isinstance(answer, Checked):
            self.checked[row] = answer
        elif isinstance(answer, Memory):
            self.peak_bytes[row] = answer.peak_bytes
        elif isinstance(answer, HeldBack):
            self.held_back.setdefault(answer.case, []).append(answer)
        elif isinstance(answer, Note):
            self.notes[answer.text] = None
        elif isinstance(answer, Counted):
            self.counts[row] = answer
        elif isinstance(answer, Resources):
            known = self.resources.setdefault(row, [])
            known += [answer] if answer not in known else []

    def _tuned(self, answer: Tuned) -> None:
        self.tuned.append(answer)
        if not answer.carried:
            what = f"what {answer.choice.kernel} is tuned for ({answer.choice.key})"
            told = f"{answer.entry}: {what} is no plain value: each process tunes it anew"
            self.notes[told] = None

    def tuning_seconds(self, row: Row) -> float | None:
        """What the tuning of a row took, in all processes; None where nothing was tuned."""
        found = [one.seconds for one in self.tuned if (one.case, one.entry) == row]
        return sum(found) if found else None

    def _timed(self, answer: Timed, number: int) -> None:
        self.device = answer.device
        self.cache_bytes, self.flush_bytes = answer.cache_bytes, answer.flush_bytes
        for entry, seconds in answer.calls.items():
            calls = Calls(seconds, answer.anchor, answer.first_seconds.get(entry))
            self.calls.setdefault((answer.case, entry), {})[number] = calls

    def died(self, outcome: Outcome, reference: str) -> Row:
        """Puts the blame for a death where the process was, and says where.

        Without its reference a case has no truth, so that its death is that of the case.
        """
        last = outcome.last
        case, entry = (last.case, last.entry) if last else (FILE, "")
        text = f"{outcome.death}, during {last.stage}" if last else outcome.death
        if entry == reference:
            entry, text = "", f"the reference: {text}"
        self.troubles.setdefault(
            (case, entry), Trouble(nonce="", case=case, entry=entry, text=text, verdict=ERROR)
        )
        return case, entry

    def refuse(self, text: str) -> None:
        """Puts one reason on every row that has none yet."""
        self.troubles.setdefault((FILE, ""), Trouble(nonce="", text=text, verdict=ERROR))

    def trouble(self, case: int, entry: str) -> Trouble | None:
        """Why a row is not compared: its own reason, or its case's, or the file's."""
        for row in ((case, entry), (case, ""), (FILE, "")):
            if row in self.troubles:
                return self.troubles[row]
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured of one study.

    Attributes:
        place: where it is.
        described: what it declares.
        cases: places of the cases that are asked for.
        entries: names that are asked for, the reference first.
        processes: fresh ones.
        trust: the level's name.
        seed: of everything.
        timeout_seconds: that a process may be silent.
        targets: chips to compile Triton kernels for, instead of timing anything.
    """

    place: Place
    described: Described
    cases: tuple[int, ...]
    entries: tuple[str, ...]
    processes: int
    trust: str
    seed: int
    timeout_seconds: float = TIMEOUT_SECONDS
    targets: tuple[str, ...] = ()


Tell = Callable[[str], None]


def described(place: Place, timeout_seconds: float) -> tuple[Described, ...]:
    """The studies that a file declares.

    Raises:
        UsageError: it cannot be loaded, or declares none.
    """
    request = Request(task="describe", nonce=nonce(), file=place.file, study=place.study)
    outcome = outcome_of(request, timeout_seconds)
    for answer in outcome.answers:
        if isinstance(answer, Trouble):
            raise UsageError(f"{place.file} cannot be loaded: {answer.text}")
    if outcome.death:
        raise UsageError(f"{place.file} cannot be loaded: {outcome.death}")
    found = tuple(answer for answer in outcome.answers if isinstance(answer, Described))
    if not found:
        raise UsageError(
            f"{place.file} declares nothing to compare; write @goodput.reference(NAME), "
            "@goodput.variant(NAME) and goodput.cases(NAME, inputs=..., ...)"
        )
    return found


class Experiment:
    """The processes of one plan.

    Args:
        plan: what is to be measured.
        tell: told what is being done, a few words at a time.
    """

    def __init__(self, plan: Plan, tell: Tell) -> None:
        self.plan = plan
        self.collected = Collected()
        self._tell = tell
        self._order = random.Random(plan.seed)  # noqa: S311 - see the worker

    def count(self) -> None:
        """What every row needs, counted in a process of its own."""
        self._process("count", 0, self.plan.entries, {}, "counting")

    def compile_for_targets(self) -> None:
        """The Triton kernels of every row, compiled for chips, and what the reference needs."""
        self._process("count", 0, (self.plan.described.reference,), {}, "counting")
        self._process("target", 0, self.plan.entries, {}, "compiling")

    def sample(self, bound: Mapping[int, str]) -> None:
        """All samples; `bound` says of each case what its anchor is to be."""
        apart = "apart" in LEVELS[self.plan.trust].checks
        groups = [(entry,) for entry in self.plan.entries] if apart else [self.plan.entries]
        for number in range(self.plan.processes):
            self._order.shuffle(groups)
            for group in groups:
                words = f"process {number + 1} of {self.plan.processes}"
                self._process("sample", number, group, bound, words)

    def _process(
        self,
        task: str,
        number: int,
        entries: tuple[str, ...],
        bound: Mapping[int, str],
        words: str,
    ) -> None:
        """One process, and another one for what is left where it died."""
        left = list(self.plan.cases)
        while rows := self._alive(left, entries):
            request = Request(
                task=task,
                nonce=nonce(),
                file=self.plan.place.file,
                study=self.plan.place.study,
                operator=self.plan.described.entry,
                cases=tuple(rows),
                entries=rows,
                seed=self._order.randrange(2**62),
                trust=self.plan.trust,
                check=number == 0 or task != "sample",
                bound=dict(bound),
                architectures=self.plan.targets,
                choices=tuple(one.choice for one in self.collected.tuned if one.carried),
            )
            outcome = outcome_of(request, self.plan.timeout_seconds, self._shown(words))
            self.collected.take(outcome, number)
            if not outcome.death:
                return
            if task == "count":
                self.collected.notes[f"{task} ended early: {outcome.death}"] = None
                return
            case, _ = self.collected.died(outcome, self.plan.described.reference)
            done = {a.case for a in outcome.answers if isinstance(a, Timed)}
            left = [c for c in left if c not in done or c == case]

    def _shown(self, words: str) -> Callable[[At], None]:
        def show(at: At) -> None:
            case = self.plan.described.cases[at.case] if at.case >= 0 else ""
            self._tell(" ".join(filter(None, [f"{words}:", case, at.entry, at.stage])))

        return show

    def _alive(self, cases: Iterable[int], entries: tuple[str, ...]) -> dict[int, tuple[str, ...]]:
        found = {
            case: tuple(e for e in entries if self.collected.trouble(case, e) is None)
            for case in cases
        }
        return {case: names for case, names in found.items() if names}
