"""What goodput's interception costs a call of a jitted function in an undisturbed step, as JSON.

Timed around a function that does nothing, so that nothing but the interception is in it: of the
step's function, of another one, and of one after the passes are over. A window ends every second
step; what its end takes beside waiting for the device stands apart.

Usage: python benchmarks/jax_hooks.py
"""

import json
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from goodput.frontends.jax_program import JaxProgram
from goodput.frontends.jax_watch import watched_function
from goodput.frontends.step_instruments import PassOptions
from goodput.frontends.step_passes import State
from goodput.measure.clock import HostClock

CALLS, REPEATS = 1000, 30


def nothing(*_: Any) -> None:
    """Take what a step takes."""


def other(*_: Any) -> None:
    """Do as little."""


def in_wall_pass(folder: str, inputs: tuple[Any, ...]) -> JaxProgram:
    """Return goodput in the middle of its undisturbed steps, `nothing` being their function."""
    program = JaxProgram(PassOptions(steps=10**9, warmup=2), HostClock(), Path(folder))
    program.attach()
    step = jax.jit(lambda weights, x: (weights, x @ x.T))
    while program._passes.state is not State.WALL:
        step(*inputs)
    program._timed = nothing
    program._narrow()
    return program


def seconds(call: Callable[..., Any], program: JaxProgram, inputs: tuple[Any, ...]) -> float:
    """Return what a call takes, the best of some."""
    best = float("inf")
    for _ in range(REPEATS):
        # What is noted of a step stays: without this the lists would grow as in no real run.
        program._passes._wall.clear()
        best = min(best, timeit.timeit(lambda: call(*inputs), number=CALLS) / CALLS)
    return best


def main() -> None:
    """Print the costs as JSON."""
    weights = {f"layer {number}": {"w": jnp.ones((8, 8))} for number in range(16)}
    inputs = (weights, jnp.ones((8, 8)))
    with tempfile.TemporaryDirectory() as folder:
        program = in_wall_pass(folder, inputs)
        plain = seconds(nothing, program, inputs)
        watch, timer = program._watch, program._timer
        watched = watched_function(nothing, watch)
        whole = seconds(watched, program, inputs)
        timer._end = 10**12  # no window ends
        found = {
            "call": seconds(watched, program, inputs) - plain,
            "other": seconds(watched_function(other, watch), program, inputs) - plain,
            "window": 2 * (whole - plain),
        }
        watch.let_be()
        found["after"] = seconds(watched, program, inputs) - plain
        program.finish()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
