"""An operator call as a problem that a kernel can measure: the program's own convolutions."""

from __future__ import annotations

from collections.abc import Mapping

from goodput.work import Argument, Call, TensorSpec
from goodput_kernels.convolution import Convolution

# Where image, weight, stride, padding, dilation, transposed, output padding and groups stand in the
# schema of each operator, -1 where it has none.
_PLACES: Mapping[str, tuple[int, ...]] = {
    "aten::convolution": (0, 1, 3, 4, 5, 6, 7, 8),
    "aten::_convolution": (0, 1, 3, 4, 5, 6, 7, 8),
    "aten::convolution_overrideable": (0, 1, 3, 4, 5, 6, 7, 8),
    "aten::convolution_backward": (1, 2, 4, 5, 6, 7, 8, 9),
    "aten::conv1d": (0, 1, 3, 4, 5, -1, -1, 6),
    "aten::conv2d": (0, 1, 3, 4, 5, -1, -1, 6),
    "aten::conv3d": (0, 1, 3, 4, 5, -1, -1, 6),
}


def convolution_of(call: Call) -> Convolution | None:
    """The convolution that `call` is, or is the backward of; None for other operators."""
    places = _PLACES.get(call.name)
    if places is None:
        return None
    arguments = [call.inputs[p] if 0 <= p < len(call.inputs) else None for p in places]
    image, weight = arguments[:2]
    if not isinstance(image, TensorSpec) or not isinstance(weight, TensorSpec):
        return None
    rank = len(weight.shape) - 2
    if rank < 1 or len(image.shape) != rank + 2:
        return None
    stride, padding, dilation, extra = (
        _each(arguments[n], rank, default) for n, default in ((2, 1), (3, 0), (4, 1), (6, 0))
    )
    if stride is None or padding is None or dilation is None or extra is None:
        return None
    groups = arguments[7]
    return Convolution(
        mode="tf32" if call.attributes.get("tf32") is True else image.dtype,
        image=image.shape,
        weight=weight.shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        transposed=arguments[5] is True,
        output_padding=extra,
        groups=groups if isinstance(groups, int) else 1,
    )


def _each(value: Argument, rank: int, default: int) -> tuple[int, ...] | None:
    """One whole number a dimension; None for what is not that, such as padding "same"."""
    if value is None or value == ():
        return (default,) * rank
    values = value if isinstance(value, tuple) else (value,)
    whole = tuple(v for v in values if isinstance(v, int))
    if len(whole) != len(values) or len(whole) not in {1, rank}:
        return None
    return whole * (rank // len(whole))
