"""Which arithmetic float32 operands get: strict float32, or TF32 where asked for.

The switches are process-wide and may have been set by the program, so each is put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def float32_math(mode: str) -> Iterator[None]:
    """Inside, float32 products run as TF32 if `mode` is `tf32`, else as IEEE float32.

    Uses torch's `fp32_precision` switches (torch 2.9 and newer; tried on 2.13): the older
    `allow_tf32` raises where both kinds were used.
    """
    import torch

    backends: Any = torch.backends  # its stubs lack the switches
    switches = (
        backends.cuda.matmul,
        backends.cudnn.conv,
        backends.mkldnn.matmul,
        backends.mkldnn.conv,
    )
    before = [switch.fp32_precision for switch in switches]
    for switch in switches:
        # oneDNN has no TF32 on a CPU; strict there.
        cuda = switch in switches[:2]
        switch.fp32_precision = "tf32" if mode == "tf32" and cuda else "ieee"
    try:
        yield
    finally:
        for switch, precision in zip(switches, before, strict=True):
            switch.fp32_precision = precision
