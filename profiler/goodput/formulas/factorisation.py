"""Factorisations, solves and Fourier transforms in neutral terms, as leading-order counts.

Pure integers, floor of the leading terms. Sources: Golub & Van Loan, Matrix Computations, 4th ed.
(sections named below); LAPACK Working Note 41, appendix C, for forming and applying Q.
"""

from __future__ import annotations

import math

from goodput.work import Work


def _useful(flops: int) -> Work:
    return Work(flops=flops, dense_flops=flops)


def lu(m: int, n: int) -> Work:
    """LU with partial pivoting of [m, n]: `r^2 (max - r / 3)`, r = min(m, n) (section 3.2.11)."""
    r, longest = min(m, n), max(m, n)
    return _useful((3 * longest * r * r - r * r * r) // 3)


def cholesky(n: int) -> Work:
    """Cholesky or L D L^T of [n, n]: `n^3 / 3` (section 4.2.5)."""
    return _useful(n * n * n // 3)


def triangular_solve(n: int, columns: int) -> Work:
    """One triangular system of [n, n] for `columns` right-hand sides: `n^2` each (section 3.1)."""
    return _useful(n * n * columns)


def factored_solve(n: int, columns: int) -> Work:
    """Both triangular systems of a factored [n, n]: `2 n^2` a right-hand side."""
    return triangular_solve(n, columns) * 2


def solve(n: int, columns: int) -> Work:
    """A general system of [n, n]: LU, then `2 n^2` a right-hand side."""
    return lu(n, n) + factored_solve(n, columns)


def inverse(n: int) -> Work:
    """The inverse of [n, n]: `2 n^3`, LU and n right-hand sides of unit vectors (section 3.4)."""
    return _useful(2 * n * n * n)


def cholesky_inverse(n: int) -> Work:
    """The inverse from a Cholesky factor: `2 n^3 / 3` (LAWN 41, potri)."""
    return _useful(2 * n * n * n // 3)


def householder_qr(m: int, n: int) -> Work:
    """R of [m, n] with Q left as reflectors: `2 r^2 (max - r / 3)` (section 5.2.2)."""
    return lu(m, n) * 2


def form_q(m: int, columns: int, reflectors: int) -> Work:
    """The first `columns` of Q from its reflectors (LAWN 41, orgqr).

    `4 m p r - 2 (m + p) r^2 + 4 r^3 / 3`, with p columns and r reflectors.
    """
    p, r = columns, reflectors
    return _useful((12 * m * p * r - 6 * (m + p) * r * r + 4 * r * r * r) // 3)


def apply_q(m: int, n: int, reflectors: int) -> Work:
    """Q of `reflectors` reflectors times a [m, n]: `4 m n r - 2 n r^2` (LAWN 41, ormqr)."""
    r = reflectors
    return _useful(4 * m * n * r - 2 * n * r * r)


def least_squares(m: int, n: int, columns: int) -> Work:
    """The least-squares (or least-norm) solution of [m, n] for `columns` right-hand sides by QR.

    QR (or LQ), Q^T b, and one triangular system of r = min(m, n) (section 5.3.2).
    """
    r, longest = min(m, n), max(m, n)
    applied = apply_q(longest, columns, r)
    return householder_qr(m, n) + applied + triangular_solve(r, columns)


def fourier_transform(numel: int, length: int, *, real: bool = False) -> Work:
    """Transforms of `length` points each, `numel` points together: `5 N log2 N`, half if real.

    Vector arithmetic (Cooley & Tukey radix 2; the count of the FFTW benchmarks), not useful FLOPs.
    """
    if length <= 1 or not numel:
        return Work()
    exact = length & (length - 1) == 0
    doubled = (
        10 * numel * (length.bit_length() - 1) if exact else int(10 * numel * math.log2(length))
    )
    return Work(vector_flops=doubled // (4 if real else 2))
