"""Distances between points in neutral terms: one by one, or all at once by a product.

Pure integers; knows no framework and no bytes.
"""

from __future__ import annotations

import math

from goodput.formulas.contraction import contraction
from goodput.work import Work

_WITHOUT_ROOT = (0, 1, math.inf)


def pair_distances(pairs: int, coordinates: int, power: float = 2) -> Work:
    """Distances of order `power` of `pairs` of points taken coordinate by coordinate.

    Subtract, raise and add: 3 vector FLOP a coordinate, and one root a pair. Orders 0, 1 and
    infinity have no root; other orders than 2 raise by one special function a coordinate.
    """
    roots = 0 if power in _WITHOUT_ROOT else pairs
    raised = 0 if power in (*_WITHOUT_ROOT, 2) else pairs * coordinates
    return Work(vector_flops=3 * pairs * coordinates, special=roots + raised)


def product_distances(batch: int, p: int, r: int, coordinates: int) -> Work:
    """Euclidean distances of p and r points by one product: `|a - b|^2 = |a|^2 + |b|^2 - 2 a b`.

    The two squared norms go through the product as two more coordinates. Vector FLOPs: the norms
    (a square and an addition each, less one), -2 a, and a maximum with 0 before each root.
    """
    norms = batch * (p + r) * max(2 * coordinates - 1, 0)
    rest = Work(vector_flops=norms + batch * p * (coordinates + r), special=batch * p * r)
    return contraction(batch, p, r, coordinates + 2) + rest


def pair_distances_backward(pairs: int, coordinates: int, power: float, *, ends: int = 1) -> Work:
    """Gradients of distances of order `power` with respect to `ends` of the two points of a pair.

    The gradient of a coordinate is `g sign(d) |d|^(power - 1) / dist^(power - 1)`: a subtraction, a
    multiply by the pair's own factor, and an addition for each end. The factor is `g / dist` for
    power 2 and `g` for 1 and infinity; any other takes a power a pair and a power, an absolute
    value and a multiply a coordinate.
    """
    each = pairs * coordinates
    plain = Work(vector_flops=(2 + ends) * each)
    if power in _WITHOUT_ROOT:
        return plain
    if power == 2:
        return plain + Work(vector_flops=pairs)
    return plain + Work(vector_flops=2 * each + pairs, special=each + pairs)
