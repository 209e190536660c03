"""Memory traffic of one mix over one footprint by NumPy, where torch is not there. Times nothing.

With torch, `memory` has the same kernels beside those of torch. Footprint and traffic as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from goodput_kernels.candidate import Candidate, Verification
from goodput_kernels.numpy_verification import float64, relative_error
from goodput_kernels.operands import SEED
from goodput_kernels.verification import ROUNDOFF

_ITEM = 4
_FILLER = 1.5

_Arrays = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Way:
    """One kernel that moves bytes.

    Attributes:
        name: its operator.
        arrays: that it touches, the written one last.
        call: from the arrays, what runs it.
        exact: from the arrays in float64, as they are before the call, the result.
        writes: whether the last array is overwritten without being read.
    """

    name: str
    arrays: int
    call: Callable[[_Arrays], Callable[[], Any]]
    exact: Callable[[_Arrays], Any]
    writes: bool = True


def _dot(arrays: _Arrays) -> Callable[[], Any]:
    import numpy as np

    return partial(np.dot, *arrays)


def _fill(arrays: _Arrays) -> Callable[[], Any]:
    import numpy as np

    return partial(np.copyto, arrays[0], _FILLER)


def _copy(arrays: _Arrays) -> Callable[[], Any]:
    import numpy as np

    return partial(np.copyto, arrays[1], arrays[0])


def _negate(arrays: _Arrays) -> Callable[[], Any]:
    import numpy as np

    return partial(np.negative, arrays[0], out=arrays[0])


def _add(arrays: _Arrays) -> Callable[[], Any]:
    import numpy as np

    return partial(np.add, arrays[0], arrays[1], out=arrays[2])


_WAYS = {
    "read": _Way("dot", 2, _dot, lambda arrays: arrays[0] @ arrays[1], writes=False),
    "write": _Way("copyto", 1, _fill, lambda arrays: arrays[0] * 0 + _FILLER),
    "copy": _Way("copyto", 2, _copy, lambda arrays: arrays[0]),
    "in-place": _Way("negative", 1, _negate, lambda arrays: -arrays[0], writes=False),
    "two-in-one-out": _Way("add", 3, _add, lambda arrays: arrays[0] + arrays[1]),
}


def candidates(mix: str, footprint_bytes: int) -> tuple[Candidate, ...]:
    """The way of NumPy to move bytes in `mix`, one of `memory.MIXES`, on the CPU."""
    way = _WAYS[mix]
    elements = max(footprint_bytes // _ITEM // way.arrays, 1) * way.arrays
    passes = 2 if mix == "in-place" else 1  # in place, each byte is read and written
    return (
        Candidate(
            name=f"{way.name} of {footprint_bytes} bytes",
            library="NumPy",
            unit="bytes",
            amount=elements * _ITEM * passes,
            prepare=lambda: way.call(_made(way, elements)),
            working_set_bytes=elements * _ITEM,
            verify=partial(_verify, way, elements),
        ),
    )


def _made(way: _Way, elements: int) -> _Arrays:
    """Arrays of values from 0.5 to 1.5, no denormals, with `elements` values in all."""
    import numpy as np

    generator = np.random.default_rng(SEED)
    drawn = generator.uniform(0.5, 1.5, elements).astype(np.float32)
    return tuple(part.copy() for part in np.split(drawn, way.arrays))


def _verify(way: _Way, elements: int) -> Verification:
    """All of the result against float64; what is to be written starts as NaN."""
    import numpy as np

    arrays = _made(way, elements)
    exact = way.exact(tuple(map(float64, arrays)))
    if way.writes:
        arrays[-1].fill(math.nan)
    result = way.call(arrays)()
    found = np.asarray(arrays[-1] if result is None else result)
    # One rounding a value, and one an addition in a sum of values of one sign; see `verification`.
    limit = ROUNDOFF["float32"] * (math.sqrt(elements) if found.ndim == 0 else 1)
    error = relative_error(float64(found), exact) if np.isfinite(found).all() else math.inf
    return Verification(error, limit, f"all of {found.size} values")
