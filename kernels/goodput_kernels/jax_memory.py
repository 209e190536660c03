"""Memory traffic of one mix over one footprint through JAX, pass after pass in one call.

Footprint: bytes of distinct memory. Traffic: each array read once, each written once a pass. A pass
also costs the loop its step (some microseconds on a device), so a small footprint reads slow here.
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

MIXES = ("read", "write", "copy", "in-place", "two-in-one-out")
"""`copy`: one array read, one written, times 3 by XLA, which has no loop of plain copies;
`in-place`: one array read and written."""

_ITEM = 4
_ROWS = 8
_CALL_BYTES = {"cpu": 1 << 26}
_DEVICE_CALL_BYTES = 1 << 33
_MOST_REPEATS = 1000
_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over the arrays, `[rows, LANES]` of float32 each.

    Attributes:
        operator: name of one of the functions below.
        kind: of the device.
        interpret: run Pallas in its interpreter; only tests do.
    """

    operator: str
    kind: str = "cpu"
    interpret: bool = False

    def __call__(self, operand: jax.Array, result: jax.Array, *rest: jax.Array) -> jax.Array:
        """The new result."""
        if self.operator == "copy-kernel":
            return elementwise(_same, operand, self.kind, interpret=self.interpret)
        return _OPERATORS[self.operator](operand, result, *rest)

    def is_done_by(self, instructions: tuple[Instruction, ...], elements: int) -> bool:
        """Whether a whole array is made among them, or a sum over one."""
        whole = {found for found in instructions if found.elements >= elements}
        opcode = {"sum": "reduce", "fill": "broadcast"}.get(self.operator)
        return any(found.computes if opcode is None else found.opcode == opcode for found in whole)


def _same(operand: jax.Array, *_: jax.Array) -> jax.Array:
    return operand


def _scale(operand: jax.Array, *_: jax.Array) -> jax.Array:
    return operand * _FACTOR


def _sum(operand: jax.Array, *_: jax.Array) -> jax.Array:
    return operand.sum()


def _fill(operand: jax.Array, result: jax.Array, *_: jax.Array) -> jax.Array:
    import jax.numpy as jnp

    return jnp.broadcast_to(operand, result.shape)


def _subtract(operand: jax.Array, result: jax.Array, *_: jax.Array) -> jax.Array:
    return operand - result


def _triad(operand: jax.Array, _: jax.Array, other: jax.Array) -> jax.Array:
    return operand + _FACTOR * other


_OPERATORS: dict[str, Callable[..., jax.Array]] = {
    "sum": _sum,
    "fill": _fill,
    "scale": _scale,
    "subtract": _subtract,
    "triad": _triad,
}
_KERNELS = {
    "read": ("sum",),
    "write": ("fill",),
    "copy": ("scale",),
    "in-place": ("subtract",),
    "two-in-one-out": ("triad",),
}
_ARRAYS = {"copy": 2, "two-in-one-out": 3}
_TRAFFIC = {"read": 1, "write": 1, "copy": 2, "in-place": 2, "two-in-one-out": 3}


def candidates(mix: str, footprint_bytes: int, kind: str = "cpu") -> tuple[Candidate, ...]:
    """The ways to move bytes in `mix`, one of `MIXES`, on a device of `kind`.

    The footprint is rounded to whole rows of every array; names and amounts have the rounded one.
    """
    arrays = _ARRAYS.get(mix, 1)
    row_bytes = _ROWS * LANES * _ITEM
    rows = max(round(footprint_bytes / arrays / row_bytes), 1) * _ROWS
    names = _KERNELS[mix] + (("copy-kernel",) if mix == "copy" and kind != "cpu" else ())
    return tuple(_candidate(mix, Pass(name, kind), rows, kind) for name in names)


def cpu_candidates(mix: str, footprint_bytes: int) -> tuple[Candidate, ...]:
    """The ways of XLA on the CPU; none where jax is not installed. jax is not imported yet."""
    return candidates(mix, footprint_bytes) if jax_operands.installed() else ()


def _candidate(mix: str, step: Pass, rows: int, kind: str) -> Candidate:
    array = rows * LANES * _ITEM
    footprint, traffic = array * _ARRAYS.get(mix, 1), array * _TRAFFIC[mix]
    repeats = _repeats(kind, traffic)
    return Candidate(
        name=f"{step.operator} of {footprint} bytes, {repeats} a call",
        library="Pallas" if step.operator == "copy-kernel" else "XLA",
        unit="bytes",
        amount=traffic * repeats,
        prepare=partial(_prepare, step, rows, kind, repeats),
        working_set_bytes=footprint,
        verify=partial(_verify, step, rows, kind),
    )


def _repeats(kind: str, traffic: int) -> int:
    wanted = _CALL_BYTES.get(kind, _DEVICE_CALL_BYTES) // traffic
    return min(max(FEWEST_REPEATS, wanted), _MOST_REPEATS)


def _prepare(step: Pass, rows: int, kind: str, repeats: int) -> Callable[[], jax.Array]:
    return start(_loop(step, repeats), *_arrays(step, rows, kind))


def _loop(step: Pass, repeats: int) -> Loop:
    return Loop(step, repeats, chained=step.operator == "subtract")


def _arrays(step: Pass, rows: int, kind: str) -> tuple[jax.Array, ...]:
    """Operand, poisoned result, and the other operand of a triad."""
    import numpy as np

    shape, float32 = (rows, LANES), np.dtype("float32")
    if step.operator == "subtract":  # its result is what it reads
        return jax_operands.positive_array((1, 1), kind), jax_operands.positive_array(shape, kind)
    small = step.operator == "fill"
    operand = jax_operands.positive_array((1, 1) if small else shape, kind)
    result = jax_operands.poison(() if step.operator == "sum" else shape, float32, kind)
    other = (jax_operands.positive_array(shape, kind, 1),) if step.operator == "triad" else ()
    return (operand, result, *other)


def _verify(step: Pass, rows: int, kind: str) -> Verification:
    """All of the result against float64."""
    operand, result, *rest = _arrays(step, rows, kind)
    exact = _exact(step.operator, float64(operand), float64(result), *map(float64, rest))
    made = start(_loop(step, FEWEST_REPEATS), operand, result, *rest)()
    return compare(made, made, exact, _limit(step.operator, rows), f"all of {made.size} values")


def _exact(operator: str, operand: Any, result: Any, *rest: Any) -> Any:
    import numpy as np

    if operator == "subtract":  # an even number of passes undoes itself
        return result
    if operator == "fill":
        return np.broadcast_to(operand, result.shape)
    return (_same if operator == "copy-kernel" else _OPERATORS[operator])(operand, result, *rest)


def _limit(operator: str, rows: int) -> float:
    """Copies are exact; each operation rounds by `u`, a sum of positive values by `u sqrt(n)`."""
    if operator in {"copy-kernel", "fill"}:
        return 0.0
    roundoff = ROUNDOFF["float32"]
    return roundoff * (rows * LANES) ** 0.5 if operator == "sum" else 3 * roundoff
