"""Memory traffic of one mix over one footprint, again and again, so that a small one stays cached.

Footprint: bytes of distinct memory. Traffic: each tensor read once, each written once a call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from goodput_kernels.candidate import Candidate
from goodput_kernels.threads import one_thread

_ITEM = 4
_Make = Callable[[int, str], Callable[[], object]]


def candidates(mix: str, footprint_bytes: int, device: str = "cpu") -> tuple[Candidate, ...]:
    """The ways to move bytes in `mix` (`read`, `copy`, `in-place`).

    On a CPU on one thread as well: waking the others takes longer than a small footprint does,
    and on a busy machine the slowest of them is waited for.
    """
    found = _candidates(mix, footprint_bytes, device)
    if device != "cpu":
        return found
    return (*found, *(one_thread(c) for c in found if c.library == "torch" and mix != "copy"))


def _candidates(mix: str, footprint_bytes: int, device: str) -> tuple[Candidate, ...]:
    kernels = {"read": _READ, "copy": _COPY, "in-place": _IN_PLACE}[mix]
    passes = 2 if mix == "in-place" else 1  # in place, each byte is read and written
    elements = max(footprint_bytes // _ITEM // 2, 1) * 2
    return tuple(
        Candidate(
            name=f"{name} of {footprint_bytes} bytes",
            library=library,
            unit="bytes",
            amount=elements * _ITEM * passes,
            prepare=partial(make, elements, device),
            working_set_bytes=elements * _ITEM,
        )
        for library, name, make in kernels
        if library == "torch" or device == "cpu"
    )


def _sum(elements: int, device: str) -> Callable[[], object]:
    import torch

    return torch.ones(elements, device=device).sum


def _dot(elements: int, device: str) -> Callable[[], object]:
    import torch

    return partial(torch.dot, *torch.ones((2, elements // 2), device=device))


def _copy(elements: int, device: str) -> Callable[[], object]:
    import torch

    source, target = torch.ones((2, elements // 2), device=device)
    return partial(target.copy_, source)


def _numpy_copy(elements: int, _: str) -> Callable[[], object]:
    import numpy as np

    source, target = np.ones((2, elements // 2), np.float32)

    def copy() -> object:
        np.copyto(target, source)
        return target

    return copy


def _negate(elements: int, device: str) -> Callable[[], object]:
    import torch

    return torch.ones(elements, device=device).neg_


_Kernels = tuple[tuple[str, str, _Make], ...]
_READ: _Kernels = (("torch", "sum", _sum), ("torch", "dot", _dot))
_COPY: _Kernels = (("torch", "copy_", _copy), ("NumPy", "copyto", _numpy_copy))
_IN_PLACE: _Kernels = (("torch", "neg_", _negate),)
