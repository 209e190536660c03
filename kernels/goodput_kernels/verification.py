"""Results against float64 of the very same operands, on poisoned outputs. Times nothing.

**Limits by arithmetic.** The error is `||result - exact|| / ||exact||` in the Frobenius norm over
the sampled rows. Operands are drawn in the mode's own dtype, so nothing was rounded before the
kernel began. For a sum of `k` products, with `u` a unit roundoff (half the distance from 1 to the
next number), three things remain, and the limit is their sum:

* *operands*, `2 u_operand`: TF32 units keep 11 bits of each of the two float32 factors. The errors
  of the terms are independent, so they do not grow with `k`.
* *accumulator*. Where each addition is rounded, step `i` of a random sum errs by at most `u` times
  the partial sum, which has grown as `sqrt(i)`: in all `u sqrt(k / 2)` of the result, bounded by
  `u sqrt(k)`. Tensor cores add a few products exactly and cut the sum off instead (Fasi et al.
  2021, doi 10.7717/peerj-cs.330). That always errs the same way, by `u` on average, so by
  `u k / products a step`. Hopper's float8 sums keep about 14 bits (DeepSeek-V3, section 3.3.2),
  unless fast accumulation is off.
* *result*, `2 u_result`: it is rounded once, and once more where parts of a split sum are added in
  the result's dtype.

At `k = 8192` that is 5.5e-6 in float32, 1.0e-3 in TF32, 7.8e-3 in bfloat16, 1.0e-3 in float16 and
2.3e-2 in float8: far apart, so a kernel that fell back to a coarser mode is found out. Integers are
exact.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goodput_kernels.candidate import Verification

if TYPE_CHECKING:
    import torch

MOST_ROWS = 64
"""Rows of a product that are compared, each over all columns."""

MOST_VALUES = 1 << 12
"""Rows that are compared where one is a value or a few."""

_SEED = 21
_BLOCK_ELEMENTS = 1 << 25
"""Elements that are widened to float64 at a time."""

_POISONED_PIECES, _POISONED_BYTES = 64, 1 << 24
"""Pieces of freed memory that are poisoned, and their bytes where that is more than one piece."""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The roundings of one math mode: unit roundoffs, and how the sum is kept.

    Attributes:
        accumulator: of the running sum.
        result: of the result.
        operand: of what the unit makes of a factor; 0 where it takes it whole.
        cut_after: products that are added exactly before the sum is cut off; 0 where each addition
            is rounded.
    """

    accumulator: float
    result: float
    operand: float = 0.0
    cut_after: int = 0

    def limit(self, k: int) -> float:
        """The largest relative error of sums of `k` products."""
        steps = k / self.cut_after if self.cut_after else math.sqrt(k)
        return 2 * self.operand + self.accumulator * steps + 2 * self.result


_FLOAT64, _FLOAT32, _FLOAT16, _BFLOAT16 = 2.0**-53, 2.0**-24, 2.0**-11, 2.0**-8
_FLOAT8_SUM = 2.0**-14

ROUNDOFF = {
    "float64": _FLOAT64,
    "float32": _FLOAT32,
    "tf32": _FLOAT16,
    "bfloat16": _BFLOAT16,
    "float16": _FLOAT16,
    "complex128": _FLOAT64,
    "complex64": _FLOAT32,
    "float8_e4m3": 2.0**-4,
    "int8": 0.0,
}
"""Unit roundoff by math mode."""

# In float64 the reference is no better than the result, so both may err.
ARITHMETIC = {
    "float64": Arithmetic(2 * _FLOAT64, 2 * _FLOAT64),
    "complex128": Arithmetic(4 * _FLOAT64, 4 * _FLOAT64),
    "float32": Arithmetic(_FLOAT32, _FLOAT32),
    "complex64": Arithmetic(2 * _FLOAT32, 2 * _FLOAT32),
    "tf32": Arithmetic(_FLOAT32, _FLOAT32, operand=_FLOAT16, cut_after=8),
    "bfloat16": Arithmetic(_FLOAT32, _BFLOAT16, cut_after=16),
    "float16": Arithmetic(_FLOAT32, _FLOAT16, cut_after=16),
    "int8": Arithmetic(0.0, 0.0),
    # These three give bfloat16. The sums of the block-scaled ones are kept at least as well.
    "float8_e4m3": Arithmetic(_FLOAT8_SUM, _BFLOAT16, cut_after=32),
    "mxfp8": Arithmetic(_FLOAT8_SUM, _BFLOAT16, cut_after=32),
    "nvfp4": Arithmetic(_FLOAT8_SUM, _BFLOAT16, cut_after=64),
}
"""The roundings of a product by math mode."""


