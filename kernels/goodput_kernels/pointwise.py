"""Elementwise operators on data that stays in cache: special functions, and multiply-adds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from goodput_kernels.candidate import Candidate
from goodput_kernels.verification import MOST_VALUES, ROUNDOFF, Kernel, verify

if TYPE_CHECKING:
    import torch

SPECIAL = ("exp", "tanh", "sigmoid", "erf", "sqrt", "rsqrt")

# Vector libraries and special-function units are good to 2 or 4 units in the last place.
_LIMIT = 8 * ROUNDOFF["float32"]


def special_candidates(elements: int, device: str = "cpu") -> tuple[Candidate, ...]:
    """One special function an element, each of `SPECIAL`, over `elements` float32 values."""
    return tuple(
        _candidate(name, "special", elements, 1, partial(_special, name, elements, device))
        for name in SPECIAL
    )


def multiply_add_candidate(elements: int, device: str = "cpu") -> Candidate:
    """One multiply-add (2 FLOP) an element over `elements` float32 values."""
    return _candidate("addcmul", "flops", elements, 2, partial(_multiply_add, elements, device))


def _candidate(
    name: str, unit: str, elements: int, each: int, make: Callable[[], Kernel]
) -> Candidate:
    return Candidate(
        name=f"{name} of {elements} values",
        library="torch",
        unit=unit,
        amount=each * elements,
        prepare=lambda: make().call,
        working_set_bytes=8 * elements,
        verify=lambda: verify(make(), "values"),
    )


def _values(elements: int, device: str) -> torch.Tensor:
    import torch

    # From 0.5 to 1.5: no denormals, no special cases that a library has a slow path for.
    return torch.linspace(0.5, 1.5, elements, device=device)


def _special(name: str, elements: int, device: str) -> Kernel:
    import torch

    function = getattr(torch, name)
    values = _values(elements, device)
    target = torch.empty_like(values)
    return Kernel(
        partial(function, values, out=target),
        elements,
        lambda places: function(values[places].double()),
        _LIMIT,
        target,
        sampled=MOST_VALUES,
    )


def _multiply_add(elements: int, device: str) -> Kernel:
    import torch

    values = _values(elements, device)
    target = torch.empty_like(values)
    return Kernel(
        partial(torch.addcmul, values, values, values, out=target),
        elements,
        lambda places: values[places].double() * (1 + values[places].double()),
        _LIMIT,
        target,
        sampled=MOST_VALUES,
    )
