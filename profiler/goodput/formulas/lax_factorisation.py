"""JAX's factorisations, triangular solves, eigenvalues and Fourier transforms in neutral terms."""

from __future__ import annotations

import math

from goodput.formulas import factorisation
from goodput.formulas.contraction import real_products
from goodput.formulas.lax_parameters import flag, integers, moved, tensor, text
from goodput.formulas.modes import matrix_operator
from goodput.formulas.registry import register
from goodput.formulas.spectral import (
    general_eigen,
    singular_values,
    singular_vectors,
    symmetric_eigen,
)
from goodput.work import Call, TensorSpec, Work


def _each(call: Call, work: Work, matrix: TensorSpec) -> Work:
    """`work` for every matrix of the batch, in its own dtype."""
    batch = math.prod(matrix.shape[:-2])
    return work * (batch * real_products(matrix.dtype, matrix.dtype)) + moved(call)


@matrix_operator("lax::cholesky")
@register("lax::cholesky")
def _cholesky(call: Call) -> Work:
    matrix = tensor(call, 0)
    return _each(call, factorisation.cholesky(matrix.shape[-1]), matrix)


@matrix_operator("lax::lu")
@register("lax::lu")
def _lu(call: Call) -> Work:
    matrix = tensor(call, 0)
    return _each(call, factorisation.lu(*matrix.shape[-2:]), matrix)


@matrix_operator("lax::triangular_solve")
@register("lax::triangular_solve")
def _triangular_solve(call: Call) -> Work:
    """`(A, B)`, A on the left of the unknown or on its right."""
    matrix, right = tensor(call, 0), tensor(call, 1)
    columns = right.shape[-1 if flag(call, "left_side", default=False) else -2]
    return _each(call, factorisation.triangular_solve(matrix.shape[-1], columns), matrix)


@matrix_operator("lax::qr")
@register("lax::qr")
def _qr(call: Call) -> Work:
    matrix = tensor(call, 0)
    m, n = matrix.shape[-2:]
    columns = m if flag(call, "full_matrices", default=True) else min(m, n)
    work = factorisation.householder_qr(m, n) + factorisation.form_q(m, columns, min(m, n))
    return _each(call, work, matrix)


@matrix_operator("lax::geqrf", "lax::geqp3")
@register("lax::geqrf", "lax::geqp3")
def _geqrf(call: Call) -> Work:
    """R, and Q as reflectors; choosing pivots compares and adds no products."""
    matrix = tensor(call, 0)
    return _each(call, factorisation.householder_qr(*matrix.shape[-2:]), matrix)


@matrix_operator("lax::householder_product")
@register("lax::householder_product")
def _householder_product(call: Call) -> Work:
    matrix, scalars = tensor(call, 0), tensor(call, 1)
    m, n = matrix.shape[-2:]
    work = factorisation.form_q(m, n, scalars.shape[-1])
    return _each(call, work, matrix)


@matrix_operator("lax::ormqr", operand=2)
@register("lax::ormqr")
def _ormqr(call: Call) -> Work:
    """`(reflectors, scalars, C)`, Q on the left of C or on its right."""
    scalars, other = tensor(call, 1), tensor(call, 2)
    rows, columns = other.shape[-2:]
    m, n = (rows, columns) if flag(call, "left", default=True) else (columns, rows)
    return _each(call, factorisation.apply_q(m, n, scalars.shape[-1]), other)


@matrix_operator("lax::eigh")
@register("lax::eigh")
def _eigh(call: Call) -> Work:
    """The primitive always finds the vectors too."""
    matrix = tensor(call, 0)
    return _each(call, symmetric_eigen(matrix.shape[-1], vectors=True), matrix)


@matrix_operator("lax::eig")
@register("lax::eig")
def _eig(call: Call) -> Work:
    matrix = tensor(call, 0)
    sides = ("compute_left_eigenvectors", "compute_right_eigenvectors")
    wanted = any(flag(call, side, default=True) for side in sides)
    return _each(call, general_eigen(matrix.shape[-1], vectors=wanted), matrix)


@matrix_operator("lax::svd")
@register("lax::svd")
def _svd(call: Call) -> Work:
    matrix = tensor(call, 0)
    m, n = matrix.shape[-2:]
    work = singular_values(m, n)
    if flag(call, "compute_uv", default=True):
        full = flag(call, "full_matrices", default=True)
        work += singular_vectors(m, n, full=full)
    return _each(call, work, matrix)


@register("lax::fft")
def _fft(call: Call) -> Work:
    """`fft_type` is FFT, IFFT, RFFT or IRFFT, over the last dimensions: vector arithmetic."""
    source, kind = tensor(call, 0), text(call, "fft_type")
    points = call.outputs[0] if kind == "IRFFT" else source
    length = math.prod(integers(call, "fft_lengths"))
    real = kind in ("RFFT", "IRFFT")
    return factorisation.fourier_transform(points.numel, length, real=real) + moved(call)
