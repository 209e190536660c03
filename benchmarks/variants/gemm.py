# ruff: noqa: ANN001, ANN201, PLR0913, PLR0917 - the arguments of a Triton kernel
"""Matrix products: torch eager and compiled, JAX, a split K, and Triton where there is a device."""

import jax
import torch

import goodput

HAS_DEVICE = torch.cuda.is_available()


def make_inputs(M: int, N: int, K: int, dtype: str) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: N803 - the names of the trade
    form = {"dtype": getattr(torch, dtype), "device": "cuda" if HAS_DEVICE else "cpu"}
    return torch.randn(M, K, **form), torch.randn(K, N, **form)


@goodput.reference("gemm")
def aten(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a @ b


@goodput.variant("gemm")
def einsum(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.einsum("mk,kn->mn", a, b)


@goodput.variant("gemm")
def transposed_twice(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (b.mT @ a.mT).mT


@goodput.variant("gemm")
def split_k(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    half = a.shape[1] // 2
    return torch.addmm(a[:, :half] @ b[:half], a[:, half:], b[half:])


@goodput.variant("gemm")
@torch.compile(dynamic=False)
def compiled(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a @ b


@goodput.variant("gemm")
@jax.jit
def xla(a: jax.Array, b: jax.Array) -> jax.Array:
    return a @ b


try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

if triton is not None:

    @triton.jit
    def gemm_kernel(
        a_pointer, b_pointer, c_pointer, m, n, k,
        block_m: tl.constexpr, block_n: tl.constexpr, block_k: tl.constexpr,
    ):  # fmt: skip
        rows = tl.program_id(0) * block_m + tl.arange(0, block_m)
        columns = tl.program_id(1) * block_n + tl.arange(0, block_n)
        total = tl.zeros((block_m, block_n), dtype=tl.float32)
        for start in range(0, k, block_k):
            inner = start + tl.arange(0, block_k)
            a_inside = (rows[:, None] < m) & (inner[None, :] < k)
            b_inside = (inner[:, None] < k) & (columns[None, :] < n)
            a = tl.load(a_pointer + rows[:, None] * k + inner[None, :], mask=a_inside, other=0.0)
            b = tl.load(b_pointer + inner[:, None] * n + columns[None, :], mask=b_inside, other=0.0)
            total = tl.dot(a, b, total, input_precision="ieee")
        inside = (rows[:, None] < m) & (columns[None, :] < n)
        places = c_pointer + rows[:, None] * n + columns[None, :]
        tl.store(places, total.to(c_pointer.dtype.element_ty), mask=inside)

    def _tiled(
        a: torch.Tensor, b: torch.Tensor, blocks: tuple[int, int, int], warps: int
    ) -> torch.Tensor:
        m, k = a.shape
        n = b.shape[1]
        out = torch.empty(m, n, dtype=a.dtype, device=a.device)
        block_m, block_n, block_k = blocks
        grid = triton.cdiv(m, block_m), triton.cdiv(n, block_n)
        gemm_kernel[grid](
            a, b, out, m, n, k, block_m=block_m, block_n=block_n, block_k=block_k, num_warps=warps
        )
        return out

    @goodput.variant("gemm")
    def triton_128x128(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return _tiled(a, b, (128, 128, 32), 8)

    @goodput.variant("gemm")
    def triton_spilling(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """A tile of 128 x 256 on four warps: too much for their registers."""
        return _tiled(a, b, (128, 256, 32), 4)


goodput.cases(
    "gemm",
    inputs=make_inputs,
    M=[256, 512],
    N=[512],
    K=[512],
    dtype=["float32"],
)
goodput.cases("gemm", inputs=make_inputs, M=[512], N=[512], K=[512], dtype=["bfloat16"])
