"""What one operator call does, worked out once for all calls of its signature."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

import goodput.formulas.aten  # noqa: F401 - registers the formulas
from goodput.errors import FormulaError
from goodput.formulas import registry
from goodput.frontends.torch_private import packet_of
from goodput.frontends.triton_launches import Stated
from goodput.trace.recording import WorkEntry
from goodput.work import Call, Contraction, TensorSpec, Work
from goodput_kernels.convolution import Convolution

_LARGEST = 8
"""Problems kept of each math mode: enough for whoever measures roofs to choose from."""
_Problem = TypeVar("_Problem", Contraction, Convolution)


@dataclass(frozen=True, slots=True)
class Counted:
    """What calls with one signature are and do, but for where they stand.

    `tensors` are those of the operators that attention written by hand is told by; else ().
    `entries` are those made of it until now, by where they stand: most calls of a loop or of a
    second count are equal to one before.
    """

    operator: str
    tensors: tuple[TensorSpec, ...]
    shapes: str
    mode: str
    work: Work | None
    product: Contraction | None
    convolution: Convolution | None
    told_flops: int = 0
    stated: Stated | None = None
    entries: dict[tuple[str, str], WorkEntry] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )


_KNOWN: dict[Any, dict[Any, Counted]] = {}
"""What calls of each signature do, by all that this depends on beside the signature."""
_MOST_KNOWN = 2**17


def known_now() -> dict[Any, Counted]:
    """What calls were found to do under these very formulas and settings."""
    tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    now = registry.state(), len(torch_formulas()), tf32
    known = _KNOWN.setdefault(now, {})
    if len(_KNOWN) > 1 or len(known) > _MOST_KNOWN:
        _KNOWN.clear()
        _KNOWN[now] = known = {}
    return known


def largest(found: Iterable[_Problem | None]) -> tuple[_Problem, ...]:
    """The problems with most FLOPs, some of each math mode."""
    by_mode: dict[str, list[_Problem]] = {}
    for problem in dict.fromkeys(problem for problem in found if problem is not None):
        by_mode.setdefault(problem.mode, []).append(problem)
    return tuple(
        problem
        for mode in by_mode.values()
        for problem in sorted(mode, key=lambda p: -p.flops)[:_LARGEST]
    )


def torch_formulas() -> dict[Any, Any]:
    """The formulas registered with torch, by operator packet."""
    from torch.utils.flop_counter import flop_registry

    return flop_registry


def torch_work(
    func: Any, args: tuple[Any, ...], kwargs: Any, result: Any, call: Call
) -> Work | None:
    """Work by a formula registered with torch's own `register_flop_formula`."""
    formula = torch_formulas().get(packet_of(func))
    if formula is None:
        return None
    try:
        flops = int(formula(*args, **kwargs, out_val=result))
    except Exception as error:  # the formula is the user's code
        raise FormulaError(
            f"the formula registered with torch for {call.name} failed: {error}"
        ) from error
    return Work.of_products(flops, call)
