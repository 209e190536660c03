"""Results of JAX kernels against float64, by NumPy: jax may be there without torch. Times nothing.

A kernel's result starts as poison, so what it left unwritten is found wherever it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from goodput_kernels.candidate import Verification

if TYPE_CHECKING:
    import jax

_BLOCK_ELEMENTS = 1 << 25
"""Elements that are widened to float64 at a time."""


def spread_rows(count: int, most: int) -> Any:
    """Numbers of at most `most` of `count` rows, evenly spread from the first to the last."""
    import numpy as np

    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def float64(array: Any) -> Any:
    """`array` on the host, in float64."""
    import numpy as np

    return np.asarray(array).astype(np.float64)


def product(left: Any, right: Any, *, transposed: bool = False) -> Any:
    """The product `[..., rows, k] x [..., k, n]` in float64 on the host, a part of `n` at a time.

    Args:
        left: the rows that are wanted.
        right: the whole operand, on the device; `[..., n, k]` where `transposed`.
        transposed: see above.
    """
    import numpy as np

    axis = right.ndim - (2 if transposed else 1)
    columns = right.shape[axis]
    step = max(_BLOCK_ELEMENTS * columns // right.size, 1)
    rows, parts = float64(left), []
    for first in range(0, columns, step):
        part = slice(first, first + step)
        block = right[..., part, :] if transposed else right[..., part]
        wide = float64(block)
        parts.append(rows @ (wide.swapaxes(-1, -2) if transposed else wide))
    return np.concatenate(parts, axis=-1)


def compare(
    whole: jax.Array, found: Any, expected: Any, limit: float, compared: str
) -> Verification:
    """How far `found`, a part of `whole`, is from `expected`; infinitely where poison is left."""
    error = relative_error(float64(found), expected) if _written(whole) else math.inf
    return Verification(error=error, limit=limit, compared=compared)


def relative_error(found: Any, exact: Any) -> float:
    """`||found - exact|| / ||exact||`; 0 where both are zero throughout."""
    import numpy as np

    difference = float(np.linalg.norm(np.ravel(found - exact)))
    norm = float(np.linalg.norm(np.ravel(exact)))
    if norm == 0:
        return math.inf if difference else 0.0
    return difference / norm


def _written(whole: jax.Array) -> bool:
    """Whether every value is finite, or not the integer that poison is."""
    import jax.numpy as jnp

    if jnp.issubdtype(whole.dtype, jnp.inexact):
        return bool(jnp.isfinite(whole).all())
    return bool((whole != -(2 ** (8 * whole.dtype.itemsize - 1))).all())
