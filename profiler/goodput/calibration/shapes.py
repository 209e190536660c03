"""The program's own problems, cut to a size that is quick to measure."""

from __future__ import annotations

from dataclasses import replace

from goodput.work import Contraction
from goodput_kernels.convolution import Convolution


def cut_contraction(contraction: Contraction, most_flops: float) -> Contraction:
    """`contraction` with its longest sides halved until it has at most `most_flops` FLOPs.

    A batch is cut before a side, since each of its products is a whole one.
    """
    cut = contraction
    while cut.flops > most_flops and cut.flops > 2:
        side = "batch" if cut.batch > 1 else max("mnk", key=lambda name: getattr(cut, name))
        cut = replace(cut, **{side: (getattr(cut, side) + 1) // 2})
    return cut


def cut_convolution(convolution: Convolution, most_flops: float) -> Convolution | None:
    """`convolution` with its batch cut to at most `most_flops` FLOPs; None if one image is more."""
    batch, *rest = convolution.image
    single = replace(convolution, image=(1, *rest))
    fitting = min(batch, int(most_flops // max(single.flops, 1)))
    return replace(convolution, image=(fitting, *rest)) if fitting else None
