"""The shortest operators: one element, so that nothing but the call itself takes time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from goodput_kernels.candidate import Candidate

OPERATORS = ("zero_", "neg_")


def candidates(device: str = "cpu") -> tuple[Candidate, ...]:
    """Each of `OPERATORS` on one float32 value."""
    return tuple(
        Candidate(
            name=f"{name} of one value",
            library="torch",
            unit="calls",
            amount=1,
            prepare=partial(_prepare, name, device),
            working_set_bytes=4,
        )
        for name in OPERATORS
    )


def _prepare(name: str, device: str) -> Callable[[], object]:
    import torch

    call: Callable[[], object] = getattr(torch.ones(1, device=device), name)
    return call
