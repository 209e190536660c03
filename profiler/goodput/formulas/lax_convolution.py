"""JAX's convolution in neutral terms.

XLA has one operator for a convolution, a transposed one (a dilated image) and both gradients. Each
is counted by the pairs of positions and taps that it shares with its forward pass, so that every
gradient is as much as the forward pass, padding taps included.
"""

from __future__ import annotations

from goodput.formulas.contraction import real_products
from goodput.formulas.convolution import convolution
from goodput.formulas.lax_parameters import integers, moved, tensor, text, whole
from goodput.formulas.modes import matrix_operator
from goodput.formulas.registry import register
from goodput.work import Call, Work

_CONVOLUTION = "lax::conv_general_dilated"

OF_INPUT, OF_WEIGHT = "input", "weight"
"""What the attribute `gradient` of a convolution in a backward pass says."""


@matrix_operator(_CONVOLUTION)
@register(_CONVOLUTION)
def _convolution(call: Call) -> Work:
    """Each element of an output position meets the weight's input channels under each tap."""
    image, weight, out = tensor(call, 0), tensor(call, 1), call.outputs[0]
    unknown = f"{call.name} has no dimension numbers"
    specs = whole_specs(call.attributes.get("dimension_numbers"), unknown)
    of_image, of_weight, of_out = specs
    pairs = [
        _pairs(
            tuple(
                spec.shape[dims[axis + 2]]
                for spec, dims in ((image, of_image), (weight, of_weight), (out, of_out))
            ),
            dilated=integers(call, "lhs_dilation")[axis] > 1,
            strided=integers(call, "window_strides")[axis] > 1,
            gradient=text(call, "gradient"),
        )
        for axis in range(len(of_image) - 2)
    ]
    channels = (out.shape[of_out[1]], weight.shape[of_weight[1]])
    problem = convolution(
        out.shape[of_out[0]],
        [positions for positions, _ in pairs],
        (*channels, *(taps for _, taps in pairs)),
        real_products(image.dtype, weight.dtype),
    )
    return problem.forward + moved(call)


def whole_specs(value: object, otherwise: str) -> tuple[tuple[int, ...], ...]:
    """The dimensions of image, weight and output: batch (or outputs), channels, then space.

    Raises:
        ValueError: there are none; `otherwise` says so.
    """
    if not isinstance(value, tuple) or len(value) != 3:
        raise ValueError(otherwise)
    return tuple(whole(spec, otherwise) for spec in value)


def _pairs(
    sizes: tuple[int, ...], *, dilated: bool, strided: bool, gradient: str
) -> tuple[int, int]:
    """Positions and taps along one dimension whose pairs the forward pass has, too.

    Of a plain one output positions and taps; of a transposed one, whose zeros between the pixels
    take part in nothing, input positions. The gradient of the input walks the other way; that of
    the weight has the output gradient for its taps.
    """
    image, taps, out = sizes
    if gradient == OF_INPUT:
        return (out, taps) if strided else (image, taps)
    if gradient == OF_WEIGHT:
        return (image, out) if dilated else (out, taps)
    return (image, taps) if dilated else (out, taps)
