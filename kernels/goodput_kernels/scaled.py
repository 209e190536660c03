"""Matrix products of scaled narrow numbers: float8, mxfp8 and nvfp4, through torch's `_scaled_mm`.

Each operand is random, stretched by its scales to the whole range of its dtype, and multiplied by
them again inside the product. All results are bfloat16. Where a device lacks a format the candidate
raises, mostly when it is prepared. Tried on a CPU (float8 only) with torch 2.13; block
scales lie as cuBLAS wants them (https://docs.nvidia.com/cuda/cublas/#d-block-scaling-factors-layout).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from goodput_kernels.candidate import Candidate, Verification
from goodput_kernels.operands import RANDOM, ZEROS, dtype_of, random_tensor, stretched
from goodput_kernels.verification import Kernel, product_limit, product_rows, verify

if TYPE_CHECKING:
    import torch

MODES = ("float8_e4m3", "mxfp8", "nvfp4")

_MX_BLOCK = 32
_NV_BLOCK = 16
_FLOAT4 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""The numbers of float4 (e2m1) by code; the fourth bit is the sign."""

_ITEM_BYTES = {"float8_e4m3": 1.0, "mxfp8": 1 + 1 / _MX_BLOCK, "nvfp4": 1 / 2 + 1 / _NV_BLOCK}
_RESULT_BYTES = 2


@dataclass(frozen=True, slots=True)
class Operand:
    """One narrow matrix `[rows, k]`.

    Attributes:
        stored: as `_scaled_mm` takes it.
        scales: the same.
        exact: rows of what it stands for, in float64.
    """

    stored: torch.Tensor
    scales: torch.Tensor
    exact: Callable[[torch.Tensor | slice], torch.Tensor]


_Narrow = Callable[["torch.Tensor"], Operand]


def candidates(
    mode: str, m: int, n: int, k: int, device: str = "cpu", data: str = RANDOM
) -> tuple[Candidate, ...]:
    """The product `[m, k] x [k, n]` in one of `MODES`, with each kind of scales and sums.

    float8: one scale for all and one a row, each with fast accumulation off and, on a GPU, on.
    """
    make = partial(_candidate, mode, (m, n, k), device, data)
    if mode != "float8_e4m3":
        narrow = {"mxfp8": mxfp8, "nvfp4": nvfp4}[mode]
        return (make("block-wise", narrow, fast=False),)
    sums = (False,) if device == "cpu" else (False, True)
    ways = {"tensor-wise": None, "row-wise": 1}
    return tuple(
        make(f"{scales}{' fast' * fast}", partial(float8, dim=dim), fast=fast)
        for scales, dim in ways.items()
        for fast in sums
    )


def _candidate(
    mode: str,
    size: tuple[int, int, int],
    device: str,
    data: str,
    way: str,
    narrow: _Narrow,
    *,
    fast: bool,
) -> Candidate:
    m, n, k = size
    make = partial(_kernel, mode, size, device, data, narrow, fast=fast)

    def check() -> Verification:
        return verify(make(), f"rows of {n} columns")

    return Candidate(
        name=f"scaled_mm {way} {m}x{n}x{k} {mode}{' zeros' * (data == ZEROS)}",
        library="torch",
        unit="flops",
        amount=2 * m * n * k,
        prepare=lambda: make().call,
        working_set_bytes=round((m * k + k * n) * _ITEM_BYTES[mode]) + m * n * _RESULT_BYTES,
        verify=None if data == ZEROS else check,
    )


def _tried(call: Callable[[], object]) -> Callable[[], object]:
    """`call`, which has run once; a format that the device lacks is a RuntimeError."""
    try:
        call()
    except ValueError as error:
        raise RuntimeError(str(error)) from error
    return call


