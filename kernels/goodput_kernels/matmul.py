"""Matrix products `[batch, m, k] x [batch, k, n]` in one math mode, through each library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from goodput_kernels import scaled
from goodput_kernels.candidate import Candidate, Verification
from goodput_kernels.operands import (
    MODES,
    RANDOM,
    ZEROS,
    dtype_of,
    item_bytes,
    random_tensor,
    result_bytes,
)
from goodput_kernels.precision import float32_math
from goodput_kernels.verification import (
    ROUNDOFF,
    Kernel,
    product_limit,
    product_rows,
    verify,
    widened,
)

if TYPE_CHECKING:
    import torch

SKINNY_ROWS = (1, 2, 4, 8, 16, 32, 64)
"""Rows of the left operand when a model decodes this many sequences."""

_NUMPY_MODES = ("float32", "float64", "complex64", "complex128")
_ONEDNN_MODES = ("float32", "bfloat16", "float16")
_COMPLEX_FMA = 4  # real multiply-adds in a complex one


@dataclass(frozen=True, slots=True)
class _Problem:
    """A product to make: sizes, math mode, where, and what the operands hold."""

    mode: str
    batch: int
    m: int
    n: int
    k: int
    device: str
    data: str

    @property
    def name(self) -> str:
        prefix = f"{self.batch}x" if self.batch > 1 else ""
        suffix = " zeros" if self.data == ZEROS else ""
        return f"{prefix}{self.m}x{self.n}x{self.k} {self.mode}{suffix}"

    @property
    def flops(self) -> int:
        each = 2 * (_COMPLEX_FMA if self.mode.startswith("complex") else 1)
        return each * self.batch * self.m * self.n * self.k

    @property
    def bytes(self) -> int:
        operands = (self.m * self.k + self.k * self.n) * item_bytes(self.mode)
        return self.batch * (operands + self.m * self.n * result_bytes(self.mode))

    def left(self) -> torch.Tensor:
        """`[batch, m, k]`."""
        return random_tensor((self.batch, self.m, self.k), self.mode, self.device, self.data)

    def right(self) -> torch.Tensor:
        """`[batch, k, n]`."""
        return random_tensor((self.batch, self.k, self.n), self.mode, self.device, self.data)

    def weight(self) -> torch.Tensor:
        """`[batch, n, k]`, the layout of a weight in torch.nn.Linear."""
        return random_tensor((self.batch, self.n, self.k), self.mode, self.device, self.data)


_Make = Callable[[_Problem], Kernel]


def candidates(
    mode: str, batch: int, m: int, n: int, k: int, device: str = "cpu", data: str = RANDOM
) -> tuple[Candidate, ...]:
    """Every way to do this product on `device` (`cpu` or `cuda`); none for an unknown mode.

    Args:
        mode: math mode; `mxfp8` and `nvfp4` too.
        batch: independent products.
        m: rows of each result.
        n: columns of each result.
        k: length of the sums.
        device: torch's name.
        data: `random`, or `zeros` to see whether power limits the device.
    """
    if mode in scaled.MODES:
        return scaled.candidates(mode, m, n, k, device, data) if batch == 1 else ()
    if mode not in MODES:
        return ()
    problem = _Problem(mode, batch, m, n, k, device, data)
    return tuple(_candidate(problem, *way) for way in _ways(problem))


def skinny(mode: str, n: int, k: int, device: str = "cpu") -> tuple[Candidate, ...]:
    """Products of few rows, each of `SKINNY_ROWS`, with a weight `[n, k]`: bound by its bytes."""
    found = (candidates(mode, 1, m, n, k, device) for m in SKINNY_ROWS)
    return tuple(candidate for rivals in found for candidate in rivals)


def _ways(problem: _Problem) -> Iterator[tuple[str, str, _Make]]:
    on_cpu = problem.device == "cpu"
    if problem.mode == "int8":
        if problem.batch == 1:
            yield "torch", "_int_mm", _int8
        if problem.batch == 1 and on_cpu:
            yield "oneDNN", "qlinear", _onednn_int8
        return
    yield "torch", "mm", _torch
    if not on_cpu:
        # Vendor libraries have other kernels for a weight that lies transposed.
        yield "torch", "mm-nt", _torch_transposed
        return
    if problem.mode in _ONEDNN_MODES and problem.batch == 1:
        yield "oneDNN", "linear", _onednn
    if problem.mode in _NUMPY_MODES:
        yield "NumPy", "matmul", _numpy


def _candidate(problem: _Problem, library: str, operator: str, make: _Make) -> Candidate:
    scope = partial(float32_math, problem.mode)

    def check() -> Verification:
        with scope():
            return verify(make(problem), f"rows of {problem.n} columns")

    return Candidate(
        name=f"{operator} {problem.name}",
        library=library,
        unit="flops",
        amount=problem.flops,
        prepare=lambda: make(problem).call,
        working_set_bytes=problem.bytes,
        scope=scope,
        # The relative error of nothing means nothing.
        verify=None if problem.data == ZEROS else check,
    )


def _kernel(
    problem: _Problem,
    call: Callable[[], object],
    left: torch.Tensor,
    right: torch.Tensor,
    target: torch.Tensor | None = None,
    result: torch.dtype | None = None,
) -> Kernel:
    """`call` with the exact product of `left` and `right` beside it."""
    size = (problem.batch, problem.m, problem.n, problem.k)
    shape = (problem.batch, problem.m, problem.n)

    def expected(rows: torch.Tensor) -> torch.Tensor:
        return product_rows(
            rows,
            size,
            lambda batch, chosen: widened(left[batch][chosen]),
            lambda batch, columns: widened(right[batch][:, columns]),
        )

    return Kernel(
        call=call,
        rows=problem.batch * problem.m,
        expected=expected,
        limit=product_limit(problem.mode, problem.k),
        target=target,
        allocates=None if result is None else (shape, result, problem.device),
    )


def _torch(problem: _Problem) -> Kernel:
    return _product(problem, problem.right())


def _torch_transposed(problem: _Problem) -> Kernel:
    return _product(problem, problem.weight().transpose(1, 2))


def _product(problem: _Problem, right: torch.Tensor) -> Kernel:
    import torch

    left = problem.left()
    shape = (problem.batch, problem.m, problem.n)
    result = torch.empty(shape, dtype=dtype_of(problem.mode), device=problem.device)
    if problem.batch == 1:
        call = partial(torch.mm, left[0], right[0], out=result[0])
    else:
        call = partial(torch.bmm, left, right, out=result)
    return _kernel(problem, call, left, right, target=result)


def _int8(problem: _Problem) -> Kernel:
    import torch

    left = problem.left()
    # cuBLASLt takes int8 only with the second operand stored column by column.
    right = problem.weight().transpose(1, 2)
    result = torch.empty((problem.m, problem.n), dtype=torch.int32, device=problem.device)
    # torch's only int8 product
    call = partial(torch._int_mm, left[0], right[0], out=result)  # noqa: SLF001
    return _kernel(problem, call, left, right, target=result)


def _onednn(problem: _Problem) -> Kernel:
    """The weight is packed once, as in a frozen model: float32 mm would go to another library."""
    import torch

    left, weight = problem.left(), problem.weight()
    # Inductor's own operators
    packed = torch.ops.mkldnn._reorder_linear_weight(weight[0], problem.m)  # noqa: SLF001
    linear = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
    call = partial(linear, left[0], packed, None, "none", [], "")
    return _kernel(problem, call, left, weight.transpose(1, 2), result=left.dtype)


def _onednn_int8(problem: _Problem) -> Kernel:
    """The linear layer of a quantised model: unsigned activations, weights of 7 bits.

    Without VNNI, oneDNN adds pairs of products in 16 bits; weights of 8 bits would saturate them
    (its documentation, "Nuances of int8 computations"). The sums come as float32, which rounds
    those past 2^24.
    """
    import torch

    left = (problem.left().int() + 127).to(torch.uint8)
    weight = problem.weight() // 2
    packed = torch.ops.onednn.qlinear_prepack(weight[0].clone(), [problem.m, problem.k])
    scales, zeros = torch.ones(problem.n), torch.zeros(problem.n, dtype=torch.int32)
    quantised = (left[0], 1.0, 0, packed, scales, zeros, None)
    linear = partial(torch.ops.onednn.qlinear_pointwise, *quantised)
    call = partial(linear, 1.0, 0, torch.float32, "none", [], "")
    kernel = _kernel(problem, call, left, weight.transpose(1, 2), result=torch.float32)
    return replace(kernel, limit=2 * ROUNDOFF["float32"])


def _numpy(problem: _Problem) -> Kernel:
    import numpy as np
    import torch

    left, right = problem.left(), problem.right()
    result = np.empty((problem.batch, problem.m, problem.n), left.numpy().dtype)
    if problem.batch == 1:
        call = partial(np.matmul, left[0].numpy(), right[0].numpy(), out=result[0])
    else:
        call = partial(np.matmul, left.numpy(), right.numpy(), out=result)
    return _kernel(problem, call, left, right, target=torch.from_numpy(result))
