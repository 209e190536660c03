"""Work of normalisation layers, forward and backward, in integers.

Elements `n` are normalised in `groups` (the rows of a layer norm, the channels of a batch norm),
each with one mean and one inverse deviation. Running statistics are a few FLOPs a group.
"""

from __future__ import annotations

from collections.abc import Sequence

from goodput.work import TensorSpec, Work

_GROUP_FLOPS = 3
"""Divide by the count twice and add epsilon, once a group."""


def written(tensor: TensorSpec) -> int:
    """Bytes of a fresh, dense tensor of that shape and dtype."""
    return tensor.numel * tensor.item_bytes


def bytes_of(tensors: Sequence[TensorSpec | None]) -> int:
    """Bytes of those tensors that are there."""
    return sum(tensor.bytes for tensor in tensors if tensor is not None)


def normalize(
    source: TensorSpec,
    affine: Sequence[TensorSpec | None],
    groups: int,
    *,
    statistics: int,
    centred: bool = True,
    moving: Sequence[TensorSpec | None] = (),
) -> Work:
    """Work of normalising with the tensor's own statistics.

    Per element: mean 1 and deviation 3 (2 where it is not centred), subtract and multiply 2 (1),
    and one for each of weight and bias. One rsqrt (special) a group.

    Args:
        source: the input; the output is as large.
        affine: weight and bias, where there are any.
        groups: how many means and deviations there are.
        statistics: bytes of the saved means and deviations.
        centred: whether the mean is subtracted; not in RMS norm.
        moving: running statistics, which are read and written: `(1 - a) r + a s`, 3 each.
    """
    factors = sum(item is not None for item in affine)
    running = [item for item in moving if item is not None]
    each = (6 if centred else 3) + factors
    return Work(
        vector_flops=each * source.numel
        + _GROUP_FLOPS * groups
        + 3 * sum(item.numel for item in running),
        special=groups,
        bytes_read=source.bytes + bytes_of(affine) + bytes_of(running),
        bytes_written=written(source) + statistics + bytes_of(running),
    )


def rescale(source: TensorSpec, parameters: Sequence[TensorSpec | None], groups: int) -> Work:
    """Work of normalising with given statistics: one multiply-add per element.

    Each group's factor and offset cost an addition, an rsqrt (special), two products and a
    subtraction.
    """
    return Work(
        vector_flops=2 * source.numel + 4 * groups,
        special=groups,
        bytes_read=source.bytes + bytes_of(parameters),
        bytes_written=written(source),
    )


def normalize_backward(
    gradient: TensorSpec,
    source: TensorSpec,
    weight: TensorSpec | None,
    statistics: Sequence[TensorSpec | None],
    mask: Sequence[bool],
    *,
    parameter_bytes: int,
    centred: bool = True,
    reduces: bool = True,
) -> Work:
    """Work of the gradients of a normalisation that the mask asks for.

    Per element: the normalised input 2 (1 where it is not centred) if input or weight gradient
    needs it; the input gradient `rstd (g w - mean(g w) - x mean(g w x))` 7 (5), and 1 for the
    weight; the weight gradient 2; the bias gradient 1.

    Args:
        gradient: of the output.
        source: the forward input; the input gradient is as large.
        weight: the scale, where there is one.
        statistics: saved means and deviations.
        mask: whether the gradients of input, weight and bias are made.
        parameter_bytes: bytes of the weight gradient, and of the bias gradient.
        centred: whether the mean was subtracted; not in RMS norm.
        reduces: whether the statistics depend on the input; not for a batch norm in evaluation,
            whose input gradient is 1 product per element.
    """
    wants_input, wants_weight, wants_bias = mask
    if not any(mask):
        return Work()
    normalised = (2 if centred else 1) * ((wants_input and reduces) or wants_weight)
    through = (7 if centred else 5) + (weight is not None) if reduces else 1
    each = normalised + through * wants_input + 2 * wants_weight + wants_bias
    needs_source = (wants_input and reduces) or wants_weight
    return Work(
        vector_flops=each * source.numel,
        bytes_read=gradient.bytes
        + (source.bytes + bytes_of(statistics) if needs_source else 0)
        + (bytes_of((weight,)) if wants_input else 0),
        bytes_written=written(source) * wants_input
        + parameter_bytes * (int(wants_weight) + int(wants_bias)),
    )
