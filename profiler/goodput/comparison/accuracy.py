"""How wrong a result is, and whether that may be: pure arithmetic on float64 arrays.

The truth is the reference in float64. What is allowed follows from the error of the reference in
its own precision and from that of a result of one precision less, which must never pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Tolerance = tuple[float, float]

FACTOR = 16.0
"""A variant may be this much less accurate than the reference: other orders of summation and
approximations of exp and tanh are (measured up to 10 times), a lower precision never is."""

# Significand bits, the hidden one included, of each precision and of the next lower one.
_BITS: Mapping[str, int] = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
_LOWER_BITS: Mapping[str, int] = {"float64": 24, "float32": 8, "float16": 4, "bfloat16": 4}


@dataclass(frozen=True, slots=True)
class Result:
    """What a call returned, out of its framework.

    Attributes:
        values: each leaf in float64.
        dtypes: their neutral names.
    """

    values: tuple[Array, ...]
    dtypes: tuple[str, ...]

    @property
    def form(self) -> str:
        """Shapes and dtypes in words."""
        parts = [
            f"{dtype}{list(array.shape)}"
            for array, dtype in zip(self.values, self.dtypes, strict=True)
        ]
        return ", ".join(parts) or "nothing"


@dataclass(frozen=True, slots=True)
class Error:
    """By how much a result differs from the truth, relative to the size of the truth.

    Attributes:
        rms: the root of the mean square.
        worst: the largest.
    """

    rms: float
    worst: float

    def exceeds(self, other: Error) -> bool:
        """Whether it is above `other` in either way; an unknown error is."""
        return not (self.rms <= other.rms and self.worst <= other.worst)


NONE = Error(0.0, 0.0)
_INFINITE = Error(math.inf, math.inf)


def error_of(values: Sequence[Array], truth: Sequence[Array]) -> Error:
    """The largest error of any leaf; infinite where shapes or infinities and NaNs differ."""
    errors = [NONE]
    for value, true in zip(values, truth, strict=True):
        if value.shape != true.shape:
            return _INFINITE
        finite = np.isfinite(true)
        if not np.array_equal(value[~finite], true[~finite], equal_nan=True):
            return _INFINITE
        kept, wanted = value[finite], true[finite]
        if not wanted.size:
            continue
        if not np.isfinite(kept).all():
            return _INFINITE
        off = np.abs(kept - wanted)
        size = float(np.sqrt(np.mean(np.square(wanted)))) or 1.0
        errors.append(
            Error(float(np.sqrt(np.mean(np.square(off)))) / size, float(off.max()) / size)
        )
    return Error(max(e.rms for e in errors), max(e.worst for e in errors))


def rounded(values: Array, bits: int) -> Array:
    """`values` with significands of `bits` bits."""
    fraction, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(fraction * 2.0**bits) / 2.0**bits, exponent))


def allowed(native: Result, truth: Result) -> Error:
    """The error that a variant may have: by precision, below what a lower precision would have.

    `FACTOR` times the error of the reference itself (at least half a unit of its last place), and
    at most the geometric mean of that and the error of the reference rounded to a lower precision.
    Integers must be equal.
    """
    own = error_of(native.values, truth.values)
    unit = max((2.0 ** -_BITS[d] for d in native.dtypes if d in _BITS), default=0.0)
    floor = Error(max(own.rms, unit / 2), max(own.worst, unit * 2))
    lower = error_of(lowered(native), truth.values)
    return Error(_bounded(floor.rms, lower.rms), _bounded(floor.worst, lower.worst))


def _bounded(own: float, lower: float) -> float:
    return max(own, min(FACTOR * own, math.sqrt(own * lower)))


def lowered(native: Result) -> tuple[Array, ...]:
    """The result in the precision below its own."""
    return tuple(
        rounded(array, _LOWER_BITS[dtype]) if dtype in _LOWER_BITS else array
        for array, dtype in zip(native.values, native.dtypes, strict=True)
    )


def within(values: Sequence[Array], truth: Sequence[Array], tolerance: Tolerance) -> bool:
    """Whether all of `values` are within a user's (relative, absolute) tolerance."""
    relative, absolute = tolerance
    return all(
        value.shape == true.shape
        and np.allclose(value, true, rtol=relative, atol=absolute, equal_nan=True)
        for value, true in zip(values, truth, strict=True)
    )


def controls(native: Result, previous: Result) -> dict[str, tuple[Array, ...]]:
    """Results that are wrong on purpose, by what they are.

    `previous` is the reference's result on other values.
    """
    return {
        "all zeros": tuple(np.zeros_like(array) for array in native.values),
        "the mean everywhere": tuple(_mean_of(array) for array in native.values),
        "the result of an earlier call": previous.values,
        "a lower precision": lowered(native),
    }


def _mean_of(array: Array) -> Array:
    finite = array[np.isfinite(array)]
    return np.full_like(array, finite.mean() if finite.size else 0.0)


@dataclass(frozen=True, slots=True)
class Judge:
    """Says of results on one set of values whether they are right.

    Attributes:
        native: the reference's result in its own precision.
        truth: the reference's result in float64.
        tolerance: the user's, where it is kept; else None.
    """

    native: Result
    truth: Result
    tolerance: Tolerance | None = None

    def fault(self, result: Result) -> str:
        """Why `result` is wrong; "" where it is right."""
        shapes = [array.shape for array in result.values]
        if shapes != [array.shape for array in self.native.values] or (
            result.dtypes != self.native.dtypes
        ):
            return f"it returned {result.form}, and the reference {self.native.form}"
        if self.tolerance is not None:
            if within(result.values, self.truth.values, self.tolerance):
                return ""
            worst = error_of(result.values, self.truth.values).worst
            return f"its error of {worst:.1e} is beyond the tolerance of {self.tolerance[0]:g}"
        error, limit = error_of(result.values, self.truth.values), allowed(self.native, self.truth)
        if not error.exceeds(limit):
            return ""
        own = error_of(self.native.values, self.truth.values)
        return (
            f"its error is {error.rms:.1e} (worst {error.worst:.1e}), the reference's own "
            f"{own.rms:.1e} ({own.worst:.1e}), allowed {limit.rms:.1e} ({limit.worst:.1e})"
        )

    def passing(self, previous: Result) -> tuple[str, ...]:
        """The controls that would be called right."""
        made = controls(self.native, previous)
        return tuple(
            name
            for name, values in made.items()
            if not self.fault(Result(values, self.native.dtypes))
        )
