"""A Triton kernel that does nothing: what launching one costs, arguments and all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import triton
import triton.language as tl

from goodput_kernels.candidate import Candidate
from goodput_kernels.triton_architecture import Architecture, architecture_of
from goodput_kernels.triton_compile import Source, compiled_call

OPTIONS: dict[str, Any] = {"num_warps": 1, "enable_fp_fusion": True}
"""What the compiler is told beside the kernel."""


@triton.jit
def empty_kernel(values: tl.tensor) -> None:
    """Nothing, with one argument, as a kernel that did something would have."""
    tl.static_assert(values.dtype.is_ptr())


def candidates(
    device: str = "cuda", architecture: Architecture | None = None
) -> tuple[Candidate, ...]:
    """The empty kernel in one program; none on a chip without kernels."""
    if (architecture or architecture_of(device)) is None:
        return ()
    prepare = partial(_prepare, device)
    return (Candidate("empty kernel", "Triton", "calls", 1, prepare),)


def source() -> Source:
    """The kernel as it is compiled."""
    return Source(empty_kernel, {"values": "*fp32"}, {}, OPTIONS)


def _prepare(device: str) -> Callable[[], object]:
    import torch

    values = torch.ones(1, device=device)

    def call() -> object:
        empty_kernel[(1,)](values, **OPTIONS)
        return None

    return compiled_call(call, "the empty kernel")
