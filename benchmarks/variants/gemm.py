# ruff: noqa: ANN001, ANN201, ANN202, PLR0913, PLR0917 - the arguments of a Triton kernel
"""Matrix products: torch eager and compiled, JAX, Pallas, a split K, and Triton on a device.

Forward alone: a backward pass is two more products. One of the Triton variants is tuned, and one
spills registers, as `--target sm_90` shows without a GPU.
"""

import jax
import jax.numpy as jnp
import torch
from jax.experimental import pallas

import goodput

HAS_DEVICE = torch.cuda.is_available()
INTERPRETED = jax.default_backend() == "cpu"
PALLAS = "pallas (interpreted)" if INTERPRETED else "pallas"
TILE = 128


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


def _tile(a_block, b_block, c_block):
    product = jnp.dot(a_block[...], b_block[...], preferred_element_type=jnp.float32)
    c_block[...] = product.astype(c_block.dtype)


@goodput.variant("gemm", name=PALLAS)
@jax.jit
def pallas_tiles(a: jax.Array, b: jax.Array) -> jax.Array:
    """A tile of the result a program, which takes whole rows of `a` and columns of `b`."""
    (m, k), n = a.shape, b.shape[1]
    return pallas.pallas_call(
        _tile,
        out_shape=jax.ShapeDtypeStruct((m, n), a.dtype),
        grid=(pallas.cdiv(m, TILE), pallas.cdiv(n, TILE)),
        in_specs=[
            pallas.BlockSpec((TILE, k), lambda row, _: (row, 0)),
            pallas.BlockSpec((k, TILE), lambda _, column: (0, column)),
        ],
        out_specs=pallas.BlockSpec((TILE, TILE), lambda row, column: (row, column)),
        interpret=INTERPRETED,
    )(a, b)


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

    _sizes = ((64, 64, 4), (128, 64, 4), (128, 128, 8))
    tuned_kernel = triton.autotune(
        [
            triton.Config({"block_m": m, "block_n": n, "block_k": 32}, num_warps=warps)
            for m, n, warps in _sizes
        ],
        key=["m", "n", "k"],
    )(gemm_kernel)

    @goodput.variant("gemm")
    def triton_tuned(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        (m, k), n = a.shape, b.shape[1]
        out = torch.empty(m, n, dtype=a.dtype, device=a.device)

        def grid(chosen: dict[str, int]) -> tuple[int, int]:
            return triton.cdiv(m, chosen["block_m"]), triton.cdiv(n, chosen["block_n"])

        tuned_kernel[grid](a, b, out, m, n, k)
        return out


goodput.cases(
    "gemm",
    inputs=make_inputs,
    M=[256, 512],
    N=[512],
    K=[512],
    dtype=["float32"],
)
goodput.cases("gemm", inputs=make_inputs, M=[512], N=[512], K=[512], dtype=["bfloat16"])
