"""PyTorch's factorisations, solves, Fourier transforms and odd contractions in neutral terms.

Eigenvalue and singular value decompositions iterate until the data says stop: what is counted of
them is said in `goodput.formulas.spectral`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from goodput.formulas import factorisation
from goodput.formulas.aten_arguments import flag, integer, integers, tensor, text
from goodput.formulas.contraction import (
    real_products,
    trilinear,
)
from goodput.formulas.modes import matrix_operator
from goodput.formulas.registry import Formula, register
from goodput.work import Call, TensorSpec, Work

Square: TypeAlias = Callable[[int], Work]


def _batch(spec: TensorSpec) -> int:
    return math.prod(spec.shape[:-2])


def _counted(work: Work, spec: TensorSpec, read: int, written: int) -> Work:
    """`work` for every matrix of the batch, in the dtype of `spec`, with the bytes moved."""
    times = _batch(spec) * (real_products(spec.dtype, spec.dtype))
    return work * times + Work(bytes_read=read, bytes_written=written)


def _matrix(*names: str) -> Callable[[Formula], Formula]:
    def decorate(formula: Formula) -> Formula:
        return matrix_operator(*names)(register(*names)(formula))

    return decorate


def _square(names: tuple[str, ...], count: Square) -> None:
    """Registers operators on one square matrix that return one of its size."""

    @_matrix(*names)
    def formula(call: Call) -> Work | None:
        matrix = tensor(call, 0)
        if matrix is None:
            return None
        size = matrix.numel * matrix.item_bytes
        return _counted(count(matrix.shape[-1]), matrix, matrix.bytes, size)


_square(
    ("aten::linalg_cholesky_ex", "aten::cholesky", "aten::linalg_ldl_factor_ex"),
    factorisation.cholesky,
)
_square(("aten::linalg_inv_ex",), factorisation.inverse)
_square(("aten::cholesky_inverse",), factorisation.cholesky_inverse)
_square(
    ("aten::_linalg_det", "aten::_linalg_slogdet"),
    lambda n: factorisation.lu(n, n),
)


@_matrix("aten::linalg_lu_factor_ex", "aten::linalg_lu")
def _lu(call: Call) -> Work | None:
    matrix = tensor(call, 0)
    if matrix is None:
        return None
    m, n = matrix.shape[-2:]
    written = matrix.numel * matrix.item_bytes
    return _counted(factorisation.lu(m, n), matrix, matrix.bytes, written)


def _columns(matrix: TensorSpec, right: TensorSpec, *, left: bool = True) -> int:
    """Right-hand sides for each matrix: a vector a matrix, or the columns (or rows) of matrices."""
    if len(right.shape) == 1 or right.shape == matrix.shape[:-1]:
        return 1
    return right.shape[-1 if left else -2]


def _solved(call: Call, work: Work, matrix: TensorSpec, right: TensorSpec) -> Work:
    read = sum(spec.bytes for spec in call.tensors)
    batch = max(_batch(matrix), _batch(right))
    real = real_products(matrix.dtype, right.dtype)
    moved = Work(bytes_read=read, bytes_written=right.numel * right.item_bytes)
    return work * (batch * real) + moved


@_matrix("aten::_linalg_solve_ex")
def _solve(call: Call) -> Work | None:
    """`(A, B, left)`; the factors are written too."""
    matrix, right = tensor(call, 0), tensor(call, 1)
    if matrix is None or right is None:
        return None
    columns = _columns(matrix, right, left=flag(call, 2) is not False)
    work = _solved(call, factorisation.solve(matrix.shape[-1], columns), matrix, right)
    return work + Work(bytes_written=matrix.numel * matrix.item_bytes)


@_matrix("aten::linalg_solve_triangular")
def _solve_triangular(call: Call) -> Work | None:
    """`(A, B, upper, left)`."""
    matrix, right = tensor(call, 0), tensor(call, 1)
    if matrix is None or right is None:
        return None
    columns = right.shape[-1 if flag(call, 3) is not False else -2]
    return _solved(call, factorisation.triangular_solve(matrix.shape[-1], columns), matrix, right)


@_matrix("aten::triangular_solve")
def _old_triangular_solve(call: Call) -> Work | None:
    """`(B, A, upper, ...)`."""
    right, matrix = tensor(call, 0), tensor(call, 1)
    if matrix is None or right is None:
        return None
    n, columns = matrix.shape[-1], right.shape[-1]
    return _solved(call, factorisation.triangular_solve(n, columns), matrix, right)


@_matrix("aten::cholesky_solve", "aten::_cholesky_solve_helper")
def _cholesky_solve(call: Call) -> Work | None:
    """`(B, L, upper)`."""
    right, matrix = tensor(call, 0), tensor(call, 1)
    if matrix is None or right is None:
        return None
    n, columns = matrix.shape[-1], right.shape[-1]
    return _solved(call, factorisation.factored_solve(n, columns), matrix, right)


@_matrix("aten::linalg_lu_solve", "aten::linalg_ldl_solve")
def _factored_solve(call: Call) -> Work | None:
    """`(LU, pivots, B, left)`."""
    matrix, right = tensor(call, 0), tensor(call, 2)
    if matrix is None or right is None:
        return None
    side = call.name != "aten::linalg_lu_solve" or flag(call, 3) is not False
    columns = right.shape[-1 if side else -2]
    n = matrix.shape[-1]
    return _solved(call, factorisation.factored_solve(n, columns), matrix, right)


@_matrix("aten::linalg_qr")
def _qr(call: Call) -> Work | None:
    """`(A, mode)`: `reduced` forms min(m, n) columns of Q, `complete` m, `r` none."""
    matrix = tensor(call, 0)
    if matrix is None:
        return None
    m, n = matrix.shape[-2:]
    r = min(m, n)
    columns = {"reduced": r, "complete": m, "r": 0}[text(call, 1) or "reduced"]
    work = factorisation.householder_qr(m, n)
    if columns:
        work = work + factorisation.form_q(m, columns, r)
    written = _batch(matrix) * (m * columns + (columns or r) * n) * matrix.item_bytes
    return _counted(work, matrix, matrix.bytes, written)


@_matrix("aten::geqrf")
def _geqrf(call: Call) -> Work | None:
    matrix = tensor(call, 0)
    if matrix is None:
        return None
    m, n = matrix.shape[-2:]
    written = matrix.numel * matrix.item_bytes
    return _counted(factorisation.householder_qr(m, n), matrix, matrix.bytes, written)


@_matrix("aten::linalg_householder_product")
def _householder_product(call: Call) -> Work | None:
    """`(input, tau)`: as many columns of Q as the input has."""
    matrix, tau = tensor(call, 0), tensor(call, 1)
    if matrix is None or tau is None:
        return None
    m, n = matrix.shape[-2:]
    work = factorisation.form_q(m, n, tau.shape[-1])
    written = matrix.numel * matrix.item_bytes
    return _counted(work, matrix, matrix.bytes + tau.bytes, written)


@_matrix("aten::ormqr")
def _ormqr(call: Call) -> Work | None:
    """`(reflectors, tau, C, left)`."""
    reflectors, tau, other = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    if reflectors is None or tau is None or other is None:
        return None
    rows, columns = other.shape[-2:]
    m, n = (rows, columns) if flag(call, 3) is not False else (columns, rows)
    read = reflectors.bytes + tau.bytes + other.bytes
    work = factorisation.apply_q(m, n, tau.shape[-1])
    return _counted(work, other, read, other.numel * other.item_bytes)


@register("aten::_fft_c2c", "aten::_fft_r2c", "aten::_fft_c2r")
def _fourier(call: Call) -> Work | None:
    """`(self, dim, normalization, onesided | forward | last_dim_size)`."""
    source, dims = tensor(call, 0), integers(call, 1)
    if source is None or dims is None:
        return None
    sizes = list(source.shape)
    if call.name == "aten::_fft_c2r":
        last = integer(call, 3)
        if last is None:
            return None
        sizes[dims[-1]] = last
    length = math.prod(sizes[dim] for dim in dims)
    real = call.name != "aten::_fft_c2c"
    work = factorisation.fourier_transform(math.prod(sizes), length, real=real)
    return work + Work(bytes_read=source.bytes, bytes_written=_spectrum_bytes(call, source, sizes))


def _spectrum_bytes(call: Call, source: TensorSpec, sizes: list[int]) -> int:
    """Bytes of the transform: a real one has half the spectrum, or half the element size."""
    if call.name == "aten::_fft_r2c":
        dims = integers(call, 1) or (-1,)
        half = list(sizes)
        if flag(call, 3) is not False:
            half[dims[-1]] = sizes[dims[-1]] // 2 + 1
        return math.prod(half) * source.item_bytes * 2
    item = source.item_bytes // 2 if call.name == "aten::_fft_c2r" else source.item_bytes
    return math.prod(sizes) * item


def _expanded(spec: TensorSpec, dims: tuple[int, ...]) -> dict[int, int]:
    """Sizes of the common dimensions that a tensor really has; it lacks `dims`."""
    rank = len(spec.shape) + len(dims)
    own = (dim for dim in range(rank) if dim not in dims)
    return dict(zip(own, spec.shape, strict=True))


@_matrix("aten::_trilinear")
def _trilinear(call: Call) -> Work | None:
    """`(i1, i2, i3, expand1, expand2, expand3, sumdim)`: `sum i1 i2 i3`, i1 and i2 first.

    Dimensions that i3 lacks are summed in the first stage, the others in the second.
    """
    operands = [tensor(call, place) for place in range(3)]
    lists = [integers(call, place) or () for place in range(3, 7)]
    if any(operand is None for operand in operands) or not lists[3]:
        return None
    one, two, three = (
        _expanded(operand, dims)
        for operand, dims in zip(operands, lists[:3], strict=True)
        if operand is not None
    )
    pair = one | two
    kept = {dim: size for dim, size in pair.items() if dim not in lists[3] or dim in three}
    work = trilinear(math.prod(pair.values()), math.prod((kept | three).values()))
    every = pair | three
    results = math.prod(size for dim, size in every.items() if dim not in lists[3])
    item = call.tensors[0].item_bytes
    return work + Work(
        bytes_read=sum(spec.bytes for spec in call.tensors[:3]), bytes_written=results * item
    )
