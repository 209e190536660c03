"""Matrix products `[batch, m, k] x [batch, k, n]` through JAX: XLA's own, and one in Pallas.

The dot's precision is part of the program, so neither jax's settings nor a change of them matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from goodput_kernels import jax_operands
from goodput_kernels.candidate import Candidate, Verification
from goodput_kernels.jax_hlo import Instruction
from goodput_kernels.jax_loop import FEWEST_REPEATS, Loop, start
from goodput_kernels.jax_pallas import blocks, matmul
from goodput_kernels.jax_verification import compare, product, spread_rows
from goodput_kernels.verification import MOST_ROWS, product_limit

if TYPE_CHECKING:
    import jax

_Size = tuple[int, int, int, int]

# What a device has no units for, or the compiler no way to ask for, is not offered: on a TPU
# float64 is emulated and float16 converted; jax's TF32 is NVIDIA's.
_ABSENT = {
    "cpu": {"tf32", "float8_e4m3"},
    "cuda": set[str](),
    "hip": {"tf32"},
    "tpu": {"tf32", "float64", "float16"},
}
# A call is long beside its dispatch (about 20 us) and short beside a bout.
_CALL_FLOPS = {"cpu": 1e8}
_DEVICE_CALL_FLOPS = 1e12
_MOST_REPEATS = 1000


@dataclass(frozen=True, slots=True)
class Dot:
    """One product by XLA.

    Attributes:
        mode: math mode.
        precision: `HIGHEST`: float32 as such, float8 summed in float32 all along. `DEFAULT`: the
            device's fast way; TF32 on an NVIDIA GPU, float8 with its fast accumulation.
        transposed: the second operand is `[n, k]`, as a weight is kept.
    """

    mode: str
    precision: str = "HIGHEST"
    transposed: bool = False

    def __call__(self, operand: jax.Array, result: jax.Array, *rest: jax.Array) -> jax.Array:
        """The product of `operand` and the only one of `rest`."""
        from jax import lax

        (right,) = rest
        batch = tuple(range(operand.ndim - 2))
        inner = operand.ndim - 1 if self.transposed else operand.ndim - 2
        product: jax.Array = lax.dot_general(
            operand,
            right,
            (((operand.ndim - 1,), (inner,)), (batch, batch)),
            precision=lax.Precision[self.precision],
            preferred_element_type=result.dtype,
        )
        return product

    def is_done_by(self, instructions: tuple[Instruction, ...], elements: int) -> bool:
        """Whether a product of the size of the result is among them."""
        return _product_among(instructions, elements)


@dataclass(frozen=True, slots=True)
class PallasDot:
    """One product by the Pallas kernel.

    Attributes:
        mode: math mode.
        kind: of the device.
        block: `(m, n, k)` of a block.
        interpret: run in Pallas's interpreter; only tests do.
    """

    mode: str
    kind: str
    block: tuple[int, int, int]
    interpret: bool = False

    def __call__(self, operand: jax.Array, result: jax.Array, *rest: jax.Array) -> jax.Array:
        """The product of `operand` and the only one of `rest`."""
        precise = self.mode in {"float32", "float64"}
        return matmul(
            operand, rest[0], result.dtype, self.kind, self.block, precise, self.interpret
        )

    def is_done_by(self, instructions: tuple[Instruction, ...], elements: int) -> bool:
        """Whether a kernel with a result of this size is among them."""
        return _product_among(instructions, elements)


def _product_among(instructions: tuple[Instruction, ...], elements: int) -> bool:
    # A product may stand inside a fusion, tile by tile; then the fusion has the whole result.
    products = {found.elements for found in instructions if found.is_product}
    fused = {found.elements for found in instructions if found.opcode == "fusion"}
    return bool(products) and max(products | fused) >= elements


def candidates(
    mode: str, batch: int, m: int, n: int, k: int, kind: str = "cpu", repeats: int | None = None
) -> tuple[Candidate, ...]:
    """Every way that jax has to do this product on a device of `kind`; none for an unknown mode.

    `kind` is that of a device's identity: `cpu`, `cuda`, `hip` or `tpu`. A call makes `repeats`
    dependent products, at least 2; where not given, enough to be long beside its dispatch.
    """
    if mode not in jax_operands.MODES or mode in _ABSENT[kind]:
        return ()
    size = (batch, m, n, k)
    times = repeats or _repeats(kind, 2 * math.prod(size))
    return tuple(
        _candidate(library, name, step, size, kind, times)
        for library, name, step in _steps(mode, size, kind)
    )


def cpu_candidates(mode: str, batch: int, m: int, n: int, k: int) -> tuple[Candidate, ...]:
    """The product by XLA on the CPU; none where jax is not installed. jax is not imported yet."""
    return candidates(mode, batch, m, n, k) if jax_operands.installed() else ()


def _repeats(kind: str, flops: int) -> int:
    wanted = _CALL_FLOPS.get(kind, _DEVICE_CALL_FLOPS) / flops
    return min(max(FEWEST_REPEATS, math.ceil(wanted)), _MOST_REPEATS)


def _steps(mode: str, size: _Size, kind: str) -> list[tuple[str, str, Dot | PallasDot]]:
    plain = "HIGHEST" if mode in {"float32", "float64"} else "DEFAULT"
    found: list[tuple[str, str, Dot | PallasDot]] = [("XLA", "dot", Dot(mode, plain))]
    if kind == "cpu":
        return found
    found.append(("XLA", "dot-nt", Dot(mode, plain, transposed=True)))
    if mode == "float8_e4m3":
        found.append(("XLA", "dot-nt precise", Dot(mode, "HIGHEST", transposed=True)))
    block = blocks(mode, size, kind)
    if block is not None:
        name = f"matmul by {'x'.join(map(str, block))}"
        found.append(("Pallas", name, PallasDot(mode, kind, block)))
    return found


def _candidate(
    library: str, name: str, step: Dot | PallasDot, size: _Size, kind: str, repeats: int
) -> Candidate:
    batch, m, n, k = size
    mode = step.mode
    prefix = f"{batch}x" if batch > 1 else ""
    inputs = batch * (m * k + k * n) * jax_operands.item_bytes(mode)
    return Candidate(
        name=f"{name} {prefix}{m}x{n}x{k} {mode}, {repeats} a call",
        library=library,
        unit="flops",
        amount=2 * math.prod(size) * repeats,
        prepare=partial(_prepare, step, repeats, size, kind),
        working_set_bytes=inputs + batch * m * n * jax_operands.result_item_bytes(mode),
        scope=partial(jax_operands.widest, mode),
        verify=partial(_verify, step, size, kind),
    )


def _prepare(
    step: Dot | PallasDot, repeats: int, size: _Size, kind: str
) -> Callable[[], jax.Array]:
    left, right = _operands(step, size, kind)
    return _start(step, repeats, size, kind, left, right)


def _operands(step: Dot | PallasDot, size: _Size, kind: str) -> tuple[jax.Array, jax.Array]:
    batch, m, n, k = size
    lead = (batch,) if batch > 1 else ()
    turned = isinstance(step, Dot) and step.transposed
    right = (n, k) if turned else (k, n)
    return (
        jax_operands.random_array((*lead, m, k), step.mode, kind, 0),
        jax_operands.random_array((*lead, *right), step.mode, kind, 1),
    )


def _start(
    step: Dot | PallasDot, repeats: int, size: _Size, kind: str, left: jax.Array, right: jax.Array
) -> Callable[[], jax.Array]:
    batch, m, n, _ = size
    shape = (batch, m, n) if batch > 1 else (m, n)
    dtype = jax_operands.result_dtype_of(step.mode)
    return start(Loop(step, repeats), left, jax_operands.poison(shape, dtype, kind), right)


def _verify(step: Dot | PallasDot, size: _Size, kind: str) -> Verification:
    """The product against float64 in rows spread over it, after as many passes as a loop needs."""
    m, k = size[1], size[3]
    with jax_operands.widest(step.mode):
        left, right = _operands(step, size, kind)
        rows = spread_rows(m, MOST_ROWS)
        # The loop uses its operand up, so what is compared is made first.
        turned = isinstance(step, Dot) and step.transposed
        expected = product(left[..., rows, :], right, transposed=turned)
        made = _start(step, FEWEST_REPEATS, size, kind, left, right)()
        what = f"{len(rows)} of {m} rows"
        return compare(made, made[..., rows, :], expected, product_limit(step.mode, k), what)
