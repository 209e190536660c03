"""Convolutions in neutral terms: 1-3 dimensions, strided, dilated, grouped and transposed.

Pure integers. Padding taps count, as in every published table: every output position meets every
tap. A Winograd or FFT kernel does less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from goodput.work import Work


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution by its multiply-adds: every position times every weight element.

    Attributes:
        images: batch size.
        positions: output positions of an image; of a transposed convolution, input positions.
        weights: elements of the weight, `out_channels in_channels taps / groups`.
        real: real multiply-adds in each multiply-add.

    At a position, an output channel (of a transposed convolution: an input channel) meets the
    `in_channels / groups` channels of its group under each tap, so the weight is used exactly once.
    """

    images: int
    positions: int
    weights: int
    real: int = 1

    @property
    def flops(self) -> int:
        """`2 images positions weights`."""
        return 2 * self.images * self.positions * self.weights * self.real

    @property
    def forward(self) -> Work:
        """The work of the forward pass."""
        return Work(flops=self.flops, dense_flops=self.flops)

    def backward(self, *, of_input: bool, of_weight: bool) -> Work:
        """The work of the gradients asked for, each as much as the forward pass.

        Each is linear in the output gradient and in the other operand, and meets the same
        (position, weight) pairs.
        """
        return self.forward * (of_input + of_weight)


def output_positions(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, ...]:
    """The spatial shape of the output: `floor((size + 2 p - d (k - 1) - 1) / s) + 1` each."""
    return tuple(
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    )


def transposed_output_positions(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
) -> tuple[int, ...]:
    """The spatial shape of a transposed one: `(size - 1) s - 2 p + d (k - 1) + o + 1` each."""
    return tuple(
        (size - 1) * s - 2 * p + d * (k - 1) + o + 1
        for size, k, s, p, d, o in zip(
            sizes, kernel, stride, padding, dilation, output_padding, strict=True
        )
    )


def convolution(
    images: int, positions: Sequence[int], weight: Sequence[int], real: int = 1
) -> Convolution:
    """The convolution over `positions` (a spatial shape) with a weight of shape `weight`."""
    return Convolution(images, math.prod(positions), math.prod(weight), real)
