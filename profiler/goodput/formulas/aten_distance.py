"""PyTorch's distances between all pairs of points (cdist, pdist) in neutral terms."""

from __future__ import annotations

import math

from goodput.formulas.aten_arguments import integer, number, tensor
from goodput.formulas.distance import (
    pair_distances,
    pair_distances_backward,
    product_distances,
)
from goodput.formulas.modes import matrix_operator
from goodput.formulas.registry import register
from goodput.work import Call, TensorSpec, Work

_BY_PRODUCT, _DIRECT = 1, 2
_LIMIT = 25
"""cdist takes the matrix product where either set has more points than this (ATen Distance.cpp)."""

_EUCLIDEAN = 2.0


def _batch(spec: TensorSpec) -> int:
    return math.prod(spec.shape[:-2])


def _product(first: TensorSpec, second: TensorSpec) -> Work:
    p, features = first.shape[-2:]
    return product_distances(max(_batch(first), _batch(second)), p, second.shape[-2], features)


def _moved(first: TensorSpec, second: TensorSpec) -> Work:
    pairs = max(_batch(first), _batch(second)) * first.shape[-2] * second.shape[-2]
    return Work(bytes_read=first.bytes + second.bytes, bytes_written=pairs * first.item_bytes)


@matrix_operator("aten::_euclidean_dist")
@register("aten::_euclidean_dist")
def _euclidean_distance(call: Call) -> Work | None:
    """What cdist calls for Euclidean distances of many points."""
    first, second = tensor(call, 0), tensor(call, 1)
    if first is None or second is None:
        return None
    return _product(first, second) + _moved(first, second)


@matrix_operator("aten::_cdist_forward")
@register("aten::_cdist_forward")
def _cdist(call: Call) -> Work | None:
    """Distances of [..., p, features] and [..., r, features], of the order `inputs[2]`."""
    first, second = tensor(call, 0), tensor(call, 1)
    if first is None or second is None:
        return None
    p, features = first.shape[-2:]
    r = second.shape[-2]
    power = _order(call, 2)
    if power == _EUCLIDEAN and _by_product(integer(call, 3) or 0, p, r):
        return _product(first, second) + _moved(first, second)
    pairs = max(_batch(first), _batch(second)) * p * r
    return pair_distances(pairs, features, power) + _moved(first, second)


def _by_product(compute_mode: int, p: int, r: int) -> bool:
    if compute_mode == _BY_PRODUCT:
        return True
    return compute_mode != _DIRECT and max(p, r) > _LIMIT


def _order(call: Call, place: int) -> float:
    power = number(call, place, _EUCLIDEAN)
    return _EUCLIDEAN if isinstance(power, complex) else float(power)


@register("aten::_cdist_backward")
def _cdist_backward(call: Call) -> Work | None:
    """`(grad, x1, x2, p, cdist)`: the gradient of x1, pair by pair."""
    gradient, first = tensor(call, 0), tensor(call, 1)
    if gradient is None or first is None:
        return None
    work = pair_distances_backward(gradient.numel, first.shape[-1], _order(call, 3))
    return work + _read_and_made(call, first)


@register("aten::_pdist_forward")
def _pdist(call: Call) -> Work | None:
    """Distances of all pairs of n points: n (n - 1) / 2."""
    points = tensor(call, 0)
    if points is None:
        return None
    pairs = points.shape[0] * (points.shape[0] - 1) // 2
    moved = Work(bytes_read=points.bytes, bytes_written=pairs * points.item_bytes)
    return pair_distances(pairs, points.shape[1], _order(call, 1)) + moved


@register("aten::_pdist_backward")
def _pdist_backward(call: Call) -> Work | None:
    """`(grad, self, p, pdist)`: both points of each pair get their gradient."""
    gradient, points = tensor(call, 0), tensor(call, 1)
    if gradient is None or points is None:
        return None
    pairs, power = gradient.numel, _order(call, 2)
    work = pair_distances_backward(pairs, points.shape[-1], power, ends=2)
    return work + _read_and_made(call, points)


def _read_and_made(call: Call, made: TensorSpec) -> Work:
    read = sum(spec.bytes for spec in call.tensors)
    return Work(bytes_read=read, bytes_written=made.numel * made.item_bytes)
