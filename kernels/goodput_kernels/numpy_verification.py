"""Results against float64 by NumPy alone: JAX may be there without torch. Times nothing."""

from __future__ import annotations

import math
from typing import Any

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


def relative_error(found: Any, exact: Any) -> float:
    """`||found - exact|| / ||exact||`; 0 where both are zero throughout."""
    import numpy as np

    difference = float(np.linalg.norm(np.ravel(found - exact)))
    norm = float(np.linalg.norm(np.ravel(exact)))
    if norm == 0:
        return math.inf if difference else 0.0
    return difference / norm
