"""Convolutions in one math mode, in both memory formats. A float32 one may beat every product."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from goodput_kernels.candidate import Candidate, Verification
from goodput_kernels.operands import MODES, item_bytes, random_tensor
from goodput_kernels.precision import float32_math
from goodput_kernels.verification import ROUNDOFF, Kernel, product_limit, verify, widened

# torch splits a complex convolution into real ones before it reaches a kernel.
_WITHOUT = ("int8", "float8_e4m3", "complex64", "complex128")
_IMAGES_COMPARED = 2


@dataclass(frozen=True, slots=True)
class Convolution:
    """One forward convolution.

    Attributes:
        mode: math mode.
        image: `[batch, channels in, *space]`.
        weight: `[channels out, channels in / groups, *kernel]`; transposed:
            `[channels in, channels out / groups, *kernel]`.
        stride, padding, dilation, output_padding: one value a dimension of space.
        transposed: whether it is a transposed convolution.
        groups: number of groups.
    """

    mode: str
    image: tuple[int, ...]
    weight: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool = False
    output_padding: tuple[int, ...] = ()
    groups: int = 1

    @property
    def result(self) -> tuple[int, ...]:
        """The shape of the result."""
        kernel = self.weight[2:]
        extra = self.output_padding or (0,) * len(kernel)
        space: list[int] = []
        for axis, size in enumerate(self.image[2:]):
            reach = self.dilation[axis] * (kernel[axis] - 1)
            if self.transposed:
                grown = (size - 1) * self.stride[axis] - 2 * self.padding[axis] + reach
                space.append(grown + extra[axis] + 1)
            else:
                fitting = size + 2 * self.padding[axis] - reach - 1
                space.append(fitting // self.stride[axis] + 1)
        channels = self.weight[1] * self.groups if self.transposed else self.weight[0]
        return (self.image[0], channels, *space)

    @property
    def flops(self) -> int:
        """2 for each product, padding taps included; `channels out x kernel` for each input tap."""
        walked = self.image if self.transposed else self.result
        return 2 * math.prod(walked) * math.prod(self.weight[1:])

    @property
    def taps(self) -> int:
        """Products in one number of the result, at most."""
        kernel = math.prod(self.weight[2:])
        return kernel * (self.image[1] // self.groups if self.transposed else self.weight[1])

    @property
    def name(self) -> str:
        """Shape of image and weight, and what differs from the plain case."""
        text = f"{_times(self.image)} * {_times(self.weight)}"
        plain = (1,) * len(self.stride)
        parts = [
            f"stride {_times(self.stride)}" * (self.stride != plain),
            f"padding {_times(self.padding)}" * any(self.padding),
            f"dilation {_times(self.dilation)}" * (self.dilation != plain),
            f"groups {self.groups}" * (self.groups != 1),
            "transposed" * self.transposed,
        ]
        return " ".join([text, *filter(None, parts)])


def _times(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def candidates(convolution: Convolution, device: str = "cpu") -> tuple[Candidate, ...]:
    """The convolution in the plain and, in 2 and 3 dimensions, in the channels-last format.

    None for a mode that there are no operands, or no convolutions, for. A library that uses fewer
    multiplies than are counted (Winograd) errs more, and may fail the verification for it.
    """
    if convolution.mode not in MODES or convolution.mode in _WITHOUT:
        return ()
    formats = [False, True] if len(convolution.stride) > 1 else [False]
    return tuple(_candidate(convolution, last, device) for last in formats)


def _candidate(convolution: Convolution, last: bool, device: str) -> Candidate:
    scope = partial(float32_math, convolution.mode)

    def check() -> Verification:
        with scope():
            return verify(_convolve(convolution, last, device), "images")

    return Candidate(
        name=f"conv{' channels-last' * last} {convolution.name} {convolution.mode}",
        library="torch",
        unit="flops",
        amount=convolution.flops,
        prepare=lambda: _convolve(convolution, last, device).call,
        working_set_bytes=_bytes(convolution),
        scope=scope,
        verify=check,
    )


def _bytes(convolution: Convolution) -> int:
    shapes = (convolution.image, convolution.weight, convolution.result)
    return sum(map(math.prod, shapes)) * item_bytes(convolution.mode)


def _convolve(convolution: Convolution, last: bool, device: str) -> Kernel:
    import torch

    image = random_tensor(convolution.image, convolution.mode, device)
    weight = random_tensor(convolution.weight, convolution.mode, device)
    if last:
        flat = len(convolution.stride) == 2
        form = torch.channels_last if flat else torch.channels_last_3d
        image, weight = image.to(memory_format=form), weight.to(memory_format=form)
    rest = (
        convolution.stride,
        convolution.padding,
        convolution.dilation,
        convolution.transposed,
        convolution.output_padding or (0,) * len(convolution.stride),
        convolution.groups,
    )

    return Kernel(
        call=partial(torch.convolution, image, weight, None, *rest),
        rows=convolution.image[0],
        expected=lambda images: torch.convolution(
            widened(image[images]), widened(weight), None, *rest
        ),
        limit=_limit(convolution),
        allocates=(convolution.result, image.dtype, device),
        sampled=_IMAGES_COMPARED,
    )


def _limit(convolution: Convolution) -> float:
    limit = product_limit(convolution.mode, convolution.taps)
    if not convolution.transposed:
        return limit
    # Plain libraries add one image a kernel tap, each rounded to the result's dtype.
    return limit + ROUNDOFF[convolution.mode] * math.sqrt(math.prod(convolution.weight[2:]))
