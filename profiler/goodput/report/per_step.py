"""Seconds of every operator in each profiled step. Pure; joins no steps."""

from __future__ import annotations

from typing import TypeAlias

from goodput.trace.table import Phase, Trace

Key: TypeAlias = tuple[str, str, str]
"""An operator, its phase and its math mode."""


def seconds_by_step(trace: Trace) -> dict[Key, list[float]]:
    """The device seconds of each operator, phase and mode, a value a step."""
    table, steps = trace.invocations, len(trace.steps)
    sums: dict[Key, list[float]] = {}
    for step, operator, phase, mode, seconds in zip(
        table.step.tolist(),
        table.operator.tolist(),
        table.phase.tolist(),
        table.mode.tolist(),
        table.device_seconds.tolist(),
        strict=True,
    ):
        key = trace.strings[operator], Phase(phase).name.lower(), trace.strings[mode]
        sums.setdefault(key, [0.0] * steps)[step] += seconds
    return sums
