"""JAX's products with a reduction in neutral terms: dense, scaled and ragged."""

from __future__ import annotations

import math
from collections.abc import Iterable

from goodput.formulas.contraction import contraction, real_products
from goodput.formulas.lax_parameters import moved, tensor, whole
from goodput.formulas.modes import matrix_operator, mode_of
from goodput.formulas.registry import register
from goodput.work import Call, Contraction, TensorSpec, Work

_SPARSE, _SPARSE_RIGHT = "lax::bcoo_dot_general", "lax::bcoo_rdot_general"
_DOT, _SCALED, _RAGGED = "lax::dot_general", "lax::scaled_dot", "lax::ragged_dot_general"


def contraction_of(call: Call) -> Contraction | None:
    """The contraction that a dense product is; None for any other call."""
    if call.name not in (_DOT, _SCALED):
        return None
    batch, m, n, k = _sizes(call)
    return Contraction(batch, m, n, k, mode_of(call))


def multiplies_many(call: Call) -> bool:
    """Whether the call is a dense product of many matrices, not of two."""
    return call.name in (_DOT, _SCALED) and bool(_numbers(call)[2])


def _numbers(call: Call) -> tuple[tuple[int, ...], ...]:
    """Summed dimensions of the left and the right factor, then their batch dimensions."""
    (summed_left, summed_right), (batch_left, batch_right) = _nested(call, "dimension_numbers")
    dims = (summed_left, summed_right, batch_left, batch_right)
    return tuple(whole(part, f"{call.name} has no dimension numbers") for part in dims)


def _nested(call: Call, name: str) -> tuple[tuple[object, object], tuple[object, object]]:
    value: object = call.attributes[name]
    match value:
        case ((a, b), (c, d)):
            return (a, b), (c, d)
    raise ValueError(f"{call.name} has no dimension numbers")


def _over(spec: TensorSpec, dims: Iterable[int]) -> int:
    return math.prod(spec.shape[dim] for dim in dims)


def _rest(spec: TensorSpec, *taken: Iterable[int]) -> int:
    """The elements over all dimensions but those taken."""
    gone = {dim for dims in taken for dim in dims}
    return _over(spec, (dim for dim in range(len(spec.shape)) if dim not in gone))


def _sizes(call: Call) -> tuple[int, int, int, int]:
    left, right = tensor(call, 0), tensor(call, 1)
    summed_left, summed_right, batch_left, batch_right = _numbers(call)
    return (
        _over(left, batch_left),
        _rest(left, summed_left, batch_left),
        _rest(right, summed_right, batch_right),
        _over(left, summed_left),
    )


@matrix_operator(_DOT, _SCALED)
@register(_DOT, _SCALED)
def _dot(call: Call) -> Work:
    """Every pair of free rows, over the summed dimensions. Scales of a scaled one are only read."""
    left, right = tensor(call, 0), tensor(call, 1)
    real = real_products(left.dtype, right.dtype)
    return contraction(*_sizes(call), real) + moved(call)


@matrix_operator("lax::scaled_matmul", "lax::scaled_matmul_wrapper")
@register("lax::scaled_matmul", "lax::scaled_matmul_wrapper")
def _scaled_matmul(call: Call) -> Work:
    """`(A, B, scales of A, scales of B)`: `[batch, m, k]` and `[batch, n, k]`."""
    left, right = tensor(call, 0), tensor(call, 1)
    batch, m, k = left.shape
    return contraction(batch, m, right.shape[1], k) + moved(call)


@matrix_operator(_RAGGED)
@register(_RAGGED)
def _ragged_dot(call: Call) -> Work:
    """Rows in groups, each with a matrix of its own: each left element meets the right columns.

    It holds whether the ragged dimension is free, summed (the gradient of the matrices) or batch:
    every element of the left factor meets the right factor's free columns once. All rows count,
    as the group sizes sum to them.
    """
    left, right = tensor(call, 0), tensor(call, 1)
    (_, summed), (_, batch) = _nested(call, "dot_dimension_numbers")
    groups = whole(call.attributes.get("rhs_group_dimensions"), f"{call.name} has no groups")
    unknown = f"{call.name} has no dimension numbers"
    columns = _rest(right, whole(summed, unknown), whole(batch, unknown), groups)
    real = real_products(left.dtype, right.dtype)
    return contraction(1, left.numel, columns, 1, real) + moved(call)


@matrix_operator(_SPARSE)
@register(_SPARSE)
def _sparse_dot(call: Call) -> Work:
    """`(stored, indices, right)`: each stored element meets the right factor's free columns."""
    return _stored(call, tensor(call, 0), tensor(call, 2), side=1)


@matrix_operator(_SPARSE_RIGHT, operand=1)
@register(_SPARSE_RIGHT)
def _dot_sparse(call: Call) -> Work:
    """`(left, stored, indices)`."""
    return _stored(call, tensor(call, 1), tensor(call, 0), side=0)


@matrix_operator(f"{_SPARSE}_sampled", operand=0)
@register(f"{_SPARSE}_sampled")
def _sampled_dot(call: Call) -> Work:
    """`(left, right, indices)`: the products that are kept, one for each index."""
    left, right = tensor(call, 0), tensor(call, 1)
    real = real_products(left.dtype, right.dtype)
    summed = _over(left, _numbers(call)[0])
    return contraction(1, call.outputs[0].numel, 1, summed, real) + moved(call)


def _stored(call: Call, stored: TensorSpec, dense: TensorSpec, *, side: int) -> Work:
    numbers = _numbers(call)
    columns = _rest(dense, numbers[side], numbers[2 + side])
    real = real_products(stored.dtype, dense.dtype)
    return contraction(1, stored.numel, columns, 1, real) + moved(call)
