"""Eigenvalues and singular values in neutral terms, as leading-order counts.

Pure integers, floor of the leading terms. These algorithms end in an iteration whose length is in
the data, so every count here is a standard estimate. For symmetric eigenproblems and singular
values the two parts that the data does not decide are counted: the reduction to a condensed form
and the transformation back (LAPACK Working Note 41, appendix C). The iteration between them is
O(n^2) for values alone; with vectors, divide and conquer deflates most of it, and the LAPACK Users'
Guide (3rd ed., table 3.13: 8/3 n^3 and 20/3 n^3 for xGESDD of a square matrix) leaves it out too.
For general eigenproblems the iteration is most of the work, and the guide's estimates stand.
"""

from __future__ import annotations

from goodput.formulas.contraction import contraction
from goodput.formulas.factorisation import apply_q, form_q, householder_qr
from goodput.work import Work

_TALL_NUMERATOR, _TALL_DENOMINATOR = 11, 6
"""LAPACK's xGESDD takes a QR first where m is at least 11/6 n (its MNTHR)."""


def _thirds(count: int) -> Work:
    return Work(flops=count // 3, dense_flops=count // 3)


def symmetric_eigen(n: int, *, vectors: bool) -> Work:
    """A symmetric (Hermitian) [n, n]: tridiagonalisation `4 n^3 / 3`, and `2 n^3` for vectors."""
    reduced = _thirds(4 * n * n * n)
    return reduced + apply_q(n, n, n) if vectors else reduced


def general_eigen(n: int, *, vectors: bool) -> Work:
    """A general [n, n]: `10 n^3` for its values, `79 n^3 / 3` with its right vectors.

    The estimate of the LAPACK Users' Guide for xGEEV (10.00 and 26.33 n^3): Hessenberg form and
    about two sweeps of implicit QR a value (Golub & Van Loan, 4th ed., algorithm 7.5.2: 10 n^3, and
    25 n^3 with the Schur form), then the vectors of the triangular factor.
    """
    return _thirds((79 if vectors else 30) * n * n * n)


def singular_values(m: int, n: int) -> Work:
    """The singular values alone of [m, n]: bidiagonalisation, of R where it is far from square.

    `4 L s^2 - 4 s^3 / 3`, or `2 L s^2 + 2 s^3` by way of a QR, with s = min(m, n), L = max(m, n).
    """
    short, long = min(m, n), max(m, n)
    if _is_tall(long, short):
        return householder_qr(long, short) + _bidiagonal(short, short)
    return _bidiagonal(long, short)


def singular_vectors(m: int, n: int, *, full: bool) -> Work:
    """What both sides' singular vectors of [m, n] cost beside its values.

    The reflectors of the two sides applied to the vectors of the bidiagonal form; after a QR first,
    Q formed and multiplied by R's left vectors. `full` asks for a square basis of the longer side.
    """
    short, long = min(m, n), max(m, n)
    columns = long if full else short
    right = apply_q(short, short, short)
    if not _is_tall(long, short):
        return right + apply_q(long, columns, short)
    formed = form_q(long, columns, short)
    return right + apply_q(short, short, short) + formed + contraction(1, long, short, short)


def _is_tall(long: int, short: int) -> bool:
    return _TALL_DENOMINATOR * long >= _TALL_NUMERATOR * short


def _bidiagonal(long: int, short: int) -> Work:
    """`4 L s^2 - 4 s^3 / 3` (LAWN 41, xGEBRD)."""
    return _thirds(12 * long * short * short - 4 * short * short * short)
