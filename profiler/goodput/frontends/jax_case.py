"""A case of JAX, timed for real beside an anchor on the same device. Judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from goodput.frontends import jax_device
from goodput.frontends.jax_count import Step, gradient_of
from goodput.frontends.timed_case import Profiled, TimedCase, beside_script, unprofiled
from goodput.measure.clock import Clock
from goodput.measure.interleaved import Plan, Rounds, interleaved

MEMORY = "memory"

_CPU_SIZE, _DEVICE_SIZE = 384, 4096
_CPU_BYTES, _DEVICE_BYTES = 2**26, 2**30
_MODES = ("float32", "bfloat16", "float16", "float64")


def timed(
    step: Step,
    mode: str,
    anchor: str,
    plan: Plan,
    clock: Clock,
    profiled: Profiled = unprofiled,
) -> TimedCase:
    """The rounds of a step in this process, each beside a call of the anchor.

    Abstract inputs are made of zeros, and every call gets copies, made before it is timed: a step
    may use up what it is given. A step whose gradient is asked for is jitted with it, as a
    training step is.

    Args:
        step: what is timed.
        mode: math mode of most of its products, which a compute anchor has too.
        anchor: `compute` or `memory`.
        plan: how long.
        clock: the host's.
        profiled: tells where the step's seconds go, once the rounds are over.
    """
    function, arguments = called(step)
    arguments = jax.tree.map(_real, arguments)
    call, name, amount = _anchor(mode, anchor)
    given: Any = None

    def prepare() -> None:
        nonlocal given
        given = jax.tree.map(_copied, arguments)
        _wait(given)

    def take() -> None:
        _wait(function(**given) if isinstance(given, Mapping) else function(*given))

    def whole() -> None:
        prepare()
        take()

    rounds = interleaved(take, call, clock, plan, prepare)
    return replace(_case(rounds, name, amount), profile=profiled(whole))


def called(step: Step) -> tuple[Callable[..., Any], Any]:
    """What is called, and its arguments by position or by name."""
    if not step.train:
        return step.call, step.inputs
    gradient, arrays = gradient_of(step)
    jit: Any = jax.jit  # untyped in jax
    return jit(gradient), tuple(arrays)


def anchored_script(
    walls: tuple[float, ...], mode: str, anchor: str, plan: Plan, clock: Clock
) -> TimedCase:
    """Steps that a script was timed at, and the anchor right after them in the same process."""
    call, name, amount = _anchor(mode, anchor)
    return _case(beside_script(walls, call, clock, plan), name, amount)


def _case(rounds: Rounds, name: str, amount: float) -> TimedCase:
    return TimedCase(rounds, name, amount, jax_device.identity(), jax_device.environment())


def _real(value: Any) -> Any:
    return jnp.zeros(value.shape, value.dtype) if isinstance(value, jax.ShapeDtypeStruct) else value


def _copied(value: Any) -> Any:
    return jnp.copy(value) if isinstance(value, jax.Array) else value


def _wait(value: Any) -> None:
    wait: Any = jax.block_until_ready  # untyped in jax
    wait([leaf for leaf in jax.tree.leaves(value) if isinstance(leaf, jax.Array)])


def _anchor(mode: str, kind: str) -> tuple[Callable[[], None], str, float]:
    on_cpu = jax_device.identity().kind == "cpu"
    if kind == MEMORY:
        size = _CPU_BYTES if on_cpu else _DEVICE_BYTES
        source = jnp.zeros(size // 4, jnp.float32)
        move = jax.jit(jnp.copy)
        return lambda: _wait(move(source)), f"copy of {size} bytes", 2.0 * size
    n = _CPU_SIZE if on_cpu else _DEVICE_SIZE
    dtype = mode if mode in _MODES else "float32"
    left = jnp.ones((n, n), dtype)
    multiply = jax.jit(jnp.matmul)
    return lambda: _wait(multiply(left, left)), f"{n}x{n}x{n} {dtype}", 2.0 * n**3
