from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.contraction import (
    contraction,
    epilogue,
    real_products,
    trilinear,
)
from goodput.work import Work

SIZE = st.integers(0, 10**6)
SMALL = st.integers(0, 4)


@given(SIZE, SIZE, SIZE, SIZE)
def test_closed_form(batch: int, m: int, n: int, k: int) -> None:
    assert contraction(batch, m, n, k) == Work(
        flops=2 * batch * m * n * k, dense_flops=2 * batch * m * n * k
    )


@given(SMALL, SMALL, SMALL, SMALL)
def test_it_is_the_multiply_adds_of_the_textbook_loops(batch, m, n, k) -> None:
    loops = itertools.product(range(batch), range(m), range(n), range(k))
    assert contraction(batch, m, n, k).flops == 2 * sum(1 for _ in loops)


@given(SIZE, SIZE, SIZE, SIZE, st.integers(1, 9))
def test_a_batch_is_a_sum_and_so_is_a_split_of_any_dimension(batch, m, n, k, parts) -> None:
    whole = contraction(batch * parts, m, n, k)
    assert whole == contraction(batch, m, n, k) * parts
    assert whole == contraction(batch, m * parts, n, k) == contraction(batch, m, n, k * parts)


def test_a_complex_multiply_add_is_8_flop() -> None:
    both = real_products("complex64", "complex64")
    assert contraction(1, 1, 1, 1, both).flops == 8
    assert real_products("complex64", "float32") == 2
    assert real_products("bfloat16", "bfloat16") == 1


@pytest.mark.parametrize(
    ("alpha", "beta", "dtype", "each"),
    [
        (1, 0, "float32", 0),
        (1, 1, "float32", 1),
        (2, 0, "float32", 1),
        (1, 0.5, "float32", 2),
        (0.5, 0.5, "bfloat16", 3),
        (1, 1, "complex64", 2),
        (2, 1, "complex64", 8),
    ],
)
def test_an_epilogue_is_vector_work(alpha, beta, dtype, each) -> None:
    assert epilogue(10, alpha, beta, dtype) == Work(vector_flops=10 * each)


@given(SIZE, SIZE)
def test_other_products(first: int, second: int) -> None:
    assert trilinear(first, second).flops == 2 * (first + second)
