"""Timing in one process: blocks in which the anchor and all entries run once, in random order.

Every call has values of its own, at addresses of their own; results of a few calls, chosen in
secret, are kept to be checked. What is timed is the device's time of a train of calls.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from goodput.comparison.accuracy import Result
from goodput.comparison.problem import Problem
from goodput.errors import UsageError
from goodput.frontends.compared import Values
from goodput.measure.anchored import ANCHOR
from goodput.measure.clock import Clock, Stopwatch

_TRAIN_SECONDS = 2e-4
_LONGEST_TRAIN = 32
_FEWEST, _MOST = 6, 40


@dataclass(frozen=True, slots=True)
class Kept:
    """A result of a timed call: of which entry, on which values."""

    entry: str
    seed: int
    result: Result | None
    fault: str = ""


@dataclass(slots=True)
class Session:
    """The timing of one case in one process.

    Attributes:
        problem: the case.
        entries: what is timed.
        anchor: a call of our own that is timed among them, and whose values it is of.
        clock: of the host.
        seconds: about how long.
        checked: results of timed calls to keep, of each entry.
        seed: of orders and values.
    """

    problem: Problem
    entries: tuple[str, ...]
    anchor: tuple[Values, Callable[[], object]]
    clock: Clock
    seconds: float
    checked: int
    seed: int
    calls: dict[str, list[float]] = field(default_factory=dict)
    trains: dict[str, int] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    _watches: dict[str, Stopwatch] = field(default_factory=dict)
    _held: list[Any] = field(default_factory=list)
    _latest: dict[str, tuple[list[int], list[Any], list[Any]]] = field(default_factory=dict)
    _begin: Callable[[str], None] = lambda _: None

    def run(self, begin: Callable[[str], None]) -> None:
        """All blocks; `begin` is told whose turn it is."""
        self._begin = begin
        order = random.Random(self.seed)  # noqa: S311 - hidden from variants, not from attackers
        self._measure_trains()
        start, blocks = self.clock.now(), 0
        early = range(self.checked - 1)
        planned = {e: {order.randrange(_FEWEST) for _ in early} for e in self.entries}
        while blocks < _FEWEST or (blocks < _MOST and self.clock.now() - start < self.seconds):
            self._block(blocks, order, planned)
            blocks += 1
        for entry, train in self._latest.items():
            self._keep(entry, train, order)  # the last one, whenever that is

    def _measure_trains(self) -> None:
        """How many calls of each make a sample that is long enough."""
        values = self.problem.values(self.seed)
        for entry in self.entries:
            self._begin(entry)
            once = min(self._timed(entry, [values])[0] for _ in range(3))
            self.trains[entry] = _length(once)
        watch = self._watch(ANCHOR, self.anchor[0])
        watch.seconds([self.anchor[1]])
        self.trains[ANCHOR] = _length(watch.seconds([self.anchor[1]]))

    def _block(self, block: int, order: random.Random, planned: dict[str, set[int]]) -> None:
        longest = max(self.trains[entry] for entry in self.entries)
        seeds = [order.randrange(2**62) for _ in range(longest)]
        sets = [self.problem.values(seed) for seed in seeds]
        turns = [*self.entries, ANCHOR]
        order.shuffle(turns)
        for turn in turns:
            self._begin("" if turn == ANCHOR else turn)
            if turn == ANCHOR:
                self._anchor()
                continue
            own = sets[: self.trains[turn]]
            seconds, outputs = self._timed(turn, own)
            self.calls.setdefault(turn, []).append(seconds)
            self._latest[turn] = seeds, own, outputs
            if block in planned[turn]:
                self._keep(turn, self._latest[turn], order)
            # Held until the next but one, so that no address is used twice in a row.
            self._held = [*self._held[-2 * len(turns) :], (own, outputs)]

    def _anchor(self) -> None:
        home, call = self.anchor
        home.flush()
        count = self.trains[ANCHOR]
        seconds = self._watch(ANCHOR, home).seconds([call] * count) / count
        self.calls.setdefault(ANCHOR, []).append(seconds)

    def _timed(self, entry: str, sets: list[tuple[Any, ...]]) -> tuple[float, list[Any]]:
        """Seconds a call of a train on `sets`, and what each call returned."""
        home = self.problem.home(entry, sets[0])
        call = self.problem.call(entry, sets[0])
        arguments = [self.problem.arguments(entry, values) for values in sets]
        outputs: list[Any] = []

        def stored(given: tuple[Any, ...]) -> Callable[[], Any]:
            blocking = home.blocking(lambda: call(*given))
            return lambda: outputs.append(blocking())

        train = [stored(given) for given in arguments]
        home.wait(arguments)
        home.flush()
        seconds = self._watch(entry, home).seconds(train) / len(train)
        self._held.append(arguments)
        return seconds, outputs

    def _watch(self, entry: str, home: Values) -> Stopwatch:
        if entry not in self._watches:
            self._watches[entry] = home.stopwatch(self.clock)
        return self._watches[entry]

    def _keep(
        self, entry: str, train: tuple[list[int], list[Any], list[Any]], order: random.Random
    ) -> None:
        """Takes the numbers out of one call of a train."""
        seeds, values, outputs = train
        place = order.randrange(len(values))
        seed = seeds[place]
        try:
            result = self.problem.result(entry, values[place], outputs[place])
        except UsageError as error:
            self.kept.append(Kept(entry, seed, None, str(error)))
        else:
            self.kept.append(Kept(entry, seed, result))


def _length(once: float) -> int:
    return min(max(1, math.ceil(_TRAIN_SECONDS / max(once, 1e-9))), _LONGEST_TRAIN)
