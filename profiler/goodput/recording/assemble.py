"""Puts a recording together from what a program left behind. Runs nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from goodput.errors import TraceFormatError
from goodput.formulas.hand_written import TELL_THE_MASK, told
from goodput.readers import profiles
from goodput.recording import ranks
from goodput.recording.join import join
from goodput.recording.two_counts import differences
from goodput.trace.recording import Recording, WorkEntry, WorkPass
from goodput.trace.table import Invocations, Trace

if TYPE_CHECKING:
    from goodput.frontends.measured import Measured

MORE_STEPS = (
    "let it run for more steps (about 30 are enough), pass smaller --warmup and --steps, or mark "
    "its steps with goodput.record() and .step()"
)


_NO_STEP = {
    "torch": "no optimizer stepped and no top-level module was called again",
    "jax": "no function of its own that the program jitted was called again",
}


def recording_of(
    measured: Measured,
    program: str,
    created: str,
    exit_status: int = 0,
    *,
    count_only: bool = False,
) -> tuple[Recording | None, str]:
    """The recording, or None and why there is none: no whole step was counted or timed."""
    results = measured.results
    trace, warnings = _profiled_trace(measured)
    if trace is None:
        trace = _empty(measured)
    walls, basis = _walls(measured, warnings), results.basis
    if not (trace.steps or walls or results.work.entries):
        return None, _nothing(measured)
    if not walls and trace.steps:
        walls, basis = tuple(step.wall_seconds for step in trace.steps), "trace"
    if trace.steps and measured.framework == "torch":
        trace = join(trace, results.work, results.wall_seconds, mixed=results.mixed)
    # Steps of many kinds: the one that was counted is not the one that was profiled.
    compared = measured.framework == "jax" and not results.mixed
    place = ranks.here()
    recording = Recording(
        program=program,
        created=created,
        trace=replace(trace, rank=place.rank, world_size=place.world_size),
        wall_seconds=walls,
        basis=basis,
        steps_seen=results.steps_seen,
        steps_left_out=results.steps_left_out,
        tokens_per_step=None if results.mixed else _tokens(measured),
        work=results.work,
        exit_status=exit_status,
        warnings=(
            *measured.warnings,
            *results.warnings,
            *warnings,
            *hand_written(results.work.hand_written),
            *(differences(results.work, trace) if compared else ()),
            *results.work.told,
        ),
        environment={
            **measured.environment,
            "device_place": ranks.device_place(measured.environment.get("device_index", "")),
        },
        count_only=count_only,
        mixed=results.mixed,
    )
    return recording, ""


def ended(
    finish: Callable[[], Measured],
    program: str,
    created: str,
    exit_status: int = 0,
    *,
    count_only: bool = False,
) -> tuple[Recording | None, str]:
    """The recording of a program whose measuring `finish` ends; or None and why there is none."""
    try:
        measured = finish()
    except RuntimeError as error:  # a device that the program's own error left unusable
        return None, f"the device gave no times: {error}"
    return recording_of(measured, program, created, exit_status, count_only=count_only)


def _walls(measured: Measured, warnings: list[str]) -> tuple[float, ...]:
    """The undisturbed steps' seconds, where their clock tells a step's time on its device."""
    results = measured.results
    if results.basis == "host" and measured.device.kind != "cpu" and results.wall_seconds:
        warnings.append(
            "the few steps that ran were clocked by the host, which tells when a step was queued "
            f"on the {measured.device.kind} device and not when it was done: they are left out"
        )
        return ()
    return results.wall_seconds


def hand_written(modules: tuple[str, ...], advice: str = TELL_THE_MASK) -> tuple[str, ...]:
    """The sentence for attention whose mask nothing tells, counted dense."""
    return told(modules, "the program itself", advice)


def tokens_of(work: WorkPass) -> float | None:
    """Tokens of the counted step: the rows of `[batch, tokens]` that its first embedding looked up.

    None where nothing was looked up by such indices: then no number is a number of tokens.
    """
    lookups = [
        (entry.module, shape)
        for entry in work.entries
        if entry.phase == "forward" and _looks_up(entry)
        if (shape := _index_shape(entry)) is not None
    ]
    if not lookups:
        return None
    first = lookups[0][0]
    return float(sum(math.prod(shape) for module, shape in lookups if module == first))


def _looks_up(entry: WorkEntry) -> bool:
    """Whether a call is an embedding, or a compiled kernel with one among its operators."""
    if entry.operator == "aten::embedding":
        return True
    operators = entry.operator.removeprefix("fused: ").split(" and ")[0].split(", ")
    return entry.compiled and "embedding" in operators


def _index_shape(entry: WorkEntry) -> tuple[int, int] | None:
    """The shape of an embedding's indices, its last input; a compiled kernel has them anywhere."""
    end = "" if entry.compiled else "$"
    match = re.search(rf" i(?:32|64)\[(\d+),(\d+)\]{end}", f" {entry.shapes}")
    return (int(match.group(1)), int(match.group(2))) if match is not None else None


def keep_steps(trace: Trace, numbers: Container[int]) -> Trace:
    """The trace with only the steps of these numbers."""
    kept = [index for index, step in enumerate(trace.steps) if step.number in numbers]
    if len(kept) == len(trace.steps):
        return trace
    places = np.full(len(trace.steps) + 1, -1, dtype=np.int64)
    places[kept] = np.arange(len(kept))
    table = trace.invocations
    table = replace(table, step=places[table.step])
    return replace(
        trace,
        steps=tuple(trace.steps[index] for index in kept),
        invocations=table.select(table.step >= 0),
    )


def _profiled_trace(measured: Measured) -> tuple[Trace | None, list[str]]:
    if measured.trace_path is None or not measured.results.profiled:
        return None, []
    try:
        trace = profiles.read(measured.trace_path)
    except TraceFormatError as error:
        return None, [f"the profiled steps could not be read: {error}"]
    trace = replace(keep_steps(trace, measured.results.profiled), device=measured.device)
    return (trace, []) if trace.steps else (None, [])


def _empty(measured: Measured) -> Trace:
    return Trace(
        device=measured.device,
        framework=measured.framework,
        steps=(),
        invocations=Invocations.of({}),
        strings=("",),
    )


def _nothing(measured: Measured) -> str:
    seen = measured.results.steps_seen
    if seen == 0:
        what = f"no step was seen: {_NO_STEP[measured.framework]}"
    else:
        what = f"no whole step was measured: the program ended after {seen}"
    warnings = "; ".join((*measured.warnings, *measured.results.warnings))
    return f"{what}; {warnings + '; ' if warnings else ''}{MORE_STEPS}"


def _tokens(measured: Measured) -> float | None:
    if measured.framework == "torch":
        return tokens_of(measured.results.work)
    return None if measured.tokens is None else float(measured.tokens)
