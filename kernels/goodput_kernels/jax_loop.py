"""The loop that JAX kernels run in: each pass needs the one before, so none is moved or dropped.

One call runs `repeats` passes of a step on the device without going back to the host. After each,
one element of the result, times a zero that the compiler does not know, is added to one element of
the operand: the next pass depends on this one, at the cost of touching one element. Operand and
result are donated, so a call goes on in the same memory where the last one ended. Whether the work
is in the loop is read in the compiled program before it is run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from goodput_kernels.jax_hlo import Instruction, in_loops
from goodput_kernels.jax_operands import description

if TYPE_CHECKING:
    import jax

FEWEST_REPEATS = 2
"""XLA takes a loop of one pass for no loop."""

_COMPILED = 128


class Step(Protocol):
    """What one pass does; equal steps are the same program."""

    def __hash__(self) -> int:
        """Programs are kept by step."""

    def __call__(self, operand: jax.Array, result: jax.Array, *rest: jax.Array) -> jax.Array:
        """The new result, from the operand, the last result and what stays the same."""

    def is_done_by(self, instructions: tuple[Instruction, ...], elements: int) -> bool:
        """Whether `instructions`, those in loops, hold the work on a result of `elements`."""


@dataclass(frozen=True, slots=True)
class Loop:
    """`repeats` dependent passes of `step`.

    Attributes:
        step: what a pass does.
        repeats: passes in a call, at least `FEWEST_REPEATS`.
        chained: a pass reads all of the last result anyway, so nothing need be added.
    """

    step: Step
    repeats: int
    chained: bool = False

    def __call__(
        self, operand: jax.Array, result: jax.Array, zero: jax.Array, *rest: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Operand and result after all passes; to be traced by jax."""
        from jax import lax

        def one_pass(_: int, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            made = self.step(*carry, *rest)
            return carry[0] if self.chained else _depend(carry[0], made, zero), made

        done: tuple[jax.Array, jax.Array]
        done = lax.fori_loop(0, self.repeats, one_pass, (operand, result))
        return done


def start(
    loop: Loop, operand: jax.Array, result: jax.Array, *rest: jax.Array
) -> Callable[[], jax.Array]:
    """The call: runs the loop from where its last call ended; returns the result.

    On a CPU it waits for the result. Elsewhere the device may still be at work when it returns.
    `operand` and `result` are used up, and so is what a call returned once the next one runs.

    Raises:
        RuntimeError: this device cannot do it, or the work did not stay in the loop.
    """
    import jax
    import jax.numpy as jnp

    (device,) = result.devices()
    with jax.default_device(device):
        zero = jnp.zeros((), result.dtype)
    arguments = (operand, result, zero, *rest)
    program = _compiled(loop, tuple(map(_description, arguments)))
    state = [operand, result]
    waits = device.platform == "cpu"

    def call() -> jax.Array:
        state[:] = program(*state, zero, *rest)
        return state[1].block_until_ready() if waits else state[1]

    return call


def lower(loop: Loop, *descriptions: Any, platform: str = "") -> Any:
    """The loop lowered for the devices of `descriptions`, or for a `platform` that is not here.

    Args:
        loop: what to lower.
        descriptions: of operand, result, zero and what stays the same, in this order.
        platform: e.g. `tpu` or `cuda`.
    """
    import jax

    traced = jax.jit(loop.__call__, donate_argnums=(0, 1)).trace(*descriptions)
    return traced.lower(lowering_platforms=(platform,)) if platform else traced.lower()


@lru_cache(_COMPILED)
def _compiled(loop: Loop, descriptions: tuple[Any, ...]) -> Any:
    if loop.repeats < FEWEST_REPEATS:
        raise ValueError(f"a loop needs {FEWEST_REPEATS} passes, not {loop.repeats}")
    try:
        program = lower(loop, *descriptions).compile()
    except _cannot_compile() as error:
        # As everywhere, what cannot run here is a RuntimeError.
        raise RuntimeError(str(error)) from error
    _check(loop, program.as_text(), descriptions[1].size)
    return program


def _check(loop: Loop, hlo: str, elements: int) -> None:
    if not loop.step.is_done_by(in_loops(hlo), elements):
        raise RuntimeError("XLA took the work out of the loop, so its rate would mean nothing")


def _description(array: jax.Array) -> Any:
    return description(array.shape, array.dtype, array.sharding)


def _depend(operand: jax.Array, made: jax.Array, zero: jax.Array) -> jax.Array:
    """`operand`, its first element plus `zero` times the first of `made`, changed in place."""
    from jax import lax

    def first(array: jax.Array) -> jax.Array:
        return lax.slice(array, (0,) * array.ndim, (1,) * array.ndim)

    added = (first(made).reshape(()) * zero).astype(operand.dtype)
    return lax.dynamic_update_slice(operand, first(operand) + added, (0,) * operand.ndim)


def _cannot_compile() -> tuple[type[Exception], ...]:
    """What jax raises for that; Pallas's own, where loaded, are private to it (tried on 0.10.2)."""
    places = {
        "jax._src.pallas.mosaic.lowering": "LoweringException",
        "jax._src.pallas.triton.lowering": "LoweringError",
    }
    found: list[type[Exception]] = [TypeError, ValueError]
    for place, name in places.items():
        error = getattr(sys.modules.get(place), name, None)
        if error is not None:
            found.append(error)
    return tuple(found)
