"""Matrix products by NumPy and the BLAS it was built with, where torch is not there. Times nothing.

With torch, `matmul` has the same product beside those of the other libraries.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from goodput_kernels.candidate import Candidate, Verification
from goodput_kernels.numpy_verification import float64, product, relative_error, spread_rows
from goodput_kernels.operands import RANDOM, SEED, ZEROS, item_bytes
from goodput_kernels.verification import MOST_ROWS, product_limit

MODES = ("float32", "float64")
"""The math modes that NumPy has products for, beside complex ones."""


def candidates(
    mode: str, batch: int, m: int, n: int, k: int, data: str = RANDOM
) -> tuple[Candidate, ...]:
    """The product `[batch, m, k] x [batch, k, n]` on the CPU; none for other modes."""
    if mode not in MODES:
        return ()
    size = (batch, m, n, k)
    prefix = f"{batch}x" if batch > 1 else ""
    suffix = " zeros" if data == ZEROS else ""
    return (
        Candidate(
            name=f"matmul {prefix}{m}x{n}x{k} {mode}{suffix}",
            library="NumPy",
            unit="flops",
            amount=2 * math.prod(size),
            prepare=partial(_prepare, mode, size, data),
            working_set_bytes=batch * (m * k + k * n + m * n) * item_bytes(mode),
            # The relative error of nothing means nothing.
            verify=None if data == ZEROS else partial(_verify, mode, size),
        ),
    )


def _operands(mode: str, size: tuple[int, int, int, int], data: str) -> tuple[Any, Any, Any]:
    """`[batch, m, k]`, `[batch, k, n]` and the result, which is full of NaN."""
    import numpy as np

    batch, m, n, k = size
    generator = np.random.default_rng(SEED)
    dtype = np.dtype(mode)

    def drawn(*shape: int) -> Any:
        return np.zeros(shape, dtype) if data == ZEROS else _normal(generator, shape, dtype)

    return drawn(batch, m, k), drawn(batch, k, n), np.full((batch, m, n), math.nan, dtype)


def _normal(generator: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    return generator.standard_normal(shape, dtype)


def _prepare(mode: str, size: tuple[int, int, int, int], data: str) -> Callable[[], object]:
    import numpy as np

    left, right, result = _operands(mode, size, data)
    return partial(np.matmul, left, right, out=result)


def _verify(mode: str, size: tuple[int, int, int, int]) -> Verification:
    """The product against float64 in rows spread over it; every value must be written."""
    import numpy as np

    left, right, result = _operands(mode, size, RANDOM)
    np.matmul(left, right, out=result)
    rows = spread_rows(size[1], MOST_ROWS)
    exact = product(left[:, rows, :], right)
    written = bool(np.isfinite(result).all())
    return Verification(
        error=relative_error(float64(result[:, rows, :]), exact) if written else math.inf,
        limit=product_limit(mode, size[3]),
        compared=f"{len(rows)} of {size[1]} rows",
    )
