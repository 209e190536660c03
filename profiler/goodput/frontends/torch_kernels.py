"""The names of the kernels that a call really launches on a device, by torch's own profiler.

A library may fall back in silence: on other hardware's kernels, or on vector units where matrix
units were meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import torch

_MATRIX_MODES = frozenset({"bfloat16", "float16", "tf32", "float8_e4m3", "int8", "mxfp8", "nvfp4"})
"""Modes that a device does on its matrix units; strict float32 has none on NVIDIA."""

# cuBLAS's and CUTLASS's names of kernels on the vector units, and a plain matrix-vector product.
_VECTOR_KERNEL = re.compile(r"simt|sgemm|magma|gemv|reference", re.IGNORECASE)


def kernel_names(call: Callable[[], object]) -> tuple[str, ...]:
    """Names of the device kernels of one call, longest running first; empty where none ran."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        call()
        torch.cuda.synchronize()
    found: dict[str, float] = {}
    events: Any = profile.events()  # untyped in torch
    for event in events:
        if event.device_type.name == "CUDA":
            found[event.name] = found.get(event.name, 0.0) + event.device_time
    return tuple(sorted(found, key=lambda name: -found[name]))


def falls_back(mode: str, names: Iterable[str]) -> str:
    """The name of a kernel that does the work of `mode` on other units than meant; "" if none."""
    if mode not in _MATRIX_MODES:
        return ""
    return next((name for name in list(names)[:1] if _VECTOR_KERNEL.search(name)), "")
