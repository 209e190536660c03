"""Times one case in this process beside an anchor, as each process of the measured tier does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from goodput.commands.step_profile import profile_of, profiled_step
from goodput.errors import NotMeasuredError
from goodput.frontends.timed_case import TimedCase, unprofiled
from goodput.measure.clock import HostClock
from goodput.measure.interleaved import Plan
from goodput.recording import targets
from goodput.recording.frameworks import JAX, framework_of, likely
from goodput.recording.run import RunOptions, ScriptTarget, record_script

_SCRIPT_STEPS = 20
"""Undisturbed steps of a script: about as many as a process of a function has rounds."""


def timed_target(
    text: str,
    sizes: tuple[int | None, int | None],
    train: bool | None,
    *,
    anchor: str,
    mode: str,
    seconds: float,
    operators: bool,
) -> TimedCase:
    """The rounds of what `goodput count` would count, run for real.

    Raises:
        UsageError: it names nothing that can be run.
        NotMeasuredError: it is a config, which has no weights to run.
    """
    target = targets.parsed(text)
    if target.kind == "hf":
        raise NotMeasuredError(f"{text} is a config: it can be counted and not timed")
    function = targets.function_of(target)
    call, inputs = targets.call(target, function, {"batch": sizes[0], "seq": sizes[1]})
    return timed_call(
        call, inputs, train, anchor=anchor, mode=mode, seconds=seconds, operators=operators
    )


def timed_call(
    call: Callable[..., Any],
    inputs: Any,
    train: bool | None,
    *,
    anchor: str,
    mode: str,
    seconds: float = 3.0,
    operators: bool = False,
) -> TimedCase:
    """The rounds of `call(*inputs)`, each beside a call of the anchor.

    With `operators` some more steps run under a profiler, once the rounds are over.
    """
    plan, clock = Plan(seconds=seconds), HostClock()
    framework = framework_of(call, inputs) or likely()
    profiled = partial(profiled_step, framework) if operators else unprofiled
    if framework == JAX:
        from goodput.frontends import jax_case
        from goodput.frontends.jax_count import Step as JaxStep

        return jax_case.timed(JaxStep(call, inputs, train), mode, anchor, plan, clock, profiled)
    from goodput.frontends import torch_case
    from goodput.frontends.torch_count import Step

    return torch_case.timed(Step(call, inputs, train), mode, anchor, plan, clock, profiled)


def timed_script(target: ScriptTarget, *, anchor: str, mode: str, seconds: float) -> TimedCase:
    """The undisturbed steps of a script, and the anchor right after them.

    Raises:
        UsageError: there is no such script.
        NotMeasuredError: it failed, or too few steps were seen.
    """
    outcome = record_script(target, RunOptions(steps=_SCRIPT_STEPS, stop_after=True))
    if outcome.exit_status:
        raise NotMeasuredError(f"{target.title} ended with status {outcome.exit_status}")
    recording = outcome.recording
    if recording is None or not recording.wall_seconds:
        reason = outcome.reason or "no step was timed: let it run for about 40 steps"
        raise NotMeasuredError(f"{target.title}: {reason}")
    plan, clock = Plan(seconds=seconds), HostClock()
    if recording.trace.framework == JAX:
        from goodput.frontends import jax_case

        timed = jax_case.anchored_script(recording.wall_seconds, mode, anchor, plan, clock)
    else:
        from goodput.frontends import torch_case

        timed = torch_case.anchored_script(recording.wall_seconds, mode, anchor, plan, clock)
    return replace(timed, profile=profile_of(recording))
