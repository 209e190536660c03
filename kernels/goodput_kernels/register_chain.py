"""Chains of one operation on a value that never leaves its register: GPU vector and special peaks.

An eager elementwise operator moves as many bytes as it does operations, so on a GPU memory bounds
it far below the unit's peak. torch's jiterator compiles the chain at run time (CUDA and ROCm). It
has not been run by us on a device yet; where it does not compile, the candidate says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from goodput_kernels.candidate import Candidate

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


def multiply_add_candidate() -> Candidate:
    """Float32 multiply-adds, 2 FLOP each."""
    return _candidate("multiply-add chain", "flops", 2, _MULTIPLY_ADD)


def special_candidate() -> Candidate:
    """Float32 exponentials of the special-function unit."""
    return _candidate("exponential chain", "special", 1, _EXPONENTIAL)


def _candidate(name: str, unit: str, each: int, code: str) -> Candidate:
    return Candidate(
        name=f"{name} of {_LENGTH}",
        library="jiterator",
        unit=unit,
        amount=each * 4 * _LENGTH * _ELEMENTS,
        prepare=partial(_prepare, code),
        working_set_bytes=8 * _ELEMENTS,
    )


def _prepare(code: str) -> Callable[[], object]:
    import torch

    kernel = torch.cuda.jiterator._create_jit_fn(code)  # noqa: SLF001 - its documented entry
    return partial(kernel, torch.linspace(0.5, 1.5, _ELEMENTS, device="cuda"))
