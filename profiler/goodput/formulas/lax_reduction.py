"""JAX's reductions, running and windowed ones, sorts: as much as their counterparts of torch."""

from __future__ import annotations

import math

from goodput.formulas.lax_parameters import integer, integers, moved, tensor
from goodput.formulas.pointwise import is_floating
from goodput.formulas.reduction import reduction, scan
from goodput.formulas.registry import register
from goodput.work import Call, Work

_LOGSUMEXP_FLOPS, _LOGSUMEXP_SPECIAL = 4, 2
"""`max + log1p(exp(-|a - b|))`."""


@register(
    "lax::reduce_sum",
    "lax::reduce_prod",
    "lax::reduce_max",
    "lax::reduce_min",
    "lax::argmax",
    "lax::argmin",
)
def _reduce(call: Call) -> Work:
    """One FLOP for each element but the first of each result."""
    return reduction(tensor(call, 0), call.outputs, flops=1, output_flops=-1)


@register(
    "lax::reduce_and",
    "lax::reduce_or",
    "lax::reduce_xor",
    "lax::approx_top_k",
    "lax::sort",
    "lax::top_k",
)
def _compare(call: Call) -> Work:
    """Logic and comparisons are 0 FLOPs."""
    return moved(call)


@register("lax::cumsum", "lax::cumprod", "lax::cummax", "lax::cummin")
def _running(call: Call) -> Work:
    source = tensor(call, 0)
    return scan(source, call.outputs, source.shape[integer(call, "axis", 0)])


@register("lax::cumlogsumexp")
def _running_logsumexp(call: Call) -> Work:
    source = tensor(call, 0)
    size = source.shape[integer(call, "axis", 0)]
    work = scan(source, call.outputs, size, flops=_LOGSUMEXP_FLOPS)
    return work + Work(special=work.vector_flops // _LOGSUMEXP_FLOPS * _LOGSUMEXP_SPECIAL)


@register(
    "lax::reduce_window_sum",
    "lax::reduce_window_max",
    "lax::reduce_window_min",
    "lax::select_and_gather_add",
)
def _windowed(call: Call) -> Work:
    """One FLOP for each element of a window but its first; padding counts."""
    out = call.outputs[0]
    taps = math.prod(integers(call, "window_dimensions"))
    return Work(vector_flops=out.numel * (taps - 1) * is_floating(out.dtype)) + moved(call)


@register("lax::select_and_scatter_add")
def _scattered(call: Call) -> Work:
    """The gradient of a maximum over windows: each element is added to its place."""
    gradient = tensor(call, 0)
    return Work(vector_flops=gradient.numel * is_floating(gradient.dtype)) + moved(call)
