"""A running JAX program under measurement: its steps, its passes, and what they left behind.

A step is what lies between two calls of the jitted function that does most of the work.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import jax

from goodput.errors import typed_line
from goodput.frontends import jax_device
from goodput.frontends.jax_count import count_traced
from goodput.frontends.jax_kinds import Kinds
from goodput.frontends.jax_nnx import nnx_scopes
from goodput.frontends.jax_passes import JaxCounter, JaxProfiler, WindowTimer
from goodput.frontends.jax_private import (
    PLAIN,
    RUNNING,
    ProfileWatch,
    compilations,
    profile_is_running,
)
from goodput.frontends.jax_watch import JAXPR, JitWatch
from goodput.frontends.measured import Measured
from goodput.frontends.step_instruments import Clock, Instruments, PassOptions, ProgramEnd
from goodput.frontends.step_kinds import describe
from goodput.frontends.step_passes import Passes, State
from goodput.trace.recording import WorkPass


class JaxProgram:
    """Measures the JAX program in this process from `attach` to `finish`.

    Args:
        options: how long each pass is.
        clock: the host's clock.
        scratch: a directory for the profile.
        stop_after: end the program when the passes are over.
    """

    def __init__(
        self, options: PassOptions, clock: Clock, scratch: Path, *, stop_after: bool = False
    ) -> None:
        self._stop_after = stop_after
        self._watch = JitWatch(self._call)
        self._counter = JaxCounter(self._counted)
        self._profiler = JaxProfiler(scratch, self._wait, lambda: self._main.functions)
        self._profiles = ProfileWatch(self._interrupt)
        self._main = _MainFunction(self._counted)
        self._counts: dict[Hashable, WorkPass] = {}
        self._kinds = Kinds()
        self._kind: Hashable = None
        self._ended: Hashable = None
        self._seen_kinds: Counter[Hashable] = Counter()
        self._compiled = 0
        self._notes: dict[str, None] = {}
        self._tokens: int | None = None
        self._explicit = False
        self._timed: Any = None
        self._last: Any = None
        self._failure = ""
        self._timer = WindowTimer(clock, self._wait)
        self._passes = Passes(
            options,
            Instruments(
                clock=clock,
                timer=self._timer,
                counter=self._counter,
                profiler=self._profiler,
                elsewhere=profile_is_running,
                next_key=lambda: self._kind,
                undisturbed=self._narrow,
                disturbed=lambda: self._watch.hand_to(None),
                done=self._done,
            ),
        )

    @property
    def late_imports(self) -> Mapping[str, Callable[[], None]]:
        """None: all that is watched comes with jax itself."""
        return {}

    def attach(self) -> None:
        """Starts to look for steps. JAX must be imported."""
        self._watch.install()
        self._profiles.install()
        os.register_at_fork(after_in_child=self._detach)

    def step(self) -> None:
        """The program says itself that a step ends here: from now on only that counts."""
        self.expect_explicit_steps()
        self._guarded(self._passes.boundary, None)

    def expect_explicit_steps(self) -> None:
        """From now on only `step` makes boundaries; what was found before is forgotten."""
        if not self._explicit:
            self._explicit, self._timed, self._kind, self._ended = True, None, None, None
            self._passes.restart()

    def finish(self) -> Measured:
        """Takes everything off and says what was measured."""
        results = self._passes.finish()
        self._detach()
        kind = "explicit" if self._explicit else "training" if results.steps_seen else ""
        return Measured(
            results=results,
            trace_path=self._profiler.path,
            device=jax_device.identity(),
            environment=jax_device.environment(),
            kind=kind,
            warnings=tuple(filter(None, [self._failure, *self._notes, self._recompiled()])),
            framework="jax",
            tokens=self._tokens,
        )

    # What each call of a jitted function does.

    def _narrow(self) -> None:
        """Undisturbed steps begin."""
        self._compilations = compilations(self._timed)
        self._compiled = self._compilations()
        self._watch.hand_to(self._undisturbed)

    def _undisturbed(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call in an undisturbed step, which pays for all that stands here.

        A function that is compiled for one kind of inputs, before the call and after it, was called
        with that kind.
        """
        if function is not self._timed or RUNNING.value is not PLAIN:
            result = self._last = function(*args, **kwargs)
            return result
        try:
            if self._compiled != 1:
                self._change(self._kinds.of(args, kwargs))
            self._passes.boundary(self._ended)
            self._ended = self._kind
        except Exception as error:  # noqa: BLE001 - the border with the user's program
            self._fault(error)
        result = self._last = function(*args, **kwargs)
        if self._compilations() != self._compiled:
            self._guarded(self._compiled_again, args, kwargs)
        return result

    def _change(self, kind: Hashable) -> None:
        """The call that begins is of `kind`: a window ends before it if the last was another."""
        if kind is not self._kind:
            self._timer.close_next()
            self._kind = kind
        self._seen_kinds[kind] += 1

    def _compiled_again(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The call of an undisturbed step was compiled: neither its time counts nor its window."""
        self._ended = self._kind = self._kinds.of(args, kwargs)
        if self._compiled == 1:  # else it was noted before the call
            self._seen_kinds[self._kind] += 1
        self._compiled = self._compilations()
        self._passes.spoil(self._timer.open_steps)
        self._timer.close_next()

    def _call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call in any other step."""
        self._guarded(self._before, function, args, kwargs)
        traces = self._passes.state in (State.WARMUP, State.COUNT)
        with nnx_scopes() if traces else contextlib.nullcontext():
            result = self._last = function(*args, **kwargs)
        return result

    def _before(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        state = self._passes.state
        if state is State.DONE:
            return
        if not self._explicit:
            learning = state in (State.WARMUP, State.COUNT)
            if learning and self._main.is_new(function, args, kwargs):
                self._seen_kinds.clear()
                self._passes.restart()
                self._timed = self._main.function
            if function is self._timed:
                self._change(self._kinds.of(args, kwargs))
                self._passes.boundary(self._ended)
                self._ended = self._kind
        if self._passes.state is State.COUNT:
            self._counter.note(function, args, kwargs)

    def _guarded(self, call: Callable[..., None], *args: Any) -> None:
        """An error of ours ends the measuring, not the program."""
        try:
            call(*args)
        except Exception as error:  # noqa: BLE001 - the border with the user's program
            self._fault(error)

    def _fault(self, error: Exception) -> None:
        self._failure = f"goodput itself failed ({typed_line(error)}) and measured nothing more"
        self._passes.restart()
        self._passes.state = State.DONE
        self._detach()

    def _counted(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> WorkPass:
        """The counts of one call, worked out once for all calls of its kind."""
        key = (id(function), _all_shapes(args, kwargs))
        if key not in self._counts:
            self._counts[key] = self._count(function, args, kwargs)
        return self._counts[key]

    def _count(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> WorkPass:
        trace, jaxpr = getattr(function, "trace", None), getattr(function, JAXPR, None)
        if trace is None and jaxpr is None:
            return WorkPass(
                failure="a program that was compiled ahead of time, and not here, has no jaxpr, so "
                "no step was counted by it"
            )
        try:
            counted = count_traced(trace(*args, **kwargs).jaxpr if trace else jaxpr)
        except Exception as error:  # noqa: BLE001 - the border with the user's program
            return WorkPass(failure=f"a step could not be counted ({typed_line(error)})")
        self._notes |= dict.fromkeys(counted.warnings)
        self._tokens = self._tokens or counted.tokens
        return counted.work

    # What the passes need.

    def _wait(self) -> None:
        """Waits for what the last call returned: a device runs its calls in order.

        Where the program says what a step is, its functions may have been jitted before goodput
        saw any: then for all arrays that there are.
        """
        everything: Any = jax.live_arrays  # untyped in jax
        leaves = everything() if self._explicit else jax.tree.leaves(self._last)
        alive = [leaf for leaf in leaves if isinstance(leaf, jax.Array) and not leaf.is_deleted()]
        wait: Any = jax.block_until_ready  # untyped in jax
        wait(alive)

    def _interrupt(self) -> None:
        self._passes.interrupt()
        if self._passes.state is State.WALL:
            self._passes.spoil(self._timer.open_steps)
            self._timer.close_next()

    def _recompiled(self) -> str:
        """The sentence on a function that compiles again and again."""
        kinds, steps = self._seen_kinds, self._passes.seen
        if len(kinds) < max(3, kinds.total() // 2):
            times = compilations(self._timed)()
            if times < max(3, steps // 2) or times <= 2 * len(kinds):
                return ""
            return (
                f"the function of the step was compiled {times} times in {steps} steps, and its "
                "inputs kept their shapes: what changes is a static argument, or their weak types "
                "or placement"
            )
        shown = "; ".join(describe(kind) for kind, _ in kinds.most_common(3))
        return (
            f"the function of the step was called with {len(kinds)} kinds of inputs in "
            f"{kinds.total()} calls, and each is compiled anew: {shown}"
        )

    def _done(self) -> None:
        self._watch.let_be()
        self._profiles.remove()
        self._last = None
        if self._stop_after:
            raise ProgramEnd

    def _detach(self) -> None:
        self._passes.state = State.DONE
        self._watch.remove()
        self._profiles.remove()
        self._last = None


class _MainFunction:
    """Finds the jitted function that does most of the work, among those called again and again.

    Args:
        count: the counts of one call.
    """

    def __init__(self, count: Callable[[Any, tuple[Any, ...], dict[str, Any]], WorkPass]) -> None:
        self._count = count
        self._calls: Counter[int] = Counter()
        self._flops: dict[int, int] = {}
        self._kept: dict[int, Any] = {}
        self.function: Any = None

    def is_new(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Notes a call; whether with it another function than before does most of the work."""
        name = id(function)
        self._kept[name] = function  # so that no other gets its number
        self._calls[name] += 1
        if self._calls[name] == 2:
            entries = self._count(function, args, kwargs).entries
            self._flops[name] = sum(entry.work.flops for entry in entries if entry.work)
        most = max(self._flops, key=lambda each: (self._score(each), self._calls[each]), default=0)
        if not most or self._kept[most] is self.function:
            return False
        if self.function is not None and self._score(most) <= self._score(id(self.function)):
            return False
        self.function = self._kept[most]
        return True

    @property
    def functions(self) -> list[Any]:
        """All that were called."""
        return list(self._kept.values())

    def _score(self, name: int) -> int:
        return self._flops[name] * self._calls[name]


def _all_shapes(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
    leaves, tree = jax.tree.flatten((args, kwargs))
    shapes = [(getattr(leaf, "shape", None), str(getattr(leaf, "dtype", leaf))) for leaf in leaves]
    return tree, tuple(shapes)
