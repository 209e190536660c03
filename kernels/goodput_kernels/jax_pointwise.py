"""Chains of one operation on each value, through JAX: vector and special-function peaks.

XLA makes one kernel of a chain, so that values are loaded once for all of it; the Pallas kernel
loops over values that stay in registers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from goodput_kernels import jax_operands
from goodput_kernels.candidate import Candidate, Verification
from goodput_kernels.jax_hlo import Instruction
from goodput_kernels.jax_loop import FEWEST_REPEATS, Loop, start
from goodput_kernels.jax_pallas import LANES, elementwise
from goodput_kernels.jax_verification import compare
from goodput_kernels.numpy_verification import float64
from goodput_kernels.verification import ROUNDOFF

if TYPE_CHECKING:
    import jax

SPECIAL = ("exp", "tanh")

_ROWS = 8
_ITEM = 4
# Chains side by side hide the latency of one operation: a multiply-add takes 4 cycles, and a CPU
# core starts 2 in each. Their sum is the result, so none can be dropped.
_ABREAST = {"exp": 4, "tanh": 4, "multiply-add": 8}
# Enough work a value for a device not to wait for memory; XLA:CPU is slower on longer ones.
_LENGTH = {"exp": 4, "tanh": 4, "multiply-add": 16}
_KERNEL_LENGTH = 256
_REPEATS = {"cpu": 4}
_DEVICE_REPEATS = 16


@dataclass(frozen=True, slots=True)
class Chain:
    """`length` times the operation on each of a few values made from each value.

    Attributes:
        operation: `exp`, `tanh` or `multiply-add`.
        length: of each chain.
        kind: of the device.
        pallas: in a Pallas kernel.
        interpret: run Pallas in its interpreter; only tests do.
    """

    operation: str
    length: int
    kind: str = "cpu"
    pallas: bool = False
    interpret: bool = False

    def __call__(self, operand: jax.Array, result: jax.Array, *rest: jax.Array) -> jax.Array:
        """The mean of the chains that start at `operand`."""
        del result, rest
        if not self.pallas:
            mean: jax.Array = _mean(self.operation, operand, partial(_unrolled, self.length))
            return mean
        looped = partial(_mean, self.operation, repeat=partial(_looped, self.length))
        return elementwise(looped, operand, self.kind, _ROWS, interpret=self.interpret)

    def is_done_by(self, instructions: tuple[Instruction, ...], elements: int) -> bool:
        """Whether a whole array is computed among them."""
        return any(found.computes and found.elements >= elements for found in instructions)


_Values = tuple[Any, ...]
_Repeat = Callable[[Callable[[_Values], _Values], _Values], _Values]


def _mean(operation: str, start_at: Any, repeat: _Repeat) -> Any:
    abreast = _ABREAST[operation]
    one_step = {"exp": _exp, "tanh": _tanh}.get(operation) or partial(_multiply_add, start_at)
    values = repeat(one_step, tuple(start_at + n / abreast for n in range(abreast)))
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total * (1 / abreast)


def _unrolled(length: int, step: Callable[[_Values], _Values], values: _Values) -> _Values:
    for _ in range(length):
        values = step(values)
    return values


def _looped(length: int, step: Callable[[_Values], _Values], values: _Values) -> _Values:
    from jax import lax

    done: _Values = lax.fori_loop(0, length, lambda _, carried: step(carried), values)
    return done


def _exp(values: _Values) -> _Values:
    import jax.numpy as jnp

    return tuple(jnp.exp(-value) for value in values)


def _tanh(values: _Values) -> _Values:
    import jax.numpy as jnp

    return tuple(jnp.tanh(value) for value in values)


def _multiply_add(added: Any, values: _Values) -> _Values:
    return tuple(value * 0.5 + added for value in values)


def special_candidates(elements: int, kind: str = "cpu") -> tuple[Candidate, ...]:
    """Chains of each of `SPECIAL` over about `elements` float32 values."""
    return tuple(found for name in SPECIAL for found in _candidates(name, 1, elements, kind))


def multiply_add_candidates(elements: int, kind: str = "cpu") -> tuple[Candidate, ...]:
    """Chains of multiply-adds (2 FLOP each) over about `elements` float32 values."""
    return _candidates("multiply-add", 2, elements, kind)


def _candidates(operation: str, each: int, elements: int, kind: str) -> tuple[Candidate, ...]:
    rows = max(round(elements / LANES / _ROWS), 1) * _ROWS
    steps = [Chain(operation, _LENGTH[operation], kind)]
    if kind != "cpu":
        steps.append(Chain(operation, _KERNEL_LENGTH, kind, pallas=True))
    return tuple(_candidate(step, each, rows) for step in steps)


def _candidate(step: Chain, each: int, rows: int) -> Candidate:
    repeats = _REPEATS.get(step.kind, _DEVICE_REPEATS)
    operations = rows * LANES * step.length * _ABREAST[step.operation]
    return Candidate(
        name=f"{step.operation} chain of {step.length} on {rows * LANES} values, {repeats} a call",
        library="Pallas" if step.pallas else "XLA",
        unit="flops" if each == 2 else "special",
        amount=each * operations * repeats,
        prepare=partial(_prepare, step, rows, repeats),
        working_set_bytes=2 * rows * LANES * _ITEM,
        verify=partial(_verify, step, rows),
    )


def _prepare(step: Chain, rows: int, repeats: int) -> Callable[[], jax.Array]:
    return start(Loop(step, repeats), *_arrays(step, rows))


def _arrays(step: Chain, rows: int) -> tuple[jax.Array, jax.Array]:
    operand = jax_operands.positive_array((rows, LANES), step.kind)
    return operand, jax_operands.poison(operand.shape, operand.dtype, step.kind)


def _verify(step: Chain, rows: int) -> Verification:
    """All of the result against the same chain in float64."""
    operand, result = _arrays(step, rows)
    exact = _exact(step.operation, step.length, float64(operand))
    made = start(Loop(step, FEWEST_REPEATS), operand, result)()
    # Each step keeps at most about half of the error before it and adds its own, of a few units
    # where a device approximates; tanh keeps nearly all, so its errors add up.
    kept = step.length if step.operation == "tanh" else 2
    limit = 32 * kept * ROUNDOFF["float32"]
    return compare(made, made, exact, limit, f"all of {made.size} values")


def _exact(operation: str, length: int, start_at: Any) -> Any:
    import numpy as np

    steps: dict[str, Callable[[Any], Any]] = {
        "exp": lambda value: np.exp(-value),
        "tanh": np.tanh,
        "multiply-add": lambda value: value * 0.5 + start_at,
    }
    abreast = _ABREAST[operation]
    values = [start_at + n / abreast for n in range(abreast)]
    for _ in range(length):
        values = [steps[operation](value) for value in values]
    return sum(values) / abreast
