"""The door to the Triton kernels: candidates where Triton is installed, and none where it is not.

Triton and torch are imported only when candidates are asked for, and only for a device.
"""

from __future__ import annotations

from importlib.util import find_spec

from goodput_kernels.candidate import Candidate
from goodput_kernels.operands import RANDOM


def matmul(
    mode: str, batch: int, m: int, n: int, k: int, device: str, data: str = RANDOM
) -> tuple[Candidate, ...]:
    """This product, as `goodput_kernels.matmul.candidates` names it, by each tile for the chip."""
    if not _runs_on(device):
        return ()
    from goodput_kernels import triton_matmul

    return triton_matmul.candidates(mode, batch, m, n, k, device, data)


def _runs_on(device: str) -> bool:
    return device != "cpu" and find_spec("triton") is not None
