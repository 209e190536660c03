"""Results of JAX kernels against float64. Times nothing.

A kernel's result starts as poison, so what it left unwritten is found wherever it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from goodput_kernels.candidate import Verification
from goodput_kernels.numpy_verification import float64, relative_error

if TYPE_CHECKING:
    import jax


def compare(
    whole: jax.Array, found: Any, expected: Any, limit: float, compared: str
) -> Verification:
    """How far `found`, a part of `whole`, is from `expected`; infinitely where poison is left."""
    error = relative_error(float64(found), expected) if _written(whole) else math.inf
    return Verification(error=error, limit=limit, compared=compared)


def _written(whole: jax.Array) -> bool:
    """Whether every value is finite, or not the integer that poison is."""
    import jax.numpy as jnp

    if jnp.issubdtype(whole.dtype, jnp.inexact):
        return bool(jnp.isfinite(whole).all())
    return bool((whole != -(2 ** (8 * whole.dtype.itemsize - 1))).all())
