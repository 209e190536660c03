from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas import factorisation
from goodput.work import Work

SIZE = st.integers(0, 500)
LARGE = 1024


@given(SIZE, SIZE)
def test_closed_forms_of_square_ones(n: int, columns: int) -> None:
    assert factorisation.lu(n, n).flops == 2 * n**3 // 3
    assert factorisation.cholesky(n).flops == n**3 // 3
    assert factorisation.inverse(n).flops == 2 * n**3
    assert factorisation.triangular_solve(n, columns).flops == n * n * columns
    assert factorisation.factored_solve(n, columns).flops == 2 * n * n * columns
    assert factorisation.solve(n, columns).flops == 2 * n**3 // 3 + 2 * n * n * columns


@given(SIZE, SIZE)
def test_closed_forms_of_tall_ones(n: int, extra: int) -> None:
    m = n + extra
    assert factorisation.lu(m, n).flops == (3 * m * n * n - n**3) // 3
    assert abs(factorisation.householder_qr(m, n).flops - 2 * n * n * (m - n / 3)) < 2
    # Reduced Q costs as much as R; complete Q is 4 (m^2 n - m n^2 + n^3/3).
    assert abs(factorisation.form_q(m, n, n).flops - 2 * n * n * (m - n / 3)) < 2
    complete = 4 * (m * m * n - m * n * n + n**3 / 3)
    assert abs(factorisation.form_q(m, m, n).flops - complete) < 2


@given(SIZE, SIZE)
def test_a_wide_matrix_costs_as_its_transpose(m: int, n: int) -> None:
    assert factorisation.lu(m, n) == factorisation.lu(n, m)
    assert factorisation.householder_qr(m, n) == factorisation.householder_qr(n, m)


def lu_loops(m: int, n: int) -> int:
    return sum((m - k - 1) + 2 * (m - k - 1) * (n - k - 1) for k in range(min(m, n)))


def cholesky_loops(n: int) -> int:
    return sum(1 + (n - k - 1) + (n - k - 1) * (n - k) for k in range(n))


def solve_loops(n: int) -> int:
    return sum(1 + 2 * row for row in range(n))


def test_leading_orders_meet_the_loops_of_the_algorithms() -> None:
    def near(work: Work, loops: int) -> None:
        assert work.flops == pytest.approx(loops, rel=5 / LARGE)

    near(factorisation.lu(LARGE, LARGE), lu_loops(LARGE, LARGE))
    near(factorisation.lu(2 * LARGE, LARGE), lu_loops(2 * LARGE, LARGE))
    near(factorisation.cholesky(LARGE), cholesky_loops(LARGE))
    near(factorisation.triangular_solve(LARGE, 3), 3 * solve_loops(LARGE))


@given(SIZE, SIZE)
def test_applying_q_of_full_order(m: int, n: int) -> None:
    assert factorisation.apply_q(m, n, m).flops == 2 * m * m * n


@given(SIZE, SIZE, SIZE)
def test_least_squares_is_a_qr_its_q_applied_and_a_triangular_solve(n, extra, columns) -> None:
    m = n + extra
    work = factorisation.least_squares(m, n, columns)
    closed = 2 * n * n * (m - n / 3) + 4 * m * n * columns - n * n * columns
    assert abs(work.flops - closed) < 2
    assert work == factorisation.least_squares(n, m, columns)


@given(st.integers(0, 20), st.integers(0, 100))
def test_a_fourier_transform_is_vector_work(log: int, batch: int) -> None:
    length = 2**log
    full = factorisation.fourier_transform(batch * length, length)
    assert full == Work(vector_flops=5 * batch * length * log)
    half = factorisation.fourier_transform(batch * length, length, real=True)
    assert half.vector_flops == 5 * batch * length * log // 2


@given(st.integers(2, 5000))
def test_a_fourier_transform_of_any_length(length: int) -> None:
    found = factorisation.fourier_transform(3 * length, length).vector_flops
    assert found == pytest.approx(15 * length * math.log2(length), abs=1)
