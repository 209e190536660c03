"""PyTorch's pooling, upsampling and grid sampling, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

from goodput.formulas.aten_recorded import (
    UnrecordedError,
    argument,
    flag,
    formula,
    integers,
    optional_tensor,
    output_mask,
    tensor,
)
from goodput.formulas.resampling import (
    adaptive_taps,
    antialiased_taps,
    interpolate,
    interpolate_backward,
    pool,
    pooled_size,
    scattered,
    spread,
)
from goodput.work import Call, TensorSpec, Work


def _each(call: Call, place: int, rank: int, default: Sequence[int]) -> tuple[int, ...]:
    """A per-dimension setting: one number serves all dimensions, none is the default."""
    value = argument(call, place)
    sizes = tuple(default) if value in (None, ()) else integers(call, place)
    if not sizes:
        raise UnrecordedError
    return sizes * rank if len(sizes) == 1 else sizes


def _dense(shape: Sequence[int], like: TensorSpec) -> TensorSpec:
    return TensorSpec(tuple(shape), like.dtype)


def _resized(source: TensorSpec, sizes: Sequence[int]) -> TensorSpec:
    """`source` with other sizes in its last dimensions."""
    kept = source.shape[: len(source.shape) - len(sizes)]
    return _dense((*kept, *sizes), source)


def max_pool(rank: int, call: Call, *, indices: bool = True) -> Work:
    """A maximum over windows: one comparison (a maximum, 1 FLOP) per further tap."""
    source = tensor(call, 0)
    kernel = _each(call, 1, rank, ())
    stride = _each(call, 2, rank, kernel)
    padding, dilation = _each(call, 3, rank, (0,)), _each(call, 4, rank, (1,))
    sizes = [
        pooled_size(*window, up=flag(call, 5))
        for window in zip(source.shape[-rank:], kernel, stride, padding, dilation, strict=True)
    ]
    out = _resized(source, sizes)
    return pool(source, out, out.numel * math.prod(kernel), indices=indices)


def max_pool_backward(place: int, call: Call) -> Work:
    """The gradient of a maximum over windows, through the indices at `place`."""
    return scattered(tensor(call, 0), tensor(call, 1), optional_tensor(call, place))


def unpool(rank: int, call: Call) -> Work:
    """Maxima put back to their places in zeros."""
    source, indices = tensor(call, 0), tensor(call, 1)
    out = _resized(source, _each(call, 2, rank, ()))
    return Work(bytes_read=source.bytes + indices.bytes, bytes_written=out.bytes)


def average_pool(rank: int, call: Call) -> Work:
    """A mean over windows."""
    source = tensor(call, 0)
    kernel = _each(call, 1, rank, ())
    stride, padding = _each(call, 2, rank, kernel), _each(call, 3, rank, (0,))
    sizes = [
        pooled_size(*window, 1, up=flag(call, 4))
        for window in zip(source.shape[-rank:], kernel, stride, padding, strict=True)
    ]
    out = _resized(source, sizes)
    return pool(source, out, out.numel * math.prod(kernel), divides=True)


def average_pool_backward(rank: int, call: Call) -> Work:
    """The gradient of a mean over windows."""
    gradient = tensor(call, 0)
    taps = gradient.numel * math.prod(_each(call, 2, rank, ()))
    return spread(gradient, tensor(call, 1), taps)


def adaptive_pool(rank: int, call: Call, *, maximum: bool = False) -> Work:
    """A mean or maximum over windows that cover the input in a given number of steps."""
    source = tensor(call, 0)
    sizes = _each(call, 1, rank, ())
    out = _resized(source, sizes)
    planes = math.prod(source.shape[:-rank])
    taps = planes * adaptive_taps(source.shape[-rank:], sizes)
    return pool(source, out, taps, indices=maximum, divides=not maximum)


def adaptive_average_backward(rank: int, call: Call) -> Work:
    """The gradient of an adaptive mean."""
    gradient, source = tensor(call, 0), tensor(call, 1)
    planes = math.prod(source.shape[:-rank])
    taps = planes * adaptive_taps(source.shape[-rank:], gradient.shape[-rank:])
    return spread(gradient, source, taps)


def upsampled(call: Call, rank: int) -> TensorSpec:
    """The output of an interpolation: of a given size, or of a given scale."""
    source = tensor(call, 0)
    if argument(call, 1) is not None:
        return _resized(source, integers(call, 1))
    for value in call.inputs[2:]:
        if isinstance(value, tuple) and len(value) == rank:
            scales = [item for item in value if isinstance(item, int | float)]
            sizes = zip(source.shape[-rank:], scales, strict=True)
            return _resized(source, [int(size * scale) for size, scale in sizes])
    raise UnrecordedError


def upsample(rank: int, taps: int, call: Call) -> Work:
    """An interpolation from `taps` neighbours in each of `rank` dimensions."""
    return interpolate(tensor(call, 0), upsampled(call, rank), taps**rank)


def upsample_backward(rank: int, taps: int, call: Call) -> Work:
    """The gradient of an interpolation."""
    gradient = tensor(call, 0)
    return interpolate_backward(gradient, _dense(integers(call, 2), gradient), taps**rank)


def upsample_antialiased(support: int, call: Call) -> Work:
    """An antialiased interpolation: first along rows, then along columns."""
    source, out = tensor(call, 0), upsampled(call, 2)
    (height, width), (high, wide) = source.shape[-2:], out.shape[-2:]
    rows = _resized(source, (height, wide))
    across = interpolate(source, rows, antialiased_taps(width, wide, support))
    down = interpolate(rows, out, antialiased_taps(height, high, support))
    return Work(
        vector_flops=across.vector_flops + down.vector_flops,
        bytes_read=source.bytes,
        bytes_written=out.bytes,
    )


def upsample_antialiased_backward(support: int, call: Call) -> Work:
    """The gradient of an antialiased interpolation."""
    gradient = tensor(call, 0)
    source = _dense(integers(call, 2), gradient)
    (height, width), (high, wide) = source.shape[-2:], gradient.shape[-2:]
    rows = _resized(source, (height, wide))
    up = interpolate_backward(gradient, rows, antialiased_taps(height, high, support))
    across = interpolate_backward(rows, source, antialiased_taps(width, wide, support))
    return Work(
        vector_flops=up.vector_flops + across.vector_flops,
        bytes_read=gradient.bytes,
        bytes_written=source.bytes,
    )


GRID_TAPS = {0: 2, 1: 1, 2: 4}
"""Neighbours per dimension of a grid sample: bilinear, nearest, bicubic."""


def grid_sample(rank: int, call: Call) -> Work:
    """An interpolation at given points; per coordinate 2 FLOPs make it an image position."""
    source, grid = tensor(call, 0), tensor(call, 1)
    mode = argument(call, 2)
    taps = GRID_TAPS[mode if isinstance(mode, int) else 0] ** rank
    out = _dense((*source.shape[:2], *grid.shape[1:-1]), source)
    placed = Work(vector_flops=2 * grid.numel, bytes_read=grid.bytes)
    return interpolate(source, out, taps) + placed


def grid_sample_backward(rank: int, call: Call) -> Work:
    """The gradients of a grid sample: of the image, and of the points if asked."""
    gradient, source, grid = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    wants_source, wants_grid = output_mask(call, 6, 2)
    mode = argument(call, 3)
    taps = GRID_TAPS[mode if isinstance(mode, int) else 0] ** rank
    flops = (2 * taps if taps > 1 else 1) * wants_source + 2 * taps * rank * wants_grid
    return Work(
        vector_flops=flops * gradient.numel,
        bytes_read=gradient.bytes + grid.bytes + (source.bytes if wants_grid else 0),
        bytes_written=source.numel * source.item_bytes * wants_source
        + grid.numel * grid.item_bytes * wants_grid,
    )


UPSAMPLINGS: Mapping[str, tuple[int, int]] = {
    "upsample_nearest1d": (1, 1),
    "upsample_nearest2d": (2, 1),
    "upsample_nearest3d": (3, 1),
    "_upsample_nearest_exact1d": (1, 1),
    "_upsample_nearest_exact2d": (2, 1),
    "_upsample_nearest_exact3d": (3, 1),
    "upsample_linear1d": (1, 2),
    "upsample_bilinear2d": (2, 2),
    "upsample_trilinear3d": (3, 2),
    "upsample_bicubic2d": (2, 4),
}
"""Dimensions, and neighbours in each of them."""

ANTIALIASED: Mapping[str, int] = {"_upsample_bilinear2d_aa": 2, "_upsample_bicubic2d_aa": 4}
"""Width of the filter."""

for _name, (_rank, _taps) in UPSAMPLINGS.items():
    formula(f"aten::{_name}")(partial(upsample, _rank, _taps))
    formula(f"aten::{_name}_backward")(partial(upsample_backward, _rank, _taps))
for _name, _support in ANTIALIASED.items():
    formula(f"aten::{_name}")(partial(upsample_antialiased, _support))
    formula(f"aten::{_name}_backward")(partial(upsample_antialiased_backward, _support))
formula("aten::mkldnn_adaptive_avg_pool2d")(partial(adaptive_pool, 2))
formula("aten::mkldnn_adaptive_avg_pool2d_backward")(partial(adaptive_average_backward, 2))
formula("aten::max_unpool2d")(partial(unpool, 2))
formula("aten::max_unpool3d")(partial(unpool, 3))
for _rank in (2, 3):
    _n = f"{_rank}d"
    formula(f"aten::max_pool{_n}_with_indices")(partial(max_pool, _rank))
    formula(f"aten::max_pool{_n}_with_indices_backward")(partial(max_pool_backward, 7))
    formula(f"aten::mkldnn_max_pool{_n}")(partial(max_pool, _rank, indices=False))
    formula(f"aten::avg_pool{_n}")(partial(average_pool, _rank))
    formula(f"aten::avg_pool{_n}_backward")(partial(average_pool_backward, _rank))
    formula(f"aten::_adaptive_avg_pool{_n}")(partial(adaptive_pool, _rank))
    formula(f"aten::_adaptive_avg_pool{_n}_backward")(partial(adaptive_average_backward, _rank))
    formula(f"aten::adaptive_max_pool{_n}")(partial(adaptive_pool, _rank, maximum=True))
    formula(f"aten::adaptive_max_pool{_n}_backward")(partial(max_pool_backward, 2))
    formula(f"aten::grid_sampler_{_n}")(partial(grid_sample, _rank))
    formula(f"aten::grid_sampler_{_n}_backward")(partial(grid_sample_backward, _rank))
