"""The bout protocol: rivals timed in turns until the best of each group is known and confirmed.

Says how to time, never what: candidates come from `goodput_kernels`, time from a `Clock` and a
`Stopwatch`. A bout is a few trains of calls of one candidate. Every round measures one bout of each
candidate still in the running, in a random order from a recorded seed, and rounds start at least a
second apart, because a bad second (a neighbour on the core, a clock step) looks calm from inside.
The first rounds select; the rounds after the selection, in which only the winners run, give the
roofs, so that a lucky first measurement is not one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

from goodput.errors import first_line
from goodput.measure.clock import Clock, Stopwatch
from goodput.measure.samples import Samples
from goodput.measure.statistics import median, spread
from goodput_kernels.candidate import Candidate

CONTENDED = 0.10
"""Bouts of one candidate that differ by more than this were not alone on the device."""

_TOGETHER = 4
"""Of each group this many candidates take their turns, in random order, before the next ones."""

_FAR_BELOW = 4
"""A candidate that is slower than the best of its group by this is not timed again to be sure."""

_COUNTED_SECONDS = 0.2
"""Systems count the time of cores in hundredths of a second, too coarsely for less than this."""

# What a framework raises for an operator, dtype or size that it cannot do (NotImplementedError and
# torch's OutOfMemoryError are RuntimeErrors; a missing operator is an AttributeError).
CANNOT_RUN = (RuntimeError, AttributeError, MemoryError)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How many bouts, how long, and what figure is taken from them.

    Attributes:
        keep: how many candidates of each group stay after each selecting round.
        confirmations: bouts of the winner after the selection.
        extra: further bouts for winners whose bouts differ by more than `CONTENDED`.
        gap_seconds: least time between the starts of two rounds.
        selecting: the share of the time until the deadline after which selection ends, however
            many candidates are left; what was selected is still to be confirmed.
        select_seconds, bout_seconds: a selecting bout, and one that counts, end after this much
            measured time.
        train_seconds: calls are put together in trains of at least this length.
        fewest, most: trains in a bout.
        share: the quantile of call times that is the bout's figure.
        rotate_below_bytes: contractions with a smaller working set alternate between two sets of
            operands, so that they are not read from a cache that a program would have lost.
        seed: of the order.
    """

    keep: tuple[int, ...] = (3, 1)
    confirmations: int = 3
    extra: int = 2
    gap_seconds: float = 1.0
    selecting: float = 0.6
    select_seconds: float = 0.01
    bout_seconds: float = 0.08
    train_seconds: float = 2e-4
    fewest: int = 3
    most: int = 100
    share: float = 0.5
    rotate_below_bytes: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement needs of the machine.

    Attributes:
        deadline: moment of `clock.now()` after which no further round starts.
        progress: told what is being done, in a few words.
        others: seconds that other processes have had of the cores so far; None where not known.
        cores: that the candidates may use.
        checkpoint: told the outcome so far after each confirming round.
    """

    clock: Clock
    stopwatch: Stopwatch
    protocol: Protocol
    deadline: float = math.inf
    progress: Callable[[str], None] = lambda _: None
    others: Callable[[], float | None] = lambda: None
    cores: int = 1
    checkpoint: Callable[[Outcome], None] = lambda _: None

    def taken_since(self, before: float | None) -> float | None:
        """What others had of the cores since `others` was `before`; None where not known."""
        now = self.others() if before is not None else None
        return None if before is None or now is None else now - before


@dataclass(slots=True)
class Result:
    """The bouts of one candidate; `confirmed` are those after its selection.

    `complete` is how many of those are enough. `spans` are the moments between which they ran,
    `taken` the seconds that other processes had of the cores meanwhile.
    """

    candidate: Candidate
    selecting: list[Samples] = field(default_factory=list)
    confirmed: list[Samples] = field(default_factory=list)
    complete: int = 1
    spans: list[tuple[float, float]] = field(default_factory=list)
    taken: float | None = None

    def others_share(self, cores: int) -> float | None:
        """The share of the cores that other processes had meanwhile; None where not known.

        Nor is it known after a shorter time than the system counts well.
        """
        available = cores * sum(end - start for start, end in self.spans)
        if self.taken is None or available < _COUNTED_SECONDS:
            return None
        return max(self.taken, 0.0) / available

    def ran(self, start: float, end: float, taken: float | None) -> None:
        """Note that it ran from `start` to `end`, while others had `taken` of the cores.

        A part of `taken` may be negative, by the grain of the counters; only the sum means much.
        """
        self.spans.append((start, end))
        if taken is not None:
            self.taken = (self.taken or 0.0) + taken

    @property
    def bouts(self) -> tuple[Samples, ...]:
        """The bouts that count: the confirming ones, or all where time was too short for those."""
        if len(self.confirmed) >= self.complete:
            return tuple(self.confirmed)
        return (*self.selecting, *self.confirmed)

    def rates(self, share: float) -> tuple[float, ...]:
        """The rate of each bout, in the candidate's unit per second."""
        return tuple(bout.rate(self.candidate.amount, share) for bout in self.bouts)

    @property
    def spread(self) -> float:
        """By how much the median rates of the bouts differ."""
        return spread(self.rates(0.5))

    @property
    def contended(self) -> bool:
        """Whether the bouts differ too much for a device used alone."""
        return self.spread > CONTENDED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tournament found.

    Attributes:
        winners: the best candidate of each group, with its bouts; a group that nothing ran in is
            absent.
        unable: labels of the candidates that could not run, with the reason.
        ranked: the candidates of each group by the first bout of each, the fastest first.
        untried: how many candidates time was too short for.
    """

    winners: dict[str, Result]
    unable: dict[str, str]
    ranked: dict[str, tuple[Candidate, ...]] = field(default_factory=dict)
    untried: int = 0


def bout(
    candidate: Candidate,
    stopwatch: Stopwatch,
    protocol: Protocol,
    seconds: float | None = None,
    hopeless: float = 0.0,
) -> Samples:
    """One bout of `candidate` of about `seconds`, `protocol.bout_seconds` where not given.

    One that is below the rate `hopeless` ends with its first long call.

    Raises:
        RuntimeError, AttributeError, MemoryError: the candidate cannot run here.
    """
    small = candidate.unit == "flops" and candidate.working_set_bytes < protocol.rotate_below_bytes
    with candidate.scope():
        calls = [candidate.prepare() for _ in range(2 if small else 1)]
        stopwatch.seconds(calls)  # first calls compile, allocate and fault pages in
        once = stopwatch.seconds(calls) / len(calls)
        length = max(len(calls), math.ceil(protocol.train_seconds / max(once, 1e-9)))
        train = tuple(islice(cycle(calls), length))
        wanted = protocol.bout_seconds if seconds is None else seconds
        if once > wanted and candidate.amount / once < hopeless:
            return Samples((once,))
        times = [once] if length == len(calls) else []
        while len(times) < protocol.fewest or (
            len(times) < protocol.most and sum(times) * length < wanted
        ):
            times.append(stopwatch.seconds(train) / length)
    return Samples(tuple(times))


def tournament(groups: Mapping[str, Sequence[Candidate]], bench: Bench) -> Outcome:
    """The winner of each group, confirmed in bouts of its own."""
    contest = _Contest(groups, bench)
    for keep in bench.protocol.keep:
        if not contest.round(confirming=False):
            break
        contest.select(keep)
    contest.select(1)
    for _ in range(bench.protocol.confirmations):
        if not contest.round(confirming=True):
            break
        bench.checkpoint(contest.outcome())
    for _ in range(bench.protocol.extra):
        contest.drop_calm()
        if not contest.round(confirming=True):
            break
    return contest.outcome()


class _Contest:
    """The running state of one tournament."""

    def __init__(self, groups: Mapping[str, Sequence[Candidate]], bench: Bench) -> None:
        enough = bench.protocol.confirmations
        self.running = {
            group: [Result(candidate, complete=enough) for candidate in rivals]
            for group, rivals in groups.items()
        }
        self.winners: dict[str, Result] = {}
        self.unable: dict[str, str] = {}
        self._bench = bench
        self._random = random.Random(bench.protocol.seed)  # noqa: S311 - an order, not a secret
        self._last_start = -math.inf
        self._rounds = 0
        now, deadline = bench.clock.now(), bench.deadline
        self._selected_by = now + bench.protocol.selecting * max(deadline - now, 0.0)
        self._ranked: dict[str, tuple[Candidate, ...]] = {}
        self._untried = 0

    def round(self, *, confirming: bool) -> bool:
        """One bout of everything in the running; False if there is nothing to do, or no time."""
        entries = [
            (place // _TOGETHER, group, result)
            for group, rivals in self.running.items()
            for place, result in enumerate(rivals)
        ]
        clock, protocol = self._bench.clock, self._bench.protocol
        start = max(clock.now(), self._last_start + protocol.gap_seconds)
        end = self._bench.deadline if confirming else self._selected_by
        if not entries or (self._rounds and start >= end):
            return False
        clock.sleep(max(0.0, start - clock.now()))
        self._last_start = start
        self._rounds += 1
        self._random.shuffle(entries)
        # Where time is too short for all, the first of each group have had their turn.
        entries.sort(key=lambda entry: entry[0])
        for number, (_, group, result) in enumerate(entries, 1):
            if clock.now() >= end and self._measured(group):
                self._untried += not result.bouts
                continue
            self._bench.progress(
                f"round {self._rounds}, {number} of {len(entries)}: {result.candidate.label}"
            )
            self._bout(group, result, confirming=confirming)
        return True

    def _measured(self, group: str) -> bool:
        return any(result.bouts for result in self.running[group])

    def _best(self, group: str) -> float:
        """The highest rate so far."""
        share = self._bench.protocol.share
        rates = (rate for result in self.running[group] for rate in result.rates(share))
        return max(rates, default=0.0)

    def _bout(self, group: str, result: Result, *, confirming: bool) -> None:
        protocol = self._bench.protocol
        seconds = protocol.bout_seconds if confirming else protocol.select_seconds
        start, others = self._bench.clock.now(), self._bench.others()
        try:
            hopeless = 0.0 if confirming else self._best(group) / _FAR_BELOW
            samples = bout(result.candidate, self._bench.stopwatch, protocol, seconds, hopeless)
        except CANNOT_RUN as error:
            self.unable[result.candidate.label] = first_line(error)
            self.running[group].remove(result)
            return
        result.ran(start, self._bench.clock.now(), self._bench.taken_since(others))
        (result.confirmed if confirming else result.selecting).append(samples)

    def select(self, keep: int) -> None:
        """Leave the `keep` fastest of each group in the running; the fastest is its winner."""
        for group, rivals in self.running.items():
            measured = [result for result in rivals if result.bouts]
            measured.sort(key=lambda result: -max(result.rates(self._bench.protocol.share)))
            self.running[group] = measured[:keep]
            self._ranked.setdefault(group, tuple(result.candidate for result in measured))
            if measured:
                self.winners[group] = measured[0]

    def outcome(self) -> Outcome:
        """What is known so far."""
        return Outcome(dict(self.winners), dict(self.unable), dict(self._ranked), self._untried)

    def drop_calm(self) -> None:
        """Take the winners whose bouts agree out of the running."""
        self.running = {
            group: [result for result in rivals if result.contended]
            for group, rivals in self.running.items()
        }


def describe(result: Result, share: float) -> str:
    """The winner and how its bouts agree, for provenance: `torch mm 512x512x512, 3 bouts`."""
    count = len(result.bouts)
    middle = median([len(bout.seconds) for bout in result.bouts])
    return (
        f"{result.candidate.label}; {count} bout{'s' * (count != 1)} of {middle:.0f} trains, "
        f"{100 * share:.0f}th percentile"
    )
