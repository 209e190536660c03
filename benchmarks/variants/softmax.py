# ruff: noqa: ANN001, ANN201 - the arguments of a Triton kernel
"""Softmax over rows: torch eager, torch.compile, JAX, and Triton where there is a device."""

import jax
import jax.numpy as jnp
import torch

import goodput

HAS_DEVICE = torch.cuda.is_available()


def make_inputs(rows: int, columns: int, dtype: str) -> tuple[torch.Tensor]:
    device = "cuda" if HAS_DEVICE else "cpu"
    return (3 * torch.randn(rows, columns, dtype=getattr(torch, dtype), device=device),)


@goodput.reference("softmax")
def aten(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x, dim=-1)


@goodput.variant("softmax")
def by_hand(x: torch.Tensor) -> torch.Tensor:
    shifted = (x - x.amax(dim=-1, keepdim=True)).exp()
    return shifted / shifted.sum(dim=-1, keepdim=True)


@goodput.variant("softmax")
@torch.compile(dynamic=False)
def compiled(x: torch.Tensor) -> torch.Tensor:
    shifted = (x - x.amax(dim=-1, keepdim=True)).exp()
    return shifted / shifted.sum(dim=-1, keepdim=True)


@goodput.variant("softmax")
@jax.jit
def xla(x: jax.Array) -> jax.Array:
    return jax.nn.softmax(x, axis=-1)


@goodput.variant("softmax")
@jax.jit
def xla_by_hand(x: jax.Array) -> jax.Array:
    shifted = jnp.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

if triton is not None:

    @triton.jit
    def softmax_kernel(source, target, columns, block: tl.constexpr):
        row = tl.program_id(0).to(tl.int64)
        places = tl.arange(0, block)
        inside = places < columns
        x = tl.load(source + row * columns + places, mask=inside, other=-float("inf"))
        shifted = tl.exp(x.to(tl.float32) - tl.max(x.to(tl.float32), axis=0))
        y = shifted / tl.sum(shifted, axis=0)
        tl.store(target + row * columns + places, y.to(x.dtype), mask=inside)

    @goodput.variant("softmax", name="triton")
    def triton_rows(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        rows, columns = x.shape
        block = triton.next_power_of_2(columns)
        softmax_kernel[(rows,)](x, out, columns, block=block, num_warps=8)
        return out


goodput.cases("softmax", inputs=make_inputs, rows=[1024], columns=[512, 4096], dtype=["float32"])
