"""What may differ and what may not: precisions told apart, nonsense refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.comparison.accuracy import Error, Judge, Result, allowed, error_of, rounded

ARRAYS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20).map(np.array)


def result(values, dtype="float32"):
    return Result((np.asarray(values, dtype=np.float64),), (dtype,))


def product(seed, dtype):
    """A product, its native result in `dtype` by rounding, and the same a tile at a time."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, 48, 48))
    bits = {"float32": 24, "bfloat16": 8, "float16": 11}[dtype]
    a, b = rounded(a, bits), rounded(b, bits)
    truth = a @ b
    native = np.asarray(a, np.float32) @ np.asarray(b, np.float32)
    tiled = sum(
        np.asarray(a[:, k : k + 8], np.float32) @ np.asarray(b[k : k + 8], np.float32)
        for k in range(0, 48, 8)
    )
    return tuple(rounded(np.asarray(x, np.float64), bits) for x in (native, tiled)), truth, bits


@given(ARRAYS)
def test_nothing_differs_from_itself(values):
    assert error_of((values,), (values,)) == Error(0, 0)


@given(ARRAYS, st.integers(2, 52))
def test_rounding_errs_by_half_a_unit_at_most_and_only_once(values, bits):
    once = rounded(values, bits)
    assert np.all(np.abs(once - values) <= 2.0**-bits * np.abs(values))
    assert np.array_equal(rounded(once, bits), once)


def test_rounding_is_that_of_float32():
    values = np.random.default_rng(0).normal(size=1000)
    assert np.array_equal(rounded(values, 24), values.astype(np.float32).astype(np.float64))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("seed", range(5))
def test_another_order_of_summation_passes_and_a_lower_precision_does_not(dtype, seed):
    (native, tiled), truth, bits = product(seed, dtype)
    judge = Judge(result(native, dtype), result(truth, "float64"))
    assert judge.fault(result(tiled, dtype)) == ""
    lower = {24: 8, 11: 4, 8: 4}[bits]
    assert "error" in judge.fault(result(rounded(truth, lower), dtype))
    assert judge.passing(result(product(seed + 100, dtype)[0][0], dtype)) == ()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((3, 3)), "error"),
        (np.full((3, 3), math.nan), "error"),
        (np.ones((3, 2)), "returned"),
    ],
)
def test_nonsense_is_refused(values, reason):
    native = result(np.arange(9.0).reshape(3, 3))
    assert reason in Judge(native, native).fault(result(values))


def test_infinities_must_stand_where_the_truth_has_them():
    truth = np.array([1.0, -math.inf, math.nan])
    assert error_of((truth,), (truth,)) == Error(0, 0)
    assert error_of((np.array([1.0, math.inf, math.nan]),), (truth,)).rms == math.inf
    assert error_of((np.array([math.nan, -math.inf, math.nan]),), (truth,)).rms == math.inf


def test_integers_must_be_equal():
    native = result([1, 2, 3], "int64")
    assert Judge(native, native).fault(result([1, 2, 3], "int64")) == ""
    assert Judge(native, native).fault(result([1, 2, 4], "int64"))


@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_a_loose_tolerance_lets_nonsense_pass_and_is_found_out(scale):
    # The facts: an all-zero result passes 1e-2 wherever values are of the size 1e-3.
    values = scale * np.random.default_rng(0).normal(size=500)
    earlier = scale * np.random.default_rng(1).normal(size=500)
    judge = Judge(result(values), result(values, "float64"), (1e-2, 1e-2))
    assert ("all zeros" in judge.passing(result(earlier))) == (scale < 1e-2)


def test_a_constant_result_tells_nothing():
    native = result(np.ones(9))
    assert set(Judge(native, native).passing(native)) >= {
        "the mean everywhere",
        "the result of an earlier call",
    }


def test_what_is_allowed_lies_between_the_own_error_and_that_of_a_lower_precision():
    (native, _), truth, bits = product(0, "bfloat16")
    limit = allowed(result(native, "bfloat16"), result(truth, "float64"))
    own = error_of((native,), (truth,))
    lower = error_of((rounded(truth, 4),), (truth,))
    assert bits == 8
    assert own.rms < limit.rms < lower.rms
