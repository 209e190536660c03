"""Matrix products `[batch, m, k] x [batch, k, n]` in one math mode, through each library."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from goodput_kernels.candidate import Candidate
from goodput_kernels.operands import MODES, dtype_of, item_bytes, random_tensor
from goodput_kernels.precision import float32_math

if TYPE_CHECKING:
    import torch

_NUMPY_MODES = ("float32", "float64", "complex64", "complex128")
_ONEDNN_MODES = ("float32", "bfloat16", "float16")
_COMPLEX_FMA = 4  # real multiply-adds in a complex one


def candidates(
    mode: str, batch: int, m: int, n: int, k: int, device: str = "cpu"
) -> tuple[Candidate, ...]:
    """Every way to do this product on `device` (`cpu` or `cuda`); none for an unknown mode."""
    if mode not in MODES:
        return ()
    if mode == "int8":
        return (_candidate("torch", "_int_mm", mode, (1, m, n, k), device, _int8),) * (batch == 1)
    size = (batch, m, n, k)
    found = [_candidate("torch", "mm", mode, size, device, _torch)]
    if device != "cpu":
        # The layout of a weight in torch.nn.Linear; vendor libraries have other kernels for it.
        found.append(_candidate("torch", "mm-nt", mode, size, device, _torch_transposed))
        return tuple(found)
    if mode in _ONEDNN_MODES and batch == 1:
        found.append(_candidate("oneDNN", "linear", mode, size, device, _onednn))
    if mode in _NUMPY_MODES:
        found.append(_candidate("NumPy", "matmul", mode, size, device, _numpy))
    return tuple(found)


_Size = tuple[int, int, int, int]
_Make = Callable[[str, _Size, str], Callable[[], object]]


def _candidate(
    library: str, operator: str, mode: str, size: _Size, device: str, make: _Make
) -> Candidate:
    batch, m, n, k = size
    prefix = f"{batch}x" if batch > 1 else ""
    per_product = 2 * (_COMPLEX_FMA if mode.startswith("complex") else 1)
    return Candidate(
        name=f"{operator} {prefix}{m}x{n}x{k} {mode}",
        library=library,
        unit="flops",
        amount=per_product * batch * m * n * k,
        prepare=partial(make, mode, size, device),
        working_set_bytes=batch * (m * k + k * n + m * n) * item_bytes(mode),
        scope=partial(float32_math, mode),
    )


def _torch(mode: str, size: _Size, device: str) -> Callable[[], object]:
    batch, _, n, k = size
    return _product(mode, size, device, random_tensor((batch, k, n), mode, device))


def _torch_transposed(mode: str, size: _Size, device: str) -> Callable[[], object]:
    batch, _, n, k = size
    right = random_tensor((batch, n, k), mode, device).transpose(1, 2)
    return _product(mode, size, device, right)


def _product(mode: str, size: _Size, device: str, right: torch.Tensor) -> Callable[[], object]:
    import torch

    batch, m, n, k = size
    left = random_tensor((batch, m, k), mode, device)
    result = torch.empty((batch, m, n), dtype=dtype_of(mode), device=device)
    if batch == 1:
        return partial(torch.mm, left[0], right[0], out=result[0])
    return partial(torch.bmm, left, right, out=result)


def _int8(mode: str, size: _Size, device: str) -> Callable[[], object]:
    import torch

    _, m, n, k = size
    left = random_tensor((m, k), mode, device)
    # cuBLASLt takes int8 only with the second operand stored column by column.
    right = random_tensor((n, k), mode, device).t()
    return partial(torch._int_mm, left, right)  # noqa: SLF001 - torch's only int8 product


def _onednn(mode: str, size: _Size, device: str) -> Callable[[], object]:
    """The weight is packed once, as in a frozen model: float32 mm would go to another library."""
    import torch

    _, m, n, k = size
    left = random_tensor((m, k), mode, device)
    weight = random_tensor((n, k), mode, device)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, m)  # noqa: SLF001 - Inductor's own
    linear = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001 - the same
    return partial(linear, left, packed, None, "none", [], "")


def _numpy(mode: str, size: _Size, device: str) -> Callable[[], object]:
    import numpy as np

    batch, m, n, k = size
    left = random_tensor((batch, m, k), mode, device).numpy()
    right = random_tensor((batch, k, n), mode, device).numpy()
    result = np.empty((batch, m, n), left.dtype)
    if batch == 1:
        return partial(np.matmul, left[0], right[0], out=result[0])
    return partial(np.matmul, left, right, out=result)
