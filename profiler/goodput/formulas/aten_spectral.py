"""PyTorch's eigenvalue, singular value and least-squares problems in neutral terms."""

from __future__ import annotations

import math

from goodput.formulas.aten_arguments import flag, tensor
from goodput.formulas.contraction import is_complex, real_products
from goodput.formulas.factorisation import least_squares
from goodput.formulas.modes import matrix_operator
from goodput.formulas.registry import register
from goodput.formulas.spectral import (
    general_eigen,
    singular_values,
    singular_vectors,
    symmetric_eigen,
)
from goodput.work import Call, TensorSpec, Work

_EIGENVALUES, _EIGEN = "aten::_linalg_eigvals", "aten::linalg_eig"
_SYMMETRIC, _SINGULAR, _LEAST = "aten::_linalg_eigh", "aten::_linalg_svd", "aten::linalg_lstsq"


def _each(work: Work, matrix: TensorSpec, values: int, vectors: int) -> Work:
    """`work` for each matrix of the batch, with `values` real numbers and `vectors` entries out."""
    batch = math.prod(matrix.shape[:-2])
    real_bytes = matrix.item_bytes // (2 if is_complex(matrix.dtype) else 1)
    written = batch * (values * real_bytes + vectors * matrix.item_bytes)
    moved = Work(bytes_read=matrix.bytes, bytes_written=written)
    return work * (batch * real_products(matrix.dtype, matrix.dtype)) + moved


@matrix_operator(_SYMMETRIC)
@register(_SYMMETRIC)
def _eigh(call: Call) -> Work | None:
    """`(A, UPLO, compute_v)`."""
    matrix, vectors = tensor(call, 0), flag(call, 2) is not False
    if matrix is None:
        return None
    n = matrix.shape[-1]
    return _each(symmetric_eigen(n, vectors=vectors), matrix, n, n * n * vectors)


@matrix_operator(_EIGEN, _EIGENVALUES)
@register(_EIGEN, _EIGENVALUES)
def _eig(call: Call) -> Work | None:
    """Values and vectors are complex, whatever the matrix is."""
    matrix, vectors = tensor(call, 0), call.name == _EIGEN
    if matrix is None:
        return None
    n = matrix.shape[-1]
    entries = n + n * n * vectors
    return _each(general_eigen(n, vectors=vectors), matrix, *_complex(matrix, entries))


def _complex(matrix: TensorSpec, entries: int) -> tuple[int, int]:
    """`entries` complex numbers as real ones and as elements of `matrix`, for `_each`."""
    return (0, entries) if is_complex(matrix.dtype) else (2 * entries, 0)


@matrix_operator(_SINGULAR)
@register(_SINGULAR)
def _svd(call: Call) -> Work | None:
    """`(A, full_matrices, compute_uv)`; traces lack the driver, which does not change the count."""
    matrix, full, wanted = tensor(call, 0), flag(call, 1) is True, flag(call, 2) is not False
    if matrix is None:
        return None
    m, n = matrix.shape[-2:]
    rank = min(m, n)
    work = singular_values(m, n)
    if not wanted:
        return _each(work, matrix, rank, 0)
    sides = m * m + n * n if full else (m + n) * rank
    return _each(work + singular_vectors(m, n, full=full), matrix, rank, sides)


@matrix_operator(_LEAST)
@register(_LEAST)
def _lstsq(call: Call) -> Work | None:
    """`(A, B, rcond, driver)`: by QR, what all drivers but those by singular values do."""
    matrix, right = tensor(call, 0), tensor(call, 1)
    if matrix is None or right is None:
        return None
    m, n = matrix.shape[-2:]
    is_vector = len(right.shape) == len(matrix.shape) - 1
    columns = 1 if is_vector else right.shape[-1]
    batch = max(math.prod(matrix.shape[:-2]), math.prod(right.shape[: -1 if is_vector else -2]))
    work = least_squares(m, n, columns) * (batch * real_products(matrix.dtype, right.dtype))
    return work + Work(
        bytes_read=matrix.bytes + right.bytes, bytes_written=batch * n * columns * right.item_bytes
    )