def _kernel(
    mode: str,
    size: tuple[int, int, int],
    device: str,
    data: str,
    narrow: _Narrow,
    *,
    fast: bool,
) -> Kernel:
    import torch

    m, n, k = size
    left = narrow(random_tensor((m, k), "float32", device, data))
    right = narrow(random_tensor((n, k), "float32", device, data))
    result = torch.empty((m, n), dtype=torch.bfloat16, device=device)
    per_row = right.scales.ndim == 2
    scales = (left.scales, right.scales.t() if per_row else right.scales)
    # The second operand lies column by column: Hopper takes no other.
    product = partial(torch._scaled_mm, left.stored, right.stored.t(), *scales)  # noqa: SLF001
    call = partial(product, out_dtype=torch.bfloat16, use_fast_accum=fast, out=result)

    def expected(rows: torch.Tensor) -> torch.Tensor:
        return product_rows(
            rows,
            (1, m, n, k),
            lambda _, chosen: left.exact(chosen),
            lambda _, columns: right.exact(columns).t(),
        )

    return Kernel(
        call=_tried(call),
        rows=m,
        expected=expected,
        limit=product_limit(mode, k),
        target=result,
    )


def float8(values: torch.Tensor, dim: int | None) -> Operand:
    """In float8_e4m3, with one scale for all, or one a row where `dim` is 1."""
    dtype = dtype_of("float8_e4m3", values.device.type)
    stored, scales = stretched(values, dtype, dim)

    def exact(rows: torch.Tensor | slice) -> torch.Tensor:
        return stored[rows].double() * (scales if dim is None else scales[rows]).double()

    return Operand(stored, scales, exact)


def mxfp8(values: torch.Tensor) -> Operand:
    """In float8_e4m3 with a power of two as the scale of each 32 numbers (OCP MX 1.0)."""
    import torch

    dtype = torch.float8_e4m3fn
    blocks = _blocks(values, _MX_BLOCK)
    largest = blocks.abs().amax(2, keepdim=True) / torch.finfo(dtype).max
    scales = torch.where(largest == 0, 1.0, torch.exp2(torch.log2(largest).ceil()))
    stored = (blocks / scales).to(dtype)

    def exact(rows: torch.Tensor | slice) -> torch.Tensor:
        return (stored[rows].double() * scales[rows].double()).flatten(1)

    return Operand(stored.flatten(1), swizzled(scales.squeeze(2).to(torch.float8_e8m0fnu)), exact)


def nvfp4(values: torch.Tensor) -> Operand:
    """In float4_e2m1, two to a byte, with a float8_e4m3 scale for each 16 numbers."""
    import torch

    blocks = _blocks(values, _NV_BLOCK)
    largest = blocks.abs().amax(2, keepdim=True) / _FLOAT4[-1]
    scales = torch.where(largest == 0, 1.0, largest).to(torch.float8_e4m3fn)
    numbers = torch.tensor(_FLOAT4, device=values.device)
    middles = (numbers[1:] + numbers[:-1]) / 2
    stretched_blocks = (blocks / scales.float()).flatten(1)
    codes = torch.bucketize(stretched_blocks.abs(), middles, out_int32=True).to(torch.uint8)
    codes |= (stretched_blocks < 0).to(torch.uint8) << 3
    stored = (codes[:, ::2] | codes[:, 1::2] << 4).view(torch.float4_e2m1fn_x2)

    def exact(rows: torch.Tensor | slice) -> torch.Tensor:
        chosen = codes[rows]
        signed = numbers.double()[(chosen & 7).long()] * (1 - 2 * (chosen >> 3).double())
        return (_blocks(signed, _NV_BLOCK) * scales[rows].double()).flatten(1)

    return Operand(stored, swizzled(scales.squeeze(2)), exact)


def _blocks(values: torch.Tensor, length: int) -> torch.Tensor:
    """`[rows, blocks, length]` of `[rows, k]`."""
    return values.reshape(len(values), -1, length)


def swizzled(scales: torch.Tensor) -> torch.Tensor:
    """Scales `[rows, blocks]` in tiles of 128 x 4, each in order of row % 32, row // 32, block."""
    import torch

    rows, blocks = scales.shape
    tall, wide = -(-rows // 128), -(-blocks // 4)
    padded = torch.zeros((tall * 128, wide * 4), dtype=torch.uint8, device=scales.device)
    padded[:rows, :blocks] = scales.view(torch.uint8)
    tiles = padded.view(tall, 4, 32, wide, 4).permute(0, 3, 2, 1, 4)
    return tiles.flatten().view(scales.dtype)
