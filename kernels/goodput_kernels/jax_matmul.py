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
from goodput_kernels.jax_verification import compare
from goodput_kernels.numpy_verification import product, spread_rows
from goodput_kernels.operands import RANDOM, ZEROS, item_bytes, result_bytes
from goodput_kernels.verification import MOST_ROWS, product_limit

if TYPE_CHECKING:
    import jax

# What a device has no units for, or the compiler no way to ask for, is not offered: on a TPU
# float64 is emulated and float16 converted; jax's TF32 is NVIDIA's; CDNA 3 has a float8 of its own.
_ABSENT = {
    "cpu": {"tf32", "float8_e4m3"},
    "cuda": set[str](),
    "hip": {"tf32", "float8_e4m3"},
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


@dataclass(frozen=True, slots=True)
class _Problem:
    """A product to make: how, sizes, where, and what the operands hold."""

    step: Dot | PallasDot
    batch: int
    m: int
    n: int
    k: int
    kind: str
    data: str

    @property
    def name(self) -> str:
        prefix = f"{self.batch}x" if self.batch > 1 else ""
        suffix = " zeros" if self.data == ZEROS else ""
        return f"{prefix}{self.m}x{self.n}x{self.k} {self.step.mode}{suffix}"

    @property
    def bytes(self) -> int:
        mode = self.step.mode
        operands = (self.m * self.k + self.k * self.n) * item_bytes(mode)
        return self.batch * (operands + self.m * self.n * result_bytes(mode))

    @property
    def transposed(self) -> bool:
        return isinstance(self.step, Dot) and self.step.transposed

    def operands(self) -> tuple[jax.Array, jax.Array]:
        """`[batch, m, k]` and `[batch, k, n]` or `[batch, n, k]`, a batch of 1 left out."""
        right = (self.n, self.k) if self.transposed else (self.k, self.n)
        return self._drawn((self.m, self.k), 0), self._drawn(right, 1)

    def _drawn(self, shape: tuple[int, int], number: int) -> jax.Array:
        return jax_operands.random_array(
            self._batched(shape), self.step.mode, self.kind, number, self.data
        )

    def _batched(self, shape: tuple[int, int]) -> tuple[int, ...]:
        return (self.batch, *shape) if self.batch > 1 else shape

    def start(self, repeats: int, left: jax.Array, right: jax.Array) -> Callable[[], jax.Array]:
        """The call that makes the product `repeats` times; uses `left` up."""
        dtype = jax_operands.result_dtype_of(self.step.mode)
        result = jax_operands.poison(self._batched((self.m, self.n)), dtype, self.kind)
        return start(Loop(self.step, repeats), left, result, right)


def candidates(
    mode: str,
    batch: int,
    m: int,
    n: int,
    k: int,
    kind: str = "cpu",
    repeats: int | None = None,
    data: str = RANDOM,
) -> tuple[Candidate, ...]:
    """Every way that jax has to do this product on a device of `kind`; none for what it lacks.

    `kind` is that of a device's identity: `cpu`, `cuda`, `hip` or `tpu`. A call makes `repeats`
    dependent products, at least 2; where not given, enough to be long beside its dispatch.
    `data` is what the operands hold: random values or zeros.
    """
    if mode not in jax_operands.MODES or mode in _ABSENT.get(kind, {mode}):
        return ()
    times = repeats or _repeats(kind, 2 * batch * m * n * k)
    return tuple(
        _candidate(library, name, _Problem(step, batch, m, n, k, kind, data), times)
        for library, name, step in _steps(mode, (batch, m, n, k), kind)
    )


def cpu_candidates(
    mode: str, batch: int, m: int, n: int, k: int, data: str = RANDOM
) -> tuple[Candidate, ...]:
    """The product by XLA on the CPU; none where jax is not installed. jax is not imported yet."""
    return candidates(mode, batch, m, n, k, data=data) if jax_operands.installed() else ()


def _repeats(kind: str, flops: int) -> int:
    wanted = _CALL_FLOPS.get(kind, _DEVICE_CALL_FLOPS) / flops
    return min(max(FEWEST_REPEATS, math.ceil(wanted)), _MOST_REPEATS)


def _steps(
    mode: str, size: tuple[int, int, int, int], kind: str
) -> list[tuple[str, str, Dot | PallasDot]]:
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


def _candidate(library: str, name: str, problem: _Problem, repeats: int) -> Candidate:
    return Candidate(
        name=f"{name} {problem.name}, {repeats} a call",
        library=library,
        unit="flops",
        amount=2 * problem.batch * problem.m * problem.n * problem.k * repeats,
        prepare=partial(_prepare, problem, repeats),
        working_set_bytes=problem.bytes,
        scope=partial(jax_operands.widest, problem.step.mode),
        verify=partial(_verify, problem),
    )


def _prepare(problem: _Problem, repeats: int) -> Callable[[], jax.Array]:
    return problem.start(repeats, *problem.operands())


def _verify(problem: _Problem) -> Verification:
    """The product against float64 in rows spread over it, after as many passes as a loop needs."""
    mode = problem.step.mode
    with jax_operands.widest(mode):
        left, right = problem.operands()
        rows = spread_rows(problem.m, MOST_ROWS)
        # The loop uses its operand up, so what is compared is made first.
        expected = product(left[..., rows, :], right, transposed=problem.transposed)
        made = problem.start(FEWEST_REPEATS, left, right)()
        limit = product_limit(mode, problem.k)
        what = f"{len(rows)} of {problem.m} rows"
        return compare(made, made[..., rows, :], expected, limit, what)
