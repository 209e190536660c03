"""A case of torch, timed for real beside an anchor on the same device. Judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from goodput.frontends import torch_device
from goodput.frontends.timed_case import Profiled, TimedCase, beside_script, unprofiled
from goodput.frontends.torch_count import Step, mode_of, wanting
from goodput.frontends.torch_passes import uses_device
from goodput.measure.clock import Clock
from goodput.measure.interleaved import Plan, Rounds, interleaved

MEMORY = "memory"

_CPU_SIZE, _DEVICE_SIZE = 384, 4096
_CPU_BYTES, _DEVICE_BYTES = 2**26, 2**30
_MODES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


def timed(
    step: Step,
    mode: str,
    anchor: str,
    plan: Plan,
    clock: Clock,
    profiled: Profiled = unprofiled,
) -> TimedCase:
    """The rounds of a step in this process, each beside a call of the anchor.

    Args:
        step: what is timed.
        mode: math mode of most of its products, which a compute anchor has too.
        anchor: `compute` or `memory`.
        plan: how long.
        clock: the host's.
        profiled: tells where the step's seconds go, once the rounds are over.
    """
    with mode_of(step):
        take = _settled(step)
        take()
        call, name, amount = _anchor(mode, anchor)
        rounds = interleaved(take, call, clock, plan)
        profile = profiled(take)
    return replace(_case(rounds, name, amount), profile=profile)


def anchored_script(
    walls: tuple[float, ...], mode: str, anchor: str, plan: Plan, clock: Clock
) -> TimedCase:
    """Steps that a script was timed at, and the anchor right after them in the same process."""
    call, name, amount = _anchor(mode, anchor)
    return _case(beside_script(walls, call, clock, plan), name, amount)


def _case(rounds: Rounds, name: str, amount: float) -> TimedCase:
    return TimedCase(rounds, name, amount, torch_device.identity(), torch_device.environment())


def _settled(step: Step) -> Callable[[], None]:
    """The step, backward too where that was asked for, until the device has done it."""

    def take() -> None:
        inputs = step.inputs
        result = step.call(**inputs) if isinstance(inputs, Mapping) else step.call(*inputs)
        if step.train:
            loss = getattr(result, "loss", None)
            roots = list(wanting(result if loss is None else loss))
            torch.autograd.backward(roots, [torch.ones_like(root) for root in roots])
        _wait()

    return take


def _wait() -> None:
    if uses_device():
        torch.cuda.synchronize()


def _anchor(mode: str, kind: str) -> tuple[Callable[[], None], str, float]:
    """The anchor's call, its name, and how much of its work one call does."""
    device = "cuda" if uses_device() else "cpu"
    if kind == MEMORY:
        size = _DEVICE_BYTES if device == "cuda" else _CPU_BYTES
        source = torch.zeros(size // 4, device=device)
        target = torch.empty_like(source)

        def copy() -> None:
            target.copy_(source)
            _wait()

        return copy, f"copy of {size} bytes", 2.0 * size
    n = _DEVICE_SIZE if device == "cuda" else _CPU_SIZE
    left: Any = torch.rand(n, n, device=device).to(_MODES.get(mode, torch.float32))
    right = left.clone()

    def multiply() -> None:
        with torch.no_grad():
            torch.mm(left, right)
        _wait()

    return multiply, f"{n}x{n}x{n} {mode or 'float32'}", 2.0 * n**3
