"""Random operands in the real dtype: data decide up to a fifth of a GPU's rate, so never zeros.

Except where a diagnosis asks for zeros: a device that is faster on them is limited by its power.
Drawn from a generator of their own, so that the program's random numbers stay what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SEED = 20

RANDOM, ZEROS = "random", "zeros"
"""What operands may be filled with."""

_DTYPES = {
    "float64": ("float64", 8),
    "float32": ("float32", 4),
    "tf32": ("float32", 4),
    "bfloat16": ("bfloat16", 2),
    "float16": ("float16", 2),
    "int8": ("int8", 1),
    "complex128": ("complex128", 16),
    "complex64": ("complex64", 8),
    "float8_e4m3": ("float8_e4m3fn", 1),
}
"""torch's name and the bytes of an element, by math mode."""

MODES = tuple(_DTYPES)
"""The math modes that there are operands for."""

PERIOD = 65537
"""Values that are drawn and then repeated: a prime, so that no row repeats the one above."""

_RESULT_BYTES = {"int8": 4, "float8_e4m3": 2}


def dtype_of(mode: str, device: str = "cpu") -> torch.dtype:
    """The torch dtype of operands in math mode `mode`, one of `MODES`, on `device`."""
    import torch

    name = _DTYPES[mode][0]
    if mode == "float8_e4m3" and device != "cpu" and _has_own_float8():
        name = "float8_e4m3fnuz"
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _has_own_float8() -> bool:
    # CDNA 3 has a float8 of its own, without a negative zero; CDNA 4 has the standard one.
    import torch

    if torch.version.hip is None:
        return False
    return torch.cuda.get_device_properties().gcnArchName.startswith("gfx94")


def item_bytes(mode: str) -> int:
    """Bytes of one element of an operand in `mode`."""
    return _DTYPES[mode][1]


def result_bytes(mode: str) -> int:
    """Bytes of one element of a product in `mode`."""
    return _RESULT_BYTES.get(mode, item_bytes(mode))


def random_tensor(
    shape: tuple[int, ...], mode: str, device: str, data: str = RANDOM
) -> torch.Tensor:
    """A standard-normal tensor of `shape` on `device`, or one of zeros if `data` says so.

    int8: uniform over its range. float8: stretched to the whole range of the dtype.
    """
    import torch

    dtype = dtype_of(mode, device)
    if data == ZEROS:
        return torch.zeros(shape, dtype=torch.float32, device=device).to(dtype)
    generator = torch.Generator(device=device).manual_seed(SEED)
    if dtype == torch.int8:
        return torch.randint(-127, 128, shape, generator=generator, dtype=dtype, device=device)
    drawn = torch.complex64 if dtype == torch.complex128 else dtype
    if not dtype.is_complex and dtype != torch.float64:
        drawn = torch.float32
    values = torch.randn(shape, generator=generator, dtype=drawn, device=device)
    if mode == "float8_e4m3":
        return stretched(values, dtype)[0]
    return values.to(dtype)


def small_integers(elements: int, device: str, first: int = 0) -> torch.Tensor:
    """Random integers from -2 to 4 as float32: sums of up to 4 million of them are exact.

    Args:
        elements: how many.
        device: torch's name.
        first: where in the period they begin, to tell one tensor from another.
    """
    import torch

    generator = torch.Generator(device=device).manual_seed(SEED)
    drawn = torch.randint(-2, 5, (PERIOD,), generator=generator, device=device).float()
    return repeated(drawn.roll(-first), elements)


def repeated(drawn: torch.Tensor, elements: int) -> torch.Tensor:
    """`drawn` again and again: `elements` values made at the speed of a copy."""
    return drawn.repeat(-(-elements // len(drawn)))[:elements].clone()


def stretched(
    values: torch.Tensor, dtype: torch.dtype, dim: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """`values` in the narrow `dtype`, and the float32 scales that give them back.

    Args:
        values: float32.
        dtype: a float8 one; its largest number is what the largest value becomes.
        dim: that which each scale is shared along; one scale for all where None.
    """
    import torch

    largest = values.abs().amax() if dim is None else values.abs().amax(dim, keepdim=True)
    # Zeros have no range to use.
    scale = torch.where(largest == 0, 1.0, largest / torch.finfo(dtype).max)
    return (values / scale).to(dtype), scale.float()
