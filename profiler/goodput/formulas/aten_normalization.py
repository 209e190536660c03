"""PyTorch's layer, RMS, group and batch norms, forward and backward, and weight norm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from goodput.formulas.aten_recorded import (
    UnrecordedError,
    argument,
    flag,
    formula,
    integer,
    integers,
    optional_tensor,
    output_mask,
    tensor,
)
from goodput.formulas.normalization import normalize, normalize_backward, rescale
from goodput.work import ITEM_BYTES, Call, TensorSpec, Work

ALL = (True, True, True)


def accumulated_in(dtype: str) -> int:
    """Bytes of one saved statistic: at least float32."""
    return max(4, ITEM_BYTES.get(dtype, 4))


def _channels(source: TensorSpec) -> int:
    return source.shape[1] if len(source.shape) > 1 else source.numel


def _rows(call: Call, source: TensorSpec, place: int) -> tuple[int, int]:
    """How many rows a layer norm has, and how long they are; dimensions may come as None."""
    value = argument(call, place)
    if value is None or value == ():
        raise UnrecordedError
    size = math.prod(integers(call, place))
    return (source.numel // size if size else 0), size


def layer_norm(call: Call) -> Work:
    """A layer norm; it saves a mean and an inverse deviation a row."""
    source = tensor(call, 0)
    rows, _ = _rows(call, source, 1)
    affine = (optional_tensor(call, 2), optional_tensor(call, 3))
    statistics = 2 * rows * accumulated_in(source.dtype)
    return normalize(source, affine, rows, statistics=statistics)


def layer_norm_backward(call: Call) -> Work:
    """The gradients of a layer norm that its output mask asks for."""
    gradient, source = tensor(call, 0), tensor(call, 1)
    _, size = _rows(call, source, 2)
    saved = (tensor(call, 3), tensor(call, 4))
    weight, mask = optional_tensor(call, 5), output_mask(call, 7, 3)
    parameter = size * (weight or source).item_bytes
    return normalize_backward(gradient, source, weight, saved, mask, parameter_bytes=parameter)


def rms_norm(call: Call) -> Work:
    """An RMS norm; it saves an inverse root mean square a row."""
    source = tensor(call, 0)
    rows, _ = _rows(call, source, 1)
    affine = (optional_tensor(call, 2),)
    statistics = rows * accumulated_in(source.dtype)
    return normalize(source, affine, rows, statistics=statistics, centred=False)


def rms_norm_backward(call: Call) -> Work:
    """The gradients of an RMS norm that its output mask asks for."""
    gradient, source = tensor(call, 0), tensor(call, 1)
    _, size = _rows(call, source, 2)
    weight, mask = optional_tensor(call, 4), output_mask(call, 5, 2)
    return normalize_backward(
        gradient,
        source,
        weight,
        (tensor(call, 3),),
        (*mask, False),
        parameter_bytes=size * (weight or source).item_bytes,
        centred=False,
    )


def group_norm(call: Call) -> Work:
    """A group norm; it saves a mean and an inverse deviation for each sample's groups."""
    source = tensor(call, 0)
    groups = integer(call, 3) * integer(call, 6)
    affine = (optional_tensor(call, 1), optional_tensor(call, 2))
    statistics = 2 * groups * accumulated_in(source.dtype)
    return normalize(source, affine, groups, statistics=statistics)


def group_norm_backward(call: Call) -> Work:
    """The gradients of a group norm that its output mask asks for."""
    gradient, source = tensor(call, 0), tensor(call, 1)
    saved, weight = (tensor(call, 2), tensor(call, 3)), optional_tensor(call, 4)
    parameter = integer(call, 6) * (weight or source).item_bytes
    mask = output_mask(call, 9, 3)
    return normalize_backward(gradient, source, weight, saved, mask, parameter_bytes=parameter)


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """Where a batch norm's schema has its arguments.

    Attributes:
        moving: places of the running statistics; empty where it has none.
        training: place of the training flag, or the flag itself.
    """

    moving: tuple[int, ...] = (3, 4)
    training: int | bool = 5


BATCH_NORMS: Mapping[str, BatchNorm] = {
    "native_batch_norm": BatchNorm(),
    "cudnn_batch_norm": BatchNorm(),
    "miopen_batch_norm": BatchNorm(),
    "_native_batch_norm_legit_functional": BatchNorm(),
    "_native_batch_norm_legit_no_training": BatchNorm(training=False),
    "_batch_norm_with_update": BatchNorm(training=True),
    "_batch_norm_with_update_functional": BatchNorm(training=True),
    "_batch_norm_no_update": BatchNorm(training=False),
}


def batch_norm(row: BatchNorm, call: Call) -> Work:
    """A batch norm: in training with the batch's statistics, else with the running ones."""
    source = tensor(call, 0)
    channels = _channels(source)
    affine = (optional_tensor(call, 1), optional_tensor(call, 2))
    moving = tuple(optional_tensor(call, place) for place in row.moving)
    own = row.training if isinstance(row.training, bool) else flag(call, row.training)
    if not own and any(moving):
        return rescale(source, (*affine, *moving), channels)
    statistics = 2 * channels * accumulated_in(source.dtype)
    return normalize(source, affine, channels, statistics=statistics, moving=moving)


def legit_batch_norm(call: Call) -> Work:
    """`_native_batch_norm_legit`, whose second overload has no running statistics."""
    row = BatchNorm() if isinstance(argument(call, 3), TensorSpec) else BatchNorm((), 3)
    return batch_norm(row, call)


