"""What a call does beside computing: clocks it replaces, threads it leaves, errors it swallows.

The references that are compared with are taken when this module is imported, which is before the
user's file is loaded.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from goodput.frontends.compared import Values
from goodput.measure.clock import HostClock

_CLOCKS = ("perf_counter", "perf_counter_ns", "monotonic", "time", "process_time", "sleep")
_KEPT = {name: getattr(time, name) for name in _CLOCKS}
_NOW = HostClock.now
_SECOND = time.clock_gettime
_RAW = time.CLOCK_MONOTONIC
_DRIFT = 0.02


@dataclass(slots=True)
class SecondClock:
    """The system's own clock beside the one that times calls."""

    now: Callable[[], float] = field(default=_NOW)
    _start: tuple[float, float] = field(default=(0.0, 0.0))

    def __post_init__(self) -> None:
        """Starts."""
        self._start = (self.now(), _SECOND(_RAW))

    def drift(self) -> float:
        """By how much the clock of the calls has gone otherwise since the start."""
        own, system = self.now() - self._start[0], _SECOND(_RAW) - self._start[1]
        return abs(own - system) / max(system, 1e-3)


def clock_faults(frameworks: Sequence[Values], second: SecondClock) -> str:
    """What of the clocks has been replaced, or goes wrong; "" where all are whole.

    Those of Python are put back, so that whoever comes next is not blamed for it.
    """
    replaced = [f"time.{name}" for name in _CLOCKS if getattr(time, name) is not _KEPT[name]]
    if HostClock.now is not _NOW:
        replaced.append("goodput's own clock")
    for name, clock in _KEPT.items():
        setattr(time, name, clock)
    type.__setattr__(HostClock, "now", staticmethod(_NOW))
    for values in frameworks:
        replaced += values.tampered()
    if replaced:
        return f"it replaces {', '.join(replaced)}: its times mean nothing"
    if second.drift() > _DRIFT:
        return f"the clock of the calls and the system's differ by {second.drift():.0%}"
    return ""


def threads() -> frozenset[int | None]:
    """The Python threads that are alive."""
    return frozenset(thread.ident for thread in threading.enumerate())


def threads_left(before: frozenset[int | None]) -> str:
    """Why threads that were not there `before` are a fault; "" where there are none."""
    new = [t.name for t in threading.enumerate() if t.ident not in before]
    return f"it leaves the thread {new[0]} running after it has returned" if new else ""


@dataclass(slots=True)
class Fallback:
    """Watches whether a call runs the reference's code, or swallows an error of its own.

    Attributes:
        reference: the reference's code.
        own: the code of the variant.
    """

    reference: CodeType | None
    own: CodeType | None
    called: bool = False
    swallowed: str = ""

    def watch(self, call: Callable[[], Any]) -> str:
        """Runs `call` and says what of a fallback was seen; "" of none."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            call()
        finally:
            sys.settrace(before)
        if self.called:
            return "it calls the reference: what is timed is not its own work"
        if self.swallowed:
            return f"an error is swallowed ({self.swallowed}): it may fall back to something else"
        return ""

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "call" and frame.f_code is self.reference:
            self.called = True
        if frame.f_code is self.own:
            return self._within
        del argument
        return None

    def _within(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "exception" and argument[0] not in {StopIteration, GeneratorExit}:
            said = (str(argument[1]).strip() or "no text").splitlines()[0]
            self.swallowed = f"line {frame.f_lineno}, {argument[0].__name__}: {said}"
        return self._within


def code_of(call: object) -> CodeType | None:
    """The code of a Python function, under what wraps it; None of anything else."""
    for name in ("__wrapped__", "_torchdynamo_orig_callable", "fun"):
        inner = getattr(call, name, None)
        if inner is not None and inner is not call:
            return code_of(inner)
    code = getattr(call, "__code__", None)
    return code if isinstance(code, CodeType) else None
