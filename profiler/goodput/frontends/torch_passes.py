"""The instruments of the three passes for torch: the step timer and the step counter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from goodput.frontends.step_instruments import Clock
from goodput.frontends.torch_compiled import CompiledCounter
from goodput.frontends.torch_counter import WorkCounter
from goodput.frontends.torch_inductor import InductorWatch
from goodput.frontends.torch_modules import ModuleWatch
from goodput.frontends.torch_places import Surroundings
from goodput.frontends.torch_private import compilations, compile_is_used, open_modes
from goodput.trace.recording import WorkPass

_cuda: Any = torch.cuda  # untyped in torch


class TorchTimer:
    """Clocks steps: by an event on the device's stream at each boundary, else by the host.

    The host's clock would tell when a boundary was queued; the event tells when it was reached.

    Attributes:
        basis: what clocks.
        mark: marks a boundary.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._marks: list[Any] = []
        self.basis = "host"
        self.mark: Callable[[], None] = self._by_host()

    def start(self) -> None:
        """Forgets earlier marks and marks the first boundary."""
        self._marks = []
        self.basis = "event" if uses_device() else "host"
        self.mark = self._by_event if self.basis == "event" else self._by_host()
        self.mark()

    def _by_event(self) -> None:
        event = _cuda.Event(enable_timing=True)
        event.record()
        self._marks.append(event)

    def _by_host(self) -> Callable[[], None]:
        now, append = self._now, self._marks.append

        def mark() -> None:  # it runs in timed steps, where looking things up is slow
            append(now())

        return mark

    def seconds(self) -> list[float]:
        """The seconds between consecutive marks; waits for the device."""
        pairs = zip(self._marks, self._marks[1:], strict=False)
        if self.basis == "host":
            return [end - start for start, end in pairs]
        torch.cuda.synchronize()
        return [start.elapsed_time(end) / 1e3 for start, end in pairs]  # CUDA tells milliseconds


class TorchCounter:
    """Counts one step under a dispatch mode, and compiled code by its graphs.

    A step in which something is compiled is not counted: the compiler runs operators of its own,
    and compiles for the hooks that are on. So a compiled program is counted only after a step in
    which nothing was.

    `torch.inference_mode` puts the dispatcher's state back when it ends, so a mode that was opened
    outside of it must not be closed inside. A step without a backward pass is therefore counted
    root call by root call: what is opened there is closed in the same frame.

    Args:
        optimizing_task: while an optimizer steps, the backward pass it steps in (-1: in none).
        forward_only: whether the step that begins is known to have no backward pass.
        inductor: knows what is compiled.
    """

    def __init__(
        self,
        optimizing_task: Callable[[], int | None],
        forward_only: Callable[[], bool],
        inductor: InductorWatch,
    ) -> None:
        self._optimizing_task = optimizing_task
        self._forward_only = forward_only
        self._modules = ModuleWatch()
        self._mode: WorkCounter | None = None
        self._by_calls = False
        self._is_open = False
        self._opened_in_inference = False
        self._inductor = inductor
        self._compiled_before = -1
        self.compiled = CompiledCounter(inductor, self._modules.name_of)
        self.refusal = ""
        self.warnings: tuple[str, ...] = ()

    def start(self) -> bool:
        """Begins to count; False where this program cannot be counted now."""
        self.refusal = self._refusal()
        if self.refusal or self._is_compiling():
            return False
        mode = WorkCounter(Surroundings(lambda: self._modules.current, self._optimizing_task))
        self._modules.start()
        self._mode = mode
        self.compiled.start(mode)
        self._by_calls = self._forward_only()
        if not self._by_calls:
            self._open(mode)
        return True

    def can_stop(self) -> bool:
        """Whether counting can end here: not inside an inference mode that began under it."""
        return not self._is_open or self._opened_in_inference or not _inferring()

    def stop(self) -> WorkPass:
        """Ends counting and says what was counted."""
        if self._mode is None:
            return WorkPass()
        if self.can_stop():
            self._close()
        else:
            self._mode.failure = "counting was interrupted"  # it only passes operators on now
        self._modules.stop()
        self.warnings = self._mode.warnings
        self.compiled.stop()
        counted, self._mode = self._mode.result(), None
        return WorkPass() if self._is_compiling() else counted

    def resume(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """A root call begins."""
        if self._mode is not None:
            self._mode.called(module, args, kwargs)
        if self._by_calls and self._mode is not None and not self._is_open:
            self._open(self._mode)

    def suspend(self) -> None:
        """A root call ended."""
        if self._by_calls and self._is_open:
            self._close()

    def _is_compiling(self) -> bool:
        """Whether anything was compiled since this was last asked."""
        if not compile_is_used():
            return False
        before, self._compiled_before = self._compiled_before, self._compilations()
        return before != self._compiled_before

    def _compilations(self) -> int:
        # Backward halves are compiled when they first run, by inductor alone.
        return compilations() + self._inductor.compiled

    def _refusal(self) -> str:
        if open_modes():
            # A mode of the program's that closes before ours would take ours off in its place.
            return "the program runs under a dispatch mode of its own, so no step was counted live"
        return ""

    def _open(self, mode: WorkCounter) -> None:
        self._opened_in_inference = _inferring()
        self._is_open = mode.enter()

    def _close(self) -> None:
        if self._is_open and self._mode is not None:
            self._is_open = False
            self._mode.leave()


def _inferring() -> bool:
    return torch.is_inference_mode_enabled()


def uses_device() -> bool:
    """Whether the program computes on a CUDA or HIP device."""
    return bool(_cuda.is_available() and _cuda.is_initialized())
