"""Eigenvalue and singular value problems meet the closed forms that textbooks print."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.spectral import (
    general_eigen,
    singular_values,
    singular_vectors,
    symmetric_eigen,
)

SIZE = st.integers(0, 400)


def near(found: int, expected: Fraction | int, floors: int = 3) -> bool:
    """Whether an exact formula is met up to the rounding of its parts."""
    return abs(found - expected) <= floors


@given(SIZE)
def test_eigenvalues(n: int) -> None:
    cube = n**3
    assert near(symmetric_eigen(n, vectors=False).flops, Fraction(4 * cube, 3))
    assert near(symmetric_eigen(n, vectors=True).flops, Fraction(10 * cube, 3))
    assert general_eigen(n, vectors=False).flops == 10 * cube
    assert near(general_eigen(n, vectors=True).flops, Fraction(79 * cube, 3))


@given(SIZE)
def test_a_square_svd_is_that_of_the_lapack_users_guide(n: int) -> None:
    values = singular_values(n, n).flops
    assert near(values, Fraction(8 * n**3, 3))
    vectors = singular_vectors(n, n, full=False)
    assert near(values + vectors.flops, Fraction(20 * n**3, 3))
    assert vectors == singular_vectors(n, n, full=True)


@given(SIZE, SIZE)
def test_a_tall_svd_goes_by_way_of_a_qr(n: int, extra: int) -> None:
    m = 2 * n + extra
    # Golub & Van Loan, figure 8.6.1: 2 m n^2 + 2 n^3 for the values of R-SVD.
    assert near(singular_values(m, n).flops, 2 * m * n * n + 2 * n**3)
    # R's vectors on both sides, Q's n columns, and their product.
    vectors = 4 * n**3 + (2 * m * n * n - Fraction(2 * n**3, 3)) + 2 * m * n * n
    assert near(singular_vectors(m, n, full=False).flops, vectors)


@given(SIZE, SIZE, st.booleans())
def test_a_wide_matrix_costs_as_its_transpose(m: int, n: int, full) -> None:
    assert singular_values(m, n) == singular_values(n, m)
    assert singular_vectors(m, n, full=full) == singular_vectors(n, m, full=full)


@given(SIZE, SIZE)
def test_a_full_basis_is_never_less_and_both_ways_are_non_negative(m: int, n: int) -> None:
    reduced = singular_vectors(m, n, full=False)
    assert singular_vectors(m, n, full=True).flops >= reduced.flops - 3 >= -3
    assert singular_values(m, n).flops >= 0


@given(st.integers(1, 60))
def test_the_qr_pays_where_it_is_taken(n: int) -> None:
    m = -(-11 * n // 6)
    direct = Fraction(4 * m * n * n) - Fraction(4 * n**3, 3)
    assert singular_values(m, n).flops <= direct
