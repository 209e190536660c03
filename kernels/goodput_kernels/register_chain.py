"""Chains of one operation on a value that never leaves its register: GPU vector and special peaks.

An eager elementwise operator moves as many bytes as it does operations, so on a GPU memory bounds
it far below the unit's peak. torch's jiterator compiles the chain at run time (CUDA and ROCm). It
has not been run by us on a device yet; where it does not compile, the candidate says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from goodput_kernels.candidate import Candidate
from goodput_kernels.verification import MOST_VALUES, ROUNDOFF, Kernel, verify

if TYPE_CHECKING:
    import torch

_LENGTH = 256
_ELEMENTS = 1 << 20

# Four independent accumulators hide the latency of a multiply-add; the result uses them all, so
# none can be dropped.
_MULTIPLY_ADD = f"""
template <typename T> T multiply_add_chain(T x) {{
  T a = x, b = x + T(1), c = x + T(2), d = x + T(3);
  for (int i = 0; i < {_LENGTH}; ++i) {{
    a = a * T(0.5) + x; b = b * T(0.5) + x; c = c * T(0.5) + x; d = d * T(0.5) + x;
  }}
  return a + b + c + d;
}}"""

_EXPONENTIAL = f"""
template <typename T> T exponential_chain(T x) {{
  T a = x, b = x + T(1), c = x + T(2), d = x + T(3);
  for (int i = 0; i < {_LENGTH}; ++i) {{
    a = __expf(-a); b = __expf(-b); c = __expf(-c); d = __expf(-d);
  }}
  return a + b + c + d;
}}"""


# Both chains contract, so an error of a step is halved, or nearly, in the next: 4 units of the last
# place for the hardware's exponential, of a sum of 4.
_LIMIT = 16 * ROUNDOFF["float32"]

_Step = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]


def multiply_add_candidate() -> Candidate:
    """Float32 multiply-adds, 2 FLOP each."""
    return _candidate("multiply-add chain", "flops", 2, _MULTIPLY_ADD, lambda a, x: a * 0.5 + x)


def special_candidate() -> Candidate:
    """Float32 exponentials of the special-function unit."""
    return _candidate("exponential chain", "special", 1, _EXPONENTIAL, lambda a, _: (-a).exp())


def _candidate(name: str, unit: str, each: int, code: str, step: _Step) -> Candidate:
    return Candidate(
        name=f"{name} of {_LENGTH}",
        library="jiterator",
        unit=unit,
        amount=each * 4 * _LENGTH * _ELEMENTS,
        prepare=lambda: _kernel(code, step).call,
        working_set_bytes=8 * _ELEMENTS,
        verify=lambda: verify(_kernel(code, step), "values"),
    )


def chained(values: torch.Tensor, step: _Step) -> torch.Tensor:
    """What the chain makes of `values`, in float64."""
    start = values.double()
    accumulators = [start + offset for offset in range(4)]
    for _ in range(_LENGTH):
        accumulators = [step(accumulator, start) for accumulator in accumulators]
    return accumulators[0] + accumulators[1] + accumulators[2] + accumulators[3]


def _kernel(code: str, step: _Step) -> Kernel:
    import torch

    function = torch.cuda.jiterator._create_jit_fn(code)  # noqa: SLF001 - its documented entry
    values = torch.linspace(0.5, 1.5, _ELEMENTS, device="cuda")
    return Kernel(
        partial(function, values),
        _ELEMENTS,
        lambda places: chained(values[places], step),
        _LIMIT,
        allocates=((_ELEMENTS,), values.dtype, "cuda"),
        sampled=MOST_VALUES,
    )
