"""Random operands in the real dtype: data decide up to a fifth of a GPU's rate, so never zeros.

Drawn from a generator of their own, so that the program's random numbers stay what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SEED = 20


_DTYPES = {
    "float64": ("float64", 8),
    "float32": ("float32", 4),
    "tf32": ("float32", 4),
    "bfloat16": ("bfloat16", 2),
    "float16": ("float16", 2),
    "int8": ("int8", 1),
    "complex128": ("complex128", 16),
    "complex64": ("complex64", 8),
}
"""torch's name and the bytes of an element, by math mode."""

MODES = tuple(_DTYPES)
"""The math modes that there are operands for."""


def dtype_of(mode: str) -> torch.dtype:
    """The torch dtype of operands in math mode `mode`, one of `MODES`."""
    import torch

    dtype: torch.dtype = getattr(torch, _DTYPES[mode][0])
    return dtype


def item_bytes(mode: str) -> int:
    """Bytes of one element of an operand in `mode`."""
    return _DTYPES[mode][1]


def random_tensor(shape: tuple[int, ...], mode: str, device: str) -> torch.Tensor:
    """A standard-normal tensor (int8: uniform over its range) of `shape` on `device`."""
    import torch

    dtype = dtype_of(mode)
    generator = torch.Generator(device=device).manual_seed(SEED)
    if dtype == torch.int8:
        return torch.randint(-127, 128, shape, generator=generator, dtype=dtype, device=device)
    drawn = torch.complex64 if dtype == torch.complex128 else dtype
    if not dtype.is_complex and dtype != torch.float64:
        drawn = torch.float32
    return torch.randn(shape, generator=generator, dtype=drawn, device=device).to(dtype)
