"""Sees every launch of a Triton kernel while counting is on; at all other times nothing is there.

Triton is never imported for it: a program that has not done so launches none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from goodput.frontends.torch_private import direct_launches
from goodput.readers.ttir import KernelCount
from goodput.work import Argument, Work


@dataclass(frozen=True, slots=True)
class Stated:
    """What the author of a kernel says that a launch does; None where nothing is said."""

    flops: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Launched:
    """One launch.

    Attributes:
        name: of the kernel.
        inputs: its arguments, in order.
        count: what it does; None where that could not be counted.
        stated: what its `launch_metadata` says.
        warnings: sentences for the report.
    """

    name: str
    inputs: tuple[Argument, ...]
    count: KernelCount | None
    stated: Stated = Stated()
    warnings: tuple[str, ...] = ()

    @property
    def work(self) -> Work | None:
        """What it does, in the columns of every operator."""
        return None if self.count is None else self.count.work

    @property
    def mode(self) -> str:
        """The math mode of most of its matrix products; "" without any."""
        return "" if self.count is None else self.count.mode


Note: TypeAlias = Callable[[Launched], None]


class LaunchWatch:
    """Hands each launch on to whoever counts, until it is closed.

    Args:
        launching: whether kernels really run; else they are only counted.
    """

    def __init__(self, *, launching: bool) -> None:
        self._note: Note | None = None
        self._launching = launching
        self._tuning = 0
        self._before: list[tuple[Any, Any]] = []
        self._direct: list[AbstractContextManager[None]] = []

    def open(self, note: Note) -> None:
        """Starts to see launches, where Triton is there: `note` gets what each does."""
        if "triton.runtime.jit" not in sys.modules:
            return
        self._note = note
        runs = (self._run, self._tune, self._interpret)
        for cls, run in zip(_launchers(), runs, strict=True):
            self._before.append((cls, cls.run))
            cls.run = _replaced(cls.run, run)
        self._direct.append(direct_launches())
        self._direct[-1].__enter__()

    def close(self) -> None:
        """Takes everything off again, and holds on to nobody."""
        while self._direct:
            self._direct.pop().__exit__(None, None, None)
        while self._before:
            cls, original = self._before.pop()
            cls.run = original
        self._note = None

    def _run(self, original: Any, kernel: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """A launch, or a compilation without one."""
        result = original(kernel, *args, **kwargs) if self._launching else None
        if not kwargs.get("warmup") and not self._tuning:
            self._count(kernel, args, kwargs)
        return result

    def _tune(self, original: Any, tuner: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """A launch of a tuned kernel: what it tries out before is no work of the program's."""
        result = None
        if self._launching:
            self._tuning += 1
            try:
                result = original(tuner, *args, **kwargs)
            finally:
                self._tuning -= 1
        if not kwargs.get("warmup") and not self._tuning:
            self._count(tuner, args, kwargs)
        return result

    def _interpret(
        self, original: Any, kernel: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        """A launch in Triton's interpreter, which has no kernel to read."""
        result = original(kernel, *args, **kwargs) if self._launching else None
        if self._note and not kwargs.get("warmup") and not self._tuning:
            from goodput.frontends.triton_kernels import interpreted

            self._note(interpreted(kernel, args))
        return result

    def _count(self, kernel: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        from goodput.frontends.triton_kernels import launched

        if self._note:
            self._note(launched(kernel, args, kwargs, kwargs.get("grid", (1,))))


@contextmanager
def replaced_run(cls: Any, run: Callable[..., Any]) -> Iterator[None]:
    """Inside, the method `run` of a class is `run(original, self, args, kwargs)`."""
    original = cls.run
    cls.run = _replaced(original, run)
    try:
        yield
    finally:
        cls.run = original


def _replaced(original: Callable[..., Any], run: Callable[..., Any]) -> Callable[..., Any]:
    def replaced(kernel: Any, *args: Any, **kwargs: Any) -> Any:
        return run(original, kernel, args, kwargs)

    return replaced


@cache
def _launchers() -> tuple[Any, Any, Any]:
    """The classes of Triton that launch: a kernel, one that is tuned, one that is interpreted."""
    from triton.runtime.autotuner import Autotuner
    from triton.runtime.interpreter import InterpretedFunction
    from triton.runtime.jit import JITFunction

    return JITFunction, Autotuner, InterpretedFunction
