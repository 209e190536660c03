"""The instruments of the three passes for torch: the step timer and the step counter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from goodput.frontends.step_instruments import Clock
from goodput.frontends.torch_counter import Surroundings, WorkCounter
from goodput.frontends.torch_modules import ModuleWatch
from goodput.frontends.torch_private import compile_is_used
from goodput.trace.recording import WorkPass

_cuda: Any = torch.cuda  # untyped in torch


class TorchTimer:
    """Clocks steps: by an event on the device's stream at each boundary, else by the host.

    The host's clock would tell when a boundary was queued; the event tells when it was reached.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._marks: list[Any] = []
        self.basis = "host"

    def start(self) -> None:
        """Forgets earlier marks and marks the first boundary."""
        self._marks = []
        self.basis = "event" if uses_device() else "host"
        self.mark()

    def mark(self) -> None:
        """Marks a boundary."""
        if self.basis == "host":
            self._marks.append(self._now())
        else:
            event = _cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)

    def seconds(self) -> list[float]:
        """The seconds between consecutive marks; waits for the device."""
        pairs = zip(self._marks, self._marks[1:], strict=False)
        if self.basis == "host":
            return [end - start for start, end in pairs]
        torch.cuda.synchronize()
        return [start.elapsed_time(end) / 1e3 for start, end in pairs]  # CUDA tells milliseconds


class TorchCounter:
    """Counts one step under a dispatch mode; never a program with compiled code in it.

    Args:
        optimizing_task: while an optimizer steps, the backward pass it steps in (-1: in none).
    """

    def __init__(self, optimizing_task: Callable[[], int | None]) -> None:
        self._optimizing_task = optimizing_task
        self._modules = ModuleWatch()
        self._mode: WorkCounter | None = None
        self.refusal = ""

    def start(self) -> bool:
        """Begins to count; False where this program cannot be counted now."""
        if compile_is_used():
            self.refusal = (
                "the program uses torch.compile, so no step was counted live: work comes from the "
                "profiled shapes"
            )
            return False
        mode = WorkCounter(Surroundings(lambda: self._modules.current, self._optimizing_task))
        if not mode.enter():
            self.refusal = "the program runs under a dispatch mode of its own, so none was counted"
            return False
        self._modules.start()
        self._mode = mode
        self.refusal = ""
        return True

    def stop(self) -> WorkPass:
        """Ends counting and says what was counted."""
        if self._mode is None:
            return WorkPass()
        self._mode.leave()
        self._modules.stop()
        counted, self._mode = self._mode.result(), None
        return counted


def uses_device() -> bool:
    """Whether the program computes on a CUDA or HIP device."""
    return bool(_cuda.is_available() and _cuda.is_initialized())