def product_limit(mode: str, k: int) -> float:
    """The largest relative error of sums of `k` products in `mode`."""
    return ARITHMETIC[mode].limit(k)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A prepared kernel and what it must compute.

    Attributes:
        call: runs it and returns its result, whose leading sizes multiply to `rows`.
        rows: what is sampled from.
        expected: the exact result at the given rows, in float64 (or complex128), from the operands
            as they are before the call. Rows are sorted.
        limit: the error allowed.
        target: the memory that the call writes its result to, to be poisoned; None where it
            allocates or works in place.
        allocates: shape and dtype of the result, where the call allocates it.
        collect: makes one tensor of what the call returns, where that is none.
        sampled: rows compared at most.
    """

    call: Callable[[], object]
    rows: int
    expected: Callable[[torch.Tensor], torch.Tensor]
    limit: float
    target: torch.Tensor | None = None
    allocates: tuple[tuple[int, ...], torch.dtype, str] | None = None
    collect: Callable[[Any], torch.Tensor] | None = None
    sampled: int = MOST_ROWS


def verify(kernel: Kernel, what: str = "rows") -> Verification:
    """Run `kernel` once on a poisoned output and compare a sample; every value must be written."""
    import torch

    with torch.no_grad():
        rows = sample(kernel.rows, kernel.sampled)
        expected = kernel.expected(rows)
        if kernel.target is not None:
            kernel.target.fill_(poison(kernel.target.dtype))
        if kernel.allocates is not None:
            poison_allocator(*kernel.allocates)
        returned = kernel.call()
        result = kernel.collect(returned) if kernel.collect else torch.as_tensor(returned)
        error = _error(result, rows.to(result.device), expected, kernel.rows)
    return Verification(error, kernel.limit, f"{len(rows)} of {kernel.rows} {what}")


def _error(result: torch.Tensor, rows: torch.Tensor, expected: torch.Tensor, count: int) -> float:
    if not whole(result):
        return math.inf
    return relative_error(result.reshape(count, -1)[rows], expected.reshape(len(rows), -1))


def sample(rows: int, most: int) -> torch.Tensor:
    """At most `most` of `rows` row numbers, sorted, with the first and the last one."""
    import torch

    if rows <= most:
        return torch.arange(rows)
    chosen = random.Random(_SEED).sample(range(1, rows - 1), most - 2)  # noqa: S311 - no secret
    return torch.tensor([0, *sorted(chosen), rows - 1])


def poison(dtype: torch.dtype) -> float:
    """A value that no kernel here computes: NaN, or an integer dtype's smallest."""
    import torch

    floating = dtype.is_floating_point or dtype.is_complex
    return math.nan if floating else torch.iinfo(dtype).min


def poison_allocator(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> None:
    """Free memory of this size full of poison: the next result is made in it, most likely.

    An allocator may hold several such pieces, one with an older right result in it. So many are
    taken at once, unless they are large.
    """
    import torch

    size = max(math.prod(shape) * dtype.itemsize, 1)
    count = max(1, min(_POISONED_PIECES, _POISONED_BYTES // size))
    pieces = [torch.full(shape, poison(dtype), dtype=dtype, device=device) for _ in range(count)]
    pieces.clear()


def whole(result: torch.Tensor) -> bool:
    """Whether every value is finite and none is the poison."""
    import torch

    if result.dtype.is_floating_point or result.dtype.is_complex:
        return bool(torch.isfinite(result).all())
    return not bool((result == torch.iinfo(result.dtype).min).any())


def widened(values: torch.Tensor) -> torch.Tensor:
    """`values` in float64, or complex128."""
    import torch

    return values.to(torch.complex128 if values.dtype.is_complex else torch.float64)


def relative_error(result: torch.Tensor, exact: torch.Tensor) -> float:
    """`||result - exact|| / ||exact||`; 0 where both are zero throughout."""
    difference = float((widened(result) - exact.to(result.device)).norm())
    norm = float(exact.norm())
    if norm == 0:
        return math.inf if difference else 0.0
    return difference / norm


def product_rows(
    rows: torch.Tensor,
    size: tuple[int, int, int, int],
    left: Callable[[int, torch.Tensor], torch.Tensor],
    right: Callable[[int, slice], torch.Tensor],
) -> torch.Tensor:
    """Rows of `[batch * m, n]`, the exact product of `[batch, m, k]` and `[batch, k, n]`.

    Args:
        rows: their numbers.
        size: `(batch, m, n, k)`.
        left: `[rows, k]` of one batch in float64.
        right: `[k, columns]` of one batch in float64.
    """
    import torch

    _, m, n, k = size
    step = max(_BLOCK_ELEMENTS // k, 1)
    found = []
    for batch in torch.unique(rows // m).tolist():
        factor = left(batch, rows[rows // m == batch] % m)
        blocks = [slice(start, min(start + step, n)) for start in range(0, n, step)]
        found.append(torch.cat([factor @ right(batch, block) for block in blocks], dim=1))
    return torch.cat(found)
