"""Tangents that are known to be zero: torch multiplies them all the same.

Forward-mode differentiation gives what has no tangent one that takes no memory. Where an operator
cannot use it so, torch makes a zero, expands it to the shape and computes with it: executed, and
not needed by the math.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from goodput.frontends.torch_calls import tensors_in
from goodput.frontends.torch_private import storage_of, version_of
from goodput.work import Work

TANGENT, _ZEROS = "aten::_efficientzerotensor", "aten::zeros"
ZERO_MAKERS = frozenset({TANGENT, _ZEROS})
"""The operators whose results are of interest here."""


class ZeroTangents:
    """Knows the zeros that torch made for tangents; false while there are none.

    Attributes:
        expected: tangents that take no memory, until now; without one no zero is of interest.
    """

    def __init__(self) -> None:
        self.expected = 0
        # Kept, so that no other tensor can take their place in memory.
        self._made: dict[int, torch.Tensor] = {}

    def __bool__(self) -> bool:
        """Whether any was made."""
        return bool(self._made)

    def made(self, operator: str, result: object) -> None:
        """An operator that makes zeros returned `result`."""
        if operator == TANGENT:
            self.expected += 1
        elif self.expected and isinstance(result, torch.Tensor) and not result.dim():
            self._made[storage_of(result)] = result

    def among(self, args: Iterable[object]) -> bool:
        """Whether one of the tensors in `args` is such a zero, expanded and never written to."""
        return any(
            not any(tensor.stride()) and self._is_zero(self._made.get(storage_of(tensor)))
            for tensor in tensors_in(args)
            if tensor.layout is torch.strided and tensor.dim()
        )

    def _is_zero(self, made: torch.Tensor | None) -> bool:
        return made is not None and version_of(made) <= 0


def useless(work: Work | None) -> Work | None:
    """The same work, none of it useful."""
    if work is None:
        return None
    return replace(work, flops=0, padding_flops=work.padding_flops + work.flops)
