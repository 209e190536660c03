"""PyTorch's convolutions in neutral terms, under every name that a back end gives them.

One row of a table says where an operator keeps what. Composites (conv2d, thnn_conv2d) stay
unregistered: the convolution that runs inside them is counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from goodput.formulas.aten_arguments import flag, flags, integer, integers, tensor
from goodput.formulas.contraction import real_products
from goodput.formulas.convolution import (
    Convolution,
    convolution,
    output_positions,
    transposed_output_positions,
)
from goodput.formulas.modes import matrix_operator
from goodput.formulas.registry import register
from goodput.work import Call, TensorSpec, Work


@dataclass(frozen=True, slots=True)
class Row:
    """Where a forward operator keeps its arguments; -1 for what it does not have.

    Attributes:
        stride, padding, dilation, output_padding, bias, groups: places in the schema.
        transposed: place of the flag; `always` says that it is transposed without one.
        also: place of a tensor added to the result.
        activation: FLOPs a result after the product.
    """

    stride: int
    padding: int
    dilation: int = -1
    bias: int = 2
    groups: int = -1
    transposed: int = -1
    output_padding: int = -1
    also: int = -1
    activation: int = 0
    always: bool = False


_GENERAL = Row(3, 4, 5, transposed=6, output_padding=7, groups=8)
_PADDING_FIRST = Row(4, 3, 5, groups=6)
_KERNEL_SIZED = Row(4, 5, 6, bias=3)
_KERNEL_SIZED_TRANSPOSED = Row(4, 5, 7, bias=3, output_padding=6, always=True)
_ADD_RELU = Row(5, 6, 7, bias=4, groups=8, also=2, activation=2)

FORWARD: Mapping[str, Row] = {
    "aten::convolution": _GENERAL,
    "aten::_convolution": _GENERAL,
    "aten::convolution_overrideable": _GENERAL,
    "aten::mkldnn_convolution": _PADDING_FIRST,
    "aten::_mps_convolution": _PADDING_FIRST,
    "aten::miopen_convolution": _PADDING_FIRST,
    "aten::miopen_depthwise_convolution": _PADDING_FIRST,
    "aten::miopen_convolution_transpose": Row(5, 3, 6, output_padding=4, groups=7, always=True),
    "aten::miopen_convolution_relu": Row(3, 4, 5, groups=6, activation=1),
    "aten::miopen_convolution_add_relu": _ADD_RELU,
    "aten::cudnn_convolution": Row(3, 2, 4, bias=-1, groups=5),
    "aten::cudnn_convolution_transpose": Row(
        4, 2, 5, bias=-1, output_padding=3, groups=6, always=True
    ),
    "aten::cudnn_convolution_relu": Row(3, 4, 5, groups=6, activation=1),
    "aten::cudnn_convolution_add_relu": _ADD_RELU,
    "aten::_conv_depthwise2d": _KERNEL_SIZED,
    "aten::conv_depthwise3d": _KERNEL_SIZED,
    "aten::_slow_conv2d_forward": _KERNEL_SIZED,
    "aten::slow_conv3d_forward": _KERNEL_SIZED,
    "aten::slow_conv_dilated2d": _KERNEL_SIZED,
    "aten::slow_conv_dilated3d": _KERNEL_SIZED,
    "aten::slow_conv_transpose2d": _KERNEL_SIZED_TRANSPOSED,
    "aten::slow_conv_transpose3d": _KERNEL_SIZED_TRANSPOSED,
    "aten::_nnpack_spatial_convolution": Row(4, 3),
}
"""Where each forward operator keeps its arguments (`_slow_*_forward` have no dilation: it is 1)."""

_NO_DILATION = ("aten::_slow_conv2d_forward", "aten::slow_conv3d_forward")


def _sized(call: Call, place: int, dimensions: int, default: int) -> tuple[int, ...] | None:
    """The list at `place`, one value meaning the same in every dimension; None where unknown."""
    if place < 0:
        return (default,) * dimensions
    found = integers(call, place)
    if not found:
        return None
    return found * dimensions if len(found) == 1 else found


def _batched(spec: TensorSpec, weight: TensorSpec) -> tuple[int, ...]:
    """The shape as [images, channels, ...]: a single image has no first dimension."""
    return spec.shape if len(spec.shape) == len(weight.shape) else (1, *spec.shape)


def _transposed(call: Call, row: Row) -> bool | None:
    if row.always or row.transposed < 0:
        return row.always
    return flag(call, row.transposed)


def _result_positions(
    call: Call, row: Row, sizes: tuple[int, ...], kernel: tuple[int, ...], *, transposed: bool
) -> tuple[int, ...] | None:
    """The spatial shape of the result; None where a stride is unknown."""
    rank = len(kernel)
    stride, padding = _sized(call, row.stride, rank, 1), _sized(call, row.padding, rank, 0)
    place = -1 if call.name in _NO_DILATION else row.dilation
    dilation = _sized(call, place, rank, 1)
    if stride is None or padding is None or dilation is None:
        return call.outputs[0].shape[-rank:] if call.outputs else None
    if not transposed:
        return output_positions(sizes, kernel, stride, padding, dilation)
    extra = _sized(call, row.output_padding, rank, 0) or (0,) * rank
    return transposed_output_positions(sizes, kernel, stride, padding, dilation, extra)


def _forward(call: Call) -> Work | None:
    row = FORWARD[call.name]
    source, weight, transposed = tensor(call, 0), tensor(call, 1), _transposed(call, row)
    if source is None or weight is None or transposed is None:
        return None
    images, _, *sizes = _batched(source, weight)
    result = _result_positions(call, row, tuple(sizes), weight.shape[2:], transposed=transposed)
    groups = integer(call, row.groups) if row.groups >= 0 else 1
    if result is None or (transposed and groups is None):
        return None
    real = real_products(source.dtype, weight.dtype)
    product = convolution(images, sizes if transposed else result, weight.shape, real)
    channels = weight.shape[1] * (groups or 1) if transposed else weight.shape[0]
    elements = images * channels * math.prod(result)
    return product.forward + _around(call, row, source, weight, elements)


def _around(call: Call, row: Row, source: TensorSpec, weight: TensorSpec, elements: int) -> Work:
    """Bias, addend and activation, and the bytes: inputs read once, the result written once."""
    optional = [tensor(call, place) for place in (row.bias, row.also) if place >= 0]
    added = [spec for spec in optional if spec is not None]
    biased = row.bias >= 0 and tensor(call, row.bias) is not None
    return Work(
        vector_flops=elements * (biased + row.activation),
        bytes_read=source.bytes + weight.bytes + sum(spec.bytes for spec in added),
        bytes_written=elements * source.item_bytes,
    )


for _name in FORWARD:
    matrix_operator(_name)(register(_name)(_forward))


@dataclass(frozen=True, slots=True)
class BackwardRow:
    """Where a backward operator keeps its tensors; its output mask is its last list of bools.

    Attributes:
        gradient, source, weight: places of the output gradient, the input and the weight.
        transposed: place of the flag; -1 where there is none and `always` says.
    """

    gradient: int
    source: int
    weight: int = 2
    transposed: int = -1
    always: bool = False


_GRADIENT_FIRST = BackwardRow(0, 1)
_INPUT_FIRST = BackwardRow(1, 0)
_INPUT_FIRST_TRANSPOSED = BackwardRow(1, 0, always=True)

BACKWARD: Mapping[str, BackwardRow] = {
    "aten::convolution_backward": BackwardRow(0, 1, transposed=7),
    "aten::convolution_backward_overrideable": BackwardRow(0, 1, transposed=6),
    "aten::_slow_conv2d_backward": _GRADIENT_FIRST,
    "aten::mps_convolution_backward": _INPUT_FIRST,
    "aten::mps_convolution_transpose_backward": _INPUT_FIRST_TRANSPOSED,
    # Names of traces made before torch 1.11, which had one operator a back end.
    "aten::cudnn_convolution_backward": _INPUT_FIRST,
    "aten::cudnn_convolution_transpose_backward": _INPUT_FIRST_TRANSPOSED,
    "aten::miopen_convolution_backward": _INPUT_FIRST,
    "aten::miopen_depthwise_convolution_backward": _INPUT_FIRST,
    "aten::miopen_convolution_transpose_backward": _INPUT_FIRST_TRANSPOSED,
    "aten::mkldnn_convolution_backward": _INPUT_FIRST,
    "aten::conv_depthwise3d_backward": _GRADIENT_FIRST,
    "aten::_conv_depthwise2d_backward": _GRADIENT_FIRST,
    "aten::conv_depthwise2d_backward": _GRADIENT_FIRST,
    "aten::slow_conv_dilated2d_backward": _GRADIENT_FIRST,
    "aten::slow_conv_dilated3d_backward": _GRADIENT_FIRST,
    "aten::slow_conv_transpose2d_backward": BackwardRow(0, 1, always=True),
    "aten::slow_conv_transpose3d_backward": BackwardRow(0, 1, always=True),
    "aten::thnn_conv2d_backward": _GRADIENT_FIRST,
    "aten::slow_conv3d_backward": _GRADIENT_FIRST,
}
"""Where each backward operator keeps its tensors."""


def _mask(call: Call) -> tuple[bool, bool, bool] | None:
    """Which of (input, weight, bias) gradients are made; None where the trace does not say."""
    places = range(len(call.inputs) - 1, -1, -1)
    found = next((mask for place in places if (mask := flags(call, place))), None)
    if found is None:
        return None
    of_input, of_weight, *of_bias = found
    return of_input, of_weight, any(of_bias)


def _backward(call: Call) -> Work | None:
    row, mask = BACKWARD[call.name], _mask(call)
    gradient = tensor(call, row.gradient)
    source, weight = tensor(call, row.source), tensor(call, row.weight)
    transposed = row.always if row.transposed < 0 else flag(call, row.transposed)
    if gradient is None or source is None or weight is None or mask is None or transposed is None:
        return None
    images, _, *positions = _batched(source if transposed else gradient, weight)
    real = real_products(gradient.dtype, weight.dtype)
    product = convolution(images, positions, weight.shape, real)
    return _gradients(product, mask, gradient, source, weight)


def _gradients(
    product: Convolution,
    mask: tuple[bool, bool, bool],
    gradient: TensorSpec,
    source: TensorSpec,
    weight: TensorSpec,
) -> Work:
    """The products that the mask asks for; a bias gradient is one add an output element."""
    of_input, of_weight, of_bias = mask
    channels = _batched(gradient, weight)[1]
    read = (weight.bytes if of_input else 0) + (source.bytes if of_weight else 0)
    written = (of_input * source.numel) + (of_weight * weight.numel) + (of_bias * channels)
    around = Work(
        vector_flops=gradient.numel if of_bias else 0,
        bytes_read=read + (gradient.bytes if any(mask) else 0),
        bytes_written=written * weight.item_bytes,
    )
    return product.backward(of_input=of_input, of_weight=of_weight) + around


for _name in BACKWARD:
    matrix_operator(_name, operand=BACKWARD[_name].gradient)(register(_name)(_backward))
