"""Elementwise operators on data that stays in cache: special functions, and multiply-adds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from goodput_kernels.candidate import Candidate

SPECIAL = ("exp", "tanh", "sigmoid", "erf", "sqrt", "rsqrt")


def special_candidates(elements: int, device: str = "cpu") -> tuple[Candidate, ...]:
    """One special function an element, each of `SPECIAL`, over `elements` float32 values."""
    return tuple(
        Candidate(
            name=f"{name} of {elements} values",
            library="torch",
            unit="special",
            amount=elements,
            prepare=partial(_special, name, elements, device),
            working_set_bytes=8 * elements,
        )
        for name in SPECIAL
    )


def multiply_add_candidate(elements: int, device: str = "cpu") -> Candidate:
    """One multiply-add (2 FLOP) an element over `elements` float32 values."""
    return Candidate(
        name=f"addcmul of {elements} values",
        library="torch",
        unit="flops",
        amount=2 * elements,
        prepare=partial(_multiply_add, elements, device),
        working_set_bytes=8 * elements,
    )


def _special(name: str, elements: int, device: str) -> Callable[[], object]:
    import torch

    # From 0.5 to 1.5: no denormals, no special cases that a library has a slow path for.
    values = torch.linspace(0.5, 1.5, elements, device=device)
    return partial(getattr(torch, name), values, out=torch.empty_like(values))


def _multiply_add(elements: int, device: str) -> Callable[[], object]:
    import torch

    values = torch.linspace(0.5, 1.5, elements, device=device)
    return partial(torch.addcmul, values, values, values, out=torch.empty_like(values))