@dataclass(frozen=True, slots=True)
class BatchNormBackward:
    """Where the gradient of a batch norm has its arguments.

    Attributes:
        training: place of the training flag, or the flag itself.
        mask: place of the output mask; None where all three gradients are always made.
        swapped: whether the input comes before the gradient.
    """

    training: int | bool = 7
    mask: int | None = 9
    swapped: bool = False


BATCH_NORM_BACKWARDS: Mapping[str, BatchNormBackward] = {
    "native_batch_norm_backward": BatchNormBackward(),
    "batch_norm_backward": BatchNormBackward(),
    "cudnn_batch_norm_backward": BatchNormBackward(training=True, mask=None, swapped=True),
    "miopen_batch_norm_backward": BatchNormBackward(training=True, mask=None, swapped=True),
}


def batch_norm_backward(row: BatchNormBackward, call: Call) -> Work:
    """The gradients of a batch norm that its output mask asks for."""
    gradient, source = tensor(call, 0), tensor(call, 1)
    if row.swapped:
        gradient, source = source, gradient
    weight = optional_tensor(call, 2)
    training = row.training if isinstance(row.training, bool) else flag(call, row.training)
    saved = (5, 6) if training else (3, 4)
    parameter = _channels(source) * (weight.item_bytes if weight else accumulated_in(source.dtype))
    return normalize_backward(
        gradient,
        source,
        weight,
        tuple(optional_tensor(call, place) for place in saved),
        ALL if row.mask is None else output_mask(call, row.mask, 3),
        parameter_bytes=parameter,
        reduces=training,
    )


def batch_norm_statistics(call: Call) -> Work:
    """The mean and inverse deviation of every channel (synchronised batch norm's first half)."""
    source = tensor(call, 0)
    channels = _channels(source)
    return Work(
        vector_flops=4 * source.numel + channels,
        special=channels,
        bytes_read=source.bytes,
        bytes_written=2 * channels * accumulated_in(source.dtype),
    )


def batch_norm_elements(call: Call) -> Work:
    """Normalising with given statistics (synchronised batch norm's second half)."""
    parameters = tuple(optional_tensor(call, place) for place in range(1, 5))
    source = tensor(call, 0)
    return rescale(source, parameters, _channels(source))


def batch_norm_gradient_sums(call: Call) -> Work:
    """The sums over a batch that the gradients of a synchronised batch norm need."""
    gradient, source = tensor(call, 0), tensor(call, 1)
    outputs = 2 + sum(flag(call, place) for place in (6, 7))
    return Work(
        vector_flops=4 * source.numel,  # sum(g); subtract, multiply, add
        bytes_read=gradient.bytes + source.bytes + tensor(call, 2).bytes + tensor(call, 3).bytes,
        bytes_written=outputs * _channels(source) * accumulated_in(source.dtype),
    )


def batch_norm_gradient_elements(call: Call) -> Work:
    """The input gradient of a synchronised batch norm from those sums."""
    gradient, source = tensor(call, 0), tensor(call, 1)
    rest = tuple(optional_tensor(call, place) for place in range(2, 8))
    return Work(
        vector_flops=5 * source.numel,
        bytes_read=gradient.bytes + source.bytes + sum(item.bytes for item in rest if item),
        bytes_written=source.numel * source.item_bytes,
    )


def weight_norm(call: Call) -> Work:
    """`g v / |v|`: square and add, a root a row, one product per element."""
    direction, size = tensor(call, 0), tensor(call, 1)
    return Work(
        vector_flops=3 * direction.numel,
        special=size.numel,
        bytes_read=direction.bytes + size.bytes,
        bytes_written=direction.numel * direction.item_bytes + size.bytes,
    )


def weight_norm_backward(call: Call) -> Work:
    """The gradients of a weight norm: a dot product a row, then `a g - b v`."""
    gradient, direction, size = tensor(call, 0), tensor(call, 1), tensor(call, 2)
    return Work(
        vector_flops=5 * direction.numel,
        bytes_read=gradient.bytes + direction.bytes + size.bytes + tensor(call, 3).bytes,
        bytes_written=direction.numel * direction.item_bytes + size.bytes,
    )


formula("aten::native_layer_norm")(layer_norm)
formula("aten::native_layer_norm_backward")(layer_norm_backward)
formula("aten::_fused_rms_norm")(rms_norm)
formula("aten::_fused_rms_norm_backward")(rms_norm_backward)
formula("aten::native_group_norm")(group_norm)
formula("aten::native_group_norm_backward")(group_norm_backward)
for _name, _row in BATCH_NORMS.items():
    formula(f"aten::{_name}")(partial(batch_norm, _row))
formula("aten::_native_batch_norm_legit")(legit_batch_norm)
for _name, _backward in BATCH_NORM_BACKWARDS.items():
    formula(f"aten::{_name}")(partial(batch_norm_backward, _backward))
formula("aten::batch_norm_stats")(batch_norm_statistics)
formula("aten::batch_norm_elemt")(batch_norm_elements)
formula("aten::batch_norm_backward_reduce")(batch_norm_gradient_sums)
formula("aten::batch_norm_backward_elemt")(batch_norm_gradient_elements)
formula("aten::_weight_norm_interface")(weight_norm)
formula("aten::_weight_norm_interface_backward")(weight_norm_backward)
