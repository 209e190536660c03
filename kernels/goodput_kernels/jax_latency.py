"""The shortest JAX programs: one value, so that nothing but dispatch or launch takes time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from goodput_kernels import jax_operands
from goodput_kernels.candidate import Candidate
from goodput_kernels.jax_hlo import Instruction
from goodput_kernels.jax_loop import Loop, start

if TYPE_CHECKING:
    import jax

_PASSES = 1000


@dataclass(frozen=True, slots=True)
class Nothing:
    """A pass of one subtraction."""

    def __call__(self, operand: jax.Array, result: jax.Array, *rest: jax.Array) -> jax.Array:
        """The last result, changed by the operand."""
        del rest
        return operand - result

    def is_done_by(self, instructions: tuple[Instruction, ...], elements: int) -> bool:
        """Whether anything is left in the loop."""
        return elements > 0 and any(found.computes for found in instructions)


def candidates(kind: str = "cpu") -> tuple[Candidate, ...]:
    """A call that negates one value; on a device also one pass of such a loop there."""
    found = [
        Candidate(
            name="jit call on one value",
            library="JAX",
            unit="calls",
            amount=1,
            prepare=partial(_call, kind),
            working_set_bytes=4,
        )
    ]
    if kind != "cpu":
        found.append(
            Candidate(
                name=f"loop pass on one value, {_PASSES} a call",
                library="XLA",
                unit="calls",
                amount=_PASSES,
                prepare=partial(_loop, kind),
                working_set_bytes=8,
            )
        )
    return tuple(found)


def _call(kind: str) -> Callable[[], object]:
    import jax

    negate: Any = jax.jit(_negative)  # a function that returns its argument may not be run at all
    value = jax_operands.positive_array((1,), kind)
    # Waiting costs a look at a flag on a CPU; elsewhere the stopwatch waits for the whole train.
    return (lambda: negate(value).block_until_ready()) if kind == "cpu" else partial(negate, value)


def _negative(value: jax.Array) -> jax.Array:
    return -value


def _loop(kind: str) -> Callable[[], object]:
    operand, result = (jax_operands.positive_array((1,), kind) for _ in range(2))
    return start(Loop(Nothing(), _PASSES, chained=True), operand, result)
