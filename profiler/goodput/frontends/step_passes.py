"""The order of the passes over a running program, decided at its step boundaries.

Warm-up (with the counted step in it), then undisturbed steps, then profiled ones, then nothing.
Knows no framework: what it starts and stops is handed to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from enum import Enum, auto

from goodput.frontends.step_instruments import (
    WINDOW_BASIS,
    Instruments,
    PassOptions,
    PassResults,
)
from goodput.frontends.step_kinds import describe, elements
from goodput.trace.recording import WorkPass

SETTLED_STEPS = 3
"""Warm-up ends when this many steps in a row..."""
SETTLED_SPREAD = 0.1
"""...are within this of their shortest."""
WARMUP_LIMIT = 20
"""Steps after which warm-up ends whether or not they settled."""
PATIENCE = 5
"""Times the wanted steps that a pass waits for steps of the usual kind."""
PROFILED_STEPS_DEVICE = 3
PROFILED_STEPS_CPU = 10
PROFILED_SECONDS_CPU = 2.0
"""On a CPU single steps are noise: so many steps, or so many seconds."""
EVENT_LIMIT = 2_000_000
EVENTS_PER_CALL = 4
"""Profiler events for each counted operator call: the operators that it calls inside count too."""
TRIES = 3


class State(Enum):
    """Which pass the program is in."""

    WARMUP = auto()
    COUNT = auto()
    WALL = auto()
    WAITING = auto()
    PROFILE = auto()
    DONE = auto()


_WALL = State.WALL  # an enumeration is slow to be asked for its members


class Passes:
    """Moves a program through the passes; `boundary` is called at the end of each of its steps.

    Args:
        options: how long each pass is.
        instruments: what is started and stopped.
    """

    def __init__(self, options: PassOptions, instruments: Instruments) -> None:
        self._options = options
        self._tools = instruments
        # Undisturbed steps pay for every look-up.
        self._wanted = options.steps
        self._mark = instruments.timer.mark
        self._reset()

    def _reset(self) -> None:
        self.state = State.WARMUP
        self.seen = 0
        self._begun = False
        self._last = 0.0
        self._warmup: list[float] = []
        self._warmup_alone: list[float] = []
        self._keys: Counter[Hashable] = Counter()
        self._work = WorkPass()
        self._counted_key: Hashable = None
        self._count_tries = 0
        self._warm = False
        self._wall: list[tuple[Hashable, bool]] = []
        self._spoiled = False
        self._wall_seconds: list[float] = []
        self._profiled: list[Hashable] = []
        self._profile_tries = 0
        self._profile_began = 0.0
        self._others_profiler = False
        self._kept_out = False

    def restart(self) -> None:
        """Forgets everything: what was taken for steps so far were none."""
        self._stop_running(keep=False)
        self._reset()

    def boundary(self, key: Hashable) -> None:
        """One step ends and the next begins; `key` is the kind of the one that ends."""
        if self.state is _WALL:
            self._mark()
            elsewhere = self._tools.elsewhere()
            self._wall.append((key, self._spoiled or elsewhere))
            self._spoiled = elsewhere
            if elsewhere:
                self._others_profiler = True
            self.seen += 1
            if len(self._wall) >= self._wanted and self._wall_is_over():
                self._end_wall()
                self._advance()
            return
        now = self._tools.clock.now()
        self.seen += 1
        if not self._begun:
            self._begun = True
            self._first_boundary()
        else:
            self._keys[key] += 1
            self._step(key, now - self._last)
        self._last = self._tools.clock.now()

    def quick_boundary(self, key: Hashable) -> bool:
        """As `boundary`, in an undisturbed step after which another is wanted; else False.

        Nothing is switched on or off for it, so it may be called anywhere. It does not ask whether
        the program's own profiler runs: one that starts interrupts.
        """
        wall = self._wall
        if self._spoiled or len(wall) + 1 >= self._wanted or self.state is not _WALL:
            return False
        self._mark()
        wall.append((key, False))
        self.seen += 1
        return True

    def interrupt(self) -> None:
        """The program starts a profiler of its own: ours must be gone before."""
        if self.state is State.COUNT:
            self._tools.counter.stop()
            self.state = State.WARMUP
        elif self.state is State.PROFILE:
            self._tools.profiler.stop(keep=False)
            self._profile_tries += 1
            self.state = State.WAITING
        elif self.state is State.WALL:
            self._spoiled = self._others_profiler = True

    def spoil(self, earlier: int) -> None:
        """The undisturbed step that runs is of no use, nor the ones `earlier`, clocked with it."""
        self._spoiled = True
        for place in range(len(self._wall) - earlier, len(self._wall)):
            self._wall[place] = (self._wall[place][0], True)

    def finish(self) -> PassResults:
        """Ends whatever runs and says what was measured."""
        self._stop_running(keep=True)
        usual = self._usual()
        timed = zip(self._wall_seconds, self._wall, strict=False)
        covered = [s for s, (k, disturbed) in timed if not disturbed and self._covers(k, usual)]
        profiled = [
            number for number, key in enumerate(self._profiled[1:]) if self._covers(key, usual)
        ]
        out = len(self._wall_seconds) - len(covered)
        out += max(len(self._profiled) - 1, 0) - len(profiled)
        return PassResults(
            wall_seconds=tuple(covered if self._wall_seconds else self._warmup_seconds()),
            basis=self._tools.timer.basis,
            work=self._work,
            profiled=tuple(profiled),
            steps_seen=self.seen,
            steps_left_out=out,
            mixed=self._mixed(usual),
            warnings=tuple(self._warnings(usual)),
        )

    def _warmup_seconds(self) -> list[float]:
        """Times of warm-up steps without another profiler, for a program that ended there.

        None where the host runs ahead, of a device or as it does with windows: it saw them queued,
        not done. None where only counts were asked for.
        """
        ahead = self._tools.profiler.on_device or self._tools.timer.basis == WINDOW_BASIS
        return [] if ahead or self._options.count_only else self._warmup_alone

    def _first_boundary(self) -> None:
        if not self._begin_count() and self._warm_enough():
            self._advance()

    def _step(self, key: Hashable, seconds: float) -> None:
        if self.state is State.COUNT:
            if self._tools.counter.can_stop():
                self._end_count(key)
        elif self.state is State.WARMUP:
            self._warmup.append(seconds)
            if not self._tools.elsewhere():
                self._warmup_alone.append(seconds)
        elif self.state is State.PROFILE:
            self._profiled_step(key)
            return
        if self.state is State.WARMUP and self._warm_enough():
            self._advance()
        elif self.state is State.WARMUP and not self._is_counted():
            self._begin_count()  # the counter may have refused the step before
        elif self.state is State.WAITING:
            self._begin_profile()

    # The counted step.

    def _begin_count(self) -> bool:
        if self._tools.elsewhere() or self._count_tries >= TRIES:
            return False
        if not self._tools.counter.start():
            return False
        self._count_tries += 1
        self.state = State.COUNT
        return True

    def _end_count(self, key: Hashable) -> None:
        self._work = self._tools.counter.stop()
        self._counted_key = key
        self.state = State.WARMUP
        if self._options.count_only and (self._is_counted() or self._count_tries >= TRIES):
            self._end()

    def _is_counted(self) -> bool:
        return bool(self._work.entries or self._work.failure)

    def _count_is_needed(self) -> bool:
        """Whether no step was counted, or one of another kind than the usual."""
        if self._work.failure:
            return False
        return not self._work.entries or self._counted_key != self._usual()

    # Warm-up.

    def _warm_enough(self) -> bool:
        if self._warm:
            return True
        wanted = self._options.warmup
        if wanted is not None:
            self._warm = self.seen >= wanted
        else:
            last = self._warmup[-SETTLED_STEPS:]
            settled = len(last) == SETTLED_STEPS and max(last) <= (1 + SETTLED_SPREAD) * min(last)
            self._warm = settled or len(self._warmup) >= WARMUP_LIMIT
        return self._warm

    def _advance(self) -> None:
        """Begins what comes next after warm-up: a count that is still owed, then pass by pass."""
        expected = self._tools.next_key()
        usual = self._usual()
        countable = self._count_is_needed() and (expected is None or expected == usual)
        if countable and self._begin_count():
            return
        if self._wall_seconds:
            self._begin_profile()
        else:
            self._begin_wall()

    # Undisturbed steps.

    def _begin_wall(self) -> None:
        self._tools.undisturbed()
        self.state = State.WALL
        self._wall = []
        self._spoiled = self._others_profiler = self._tools.elsewhere()
        self._tools.timer.start()
        self._mark = self._tools.timer.mark

    def _wall_is_over(self) -> bool:
        wanted = self._options.steps
        kinds = Counter(key for key, disturbed in self._wall if not disturbed)
        most = max(kinds.values(), default=0)
        return most >= wanted or len(self._wall) >= PATIENCE * wanted

    def _end_wall(self) -> None:
        self._tools.disturbed()
        self._wall_seconds = self._tools.timer.seconds()
        self._keys.update(key for key, disturbed in self._wall if not disturbed)

    # Profiled steps.

    def _begin_profile(self) -> None:
        if self._profile_tries >= TRIES:
            self._end()
            return
        self.state = State.WAITING
        if self._tools.elsewhere():
            return
        self.state = State.PROFILE
        self._profiled = []
        self._tools.profiler.start()

    def _profiled_step(self, key: Hashable) -> None:
        """The step in which the profiler started is not kept: its first events are slow."""
        if not self._profiled:
            self._profile_began = self._tools.clock.now()
        self._tools.profiler.mark(len(self._profiled))
        self._profiled.append(key)
        if self._profile_is_over():
            self._tools.profiler.stop(keep=True)
            self._end()

    def _profile_is_over(self) -> bool:
        steps = len(self._profiled) - 1
        usual = self._usual()
        whole = sum(self._covers(key, usual) for key in self._profiled[1:])
        calls = len(self._work.entries)
        if calls and (steps + 1) * calls * EVENTS_PER_CALL >= EVENT_LIMIT and steps >= 1:
            return True
        if steps >= PATIENCE * PROFILED_STEPS_CPU:
            return True
        if self._tools.profiler.on_device:
            return whole >= PROFILED_STEPS_DEVICE
        elapsed = self._tools.clock.now() - self._profile_began
        return whole >= PROFILED_STEPS_CPU or (
            whole >= PROFILED_STEPS_DEVICE and elapsed >= PROFILED_SECONDS_CPU
        )

    # All of it.

    def _end(self) -> None:
        self.state = State.DONE
        self._tools.done()

    def _stop_running(self, *, keep: bool) -> None:
        if self.state is State.COUNT:
            self._tools.counter.stop()
        elif self.state is State.WALL:
            self._end_wall()
            self._kept_out = self._others_profiler
        elif self.state is State.PROFILE:
            self._tools.profiler.stop(keep=keep and len(self._profiled) > 1)
        elif self.state is State.WAITING:
            self._kept_out = True
        if self.state is not State.DONE:
            self.state = State.DONE

    def _usual(self) -> Hashable:
        return self._keys.most_common(1)[0][0] if self._keys else None

    def _covers(self, key: Hashable, usual: Hashable) -> bool:
        """Steps that are all of different kinds are covered together."""
        return key == usual or self._mixed(usual)

    def _mixed(self, usual: Hashable) -> bool:
        return bool(self._keys) and 2 * self._keys[usual] < self._keys.total()

    def _warnings(self, usual: Hashable) -> list[str]:
        found = []
        if not self._wall_seconds and self._warmup_seconds():
            found.append("the program ended in its warm-up, so the step times are from there")
        if self._work.failure:
            shapes = (
                "; work comes from the profiled shapes alone, which do not tell the pairs that a "
                "mask closes"
            )
            shapes = shapes if self._profiled else ""
            found.append(f"{self._work.failure}{shapes}")
        if self._kept_out:
            found.append(
                "the program's own profiler was on whenever steps could be profiled, so there are "
                "no operator times"
            )
        elif self._profile_tries >= TRIES:
            found.append(
                "the program's own profiler ended ours each time, so there are no operator times"
            )
        found += self._kinds_told(usual)
        return found

    def _kinds_told(self, usual: Hashable) -> list[str]:
        """How the steps differed, where they did."""
        timed = [key for key, disturbed in self._wall if not disturbed]
        profiled = self._profiled[1:]
        if self._mixed(usual):
            told = (
                f"the steps are of {len(self._keys)} kinds by the shapes of their inputs, none of "
                "them usual: all are reported together, and a step is their mean"
            )
            if timed and profiled:
                told += (
                    f"; a timed step had {_mean_elements(timed):.4g} input elements, a profiled "
                    f"one {_mean_elements(profiled):.4g}, and ratios are off by as much as these"
                )
            return [told]
        others = sum(key != usual for key in (*timed, *profiled))
        if not others or not describe(usual):
            return []
        told = (
            f"the report is of the steps with {describe(usual)}: {others} of "
            f"{len(timed) + len(profiled)} timed and profiled steps had others and are left out"
        )
        return [told]


def _mean_elements(kinds: list[Hashable]) -> float:
    return sum(map(elements, kinds)) / len(kinds)
