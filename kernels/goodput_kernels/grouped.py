"""Grouped products, as in mixtures of experts: each group of rows with a matrix of its own.

Groups are of equal size, the best case. torch's `grouped_mm` needs Hopper or newer for its own
kernel and loops over the groups elsewhere (also on a CPU).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from goodput_kernels.candidate import Candidate, Verification
from goodput_kernels.operands import item_bytes, random_tensor
from goodput_kernels.precision import float32_math
from goodput_kernels.verification import Kernel, product_limit, product_rows, verify, widened

if TYPE_CHECKING:
    import torch

MODES = ("bfloat16", "float16", "float32")


def candidates(
    mode: str, groups: int, m: int, n: int, k: int, device: str = "cpu"
) -> tuple[Candidate, ...]:
    """`groups` products `[m, k] x [k, n]`, the rows of all groups one after another.

    None for a mode that grouped products do not have.
    """
    if mode not in MODES:
        return ()
    scope = partial(float32_math, mode)
    make = partial(_kernel, mode, (groups, m, n, k), device)

    def check() -> Verification:
        with scope():
            return verify(make(), f"rows of {n} columns")

    candidate = Candidate(
        name=f"grouped_mm {groups} of {m}x{n}x{k} {mode}",
        library="torch",
        unit="flops",
        amount=2 * groups * m * n * k,
        prepare=lambda: make().call,
        working_set_bytes=groups * (m * k + k * n + m * n) * item_bytes(mode),
        scope=scope,
        verify=check,
    )
    return (candidate,)


def _kernel(mode: str, size: tuple[int, int, int, int], device: str) -> Kernel:
    import torch

    groups, m, n, k = size
    left = random_tensor((groups * m, k), mode, device)
    # Hopper's kernel takes the second operand column by column.
    right = random_tensor((groups, n, k), mode, device).transpose(1, 2)
    ends = torch.arange(m, groups * m + 1, m, dtype=torch.int32, device=device)

    def expected(rows: torch.Tensor) -> torch.Tensor:
        return product_rows(
            rows,
            size,
            lambda group, chosen: widened(left[group * m + chosen]),
            lambda group, columns: widened(right[group][:, columns]),
        )

    return Kernel(
        # public as torch.nn.functional.grouped_mm in later versions
        call=partial(torch._grouped_mm, left, right, offs=ends),  # noqa: SLF001
        rows=groups * m,
        expected=expected,
        limit=product_limit(mode, k),
        allocates=((groups * m, n), left.dtype, device),
    )
