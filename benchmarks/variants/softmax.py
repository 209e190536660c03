# ruff: noqa: ANN001, ANN201, ANN202, D101, D102 - the arguments of kernels
"""Softmax over rows: torch eager, torch.compile, JAX, Pallas, and Triton where there is a device.

Triton and Pallas have both passes: one program a row, and the row's sum in the backward pass.
"""

import jax
import jax.numpy as jnp
import torch
from jax.experimental import pallas

import goodput

HAS_DEVICE = torch.cuda.is_available()
INTERPRETED = jax.default_backend() == "cpu"
PALLAS = "pallas (interpreted)" if INTERPRETED else "pallas"
ROWS = 64


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


def _forward_rows(x_block, y_block):
    x = x_block[...]
    shifted = jnp.exp(x - x.max(axis=-1, keepdims=True))
    y_block[...] = shifted / shifted.sum(axis=-1, keepdims=True)


def _backward_rows(y_block, dy_block, dx_block):
    y, dy = y_block[...], dy_block[...]
    dx_block[...] = y * (dy - (y * dy).sum(axis=-1, keepdims=True))


def _by_rows(kernel, *arrays: jax.Array) -> jax.Array:
    rows, columns = arrays[0].shape
    blocks = pallas.BlockSpec((ROWS, columns), lambda row: (row, 0))
    return pallas.pallas_call(
        kernel,
        out_shape=jax.ShapeDtypeStruct(arrays[0].shape, arrays[0].dtype),
        grid=(pallas.cdiv(rows, ROWS),),
        in_specs=[blocks] * len(arrays),
        out_specs=blocks,
        interpret=INTERPRETED,
    )(*arrays)


@jax.custom_vjp
def _pallas_softmax(x: jax.Array) -> jax.Array:
    return _by_rows(_forward_rows, x)


def _kept(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    y = _pallas_softmax(x)
    return y, y


def _pulled(y: jax.Array, dy: jax.Array) -> tuple[jax.Array]:
    return (_by_rows(_backward_rows, y, dy),)


_pallas_softmax.defvjp(_kept, _pulled)


@goodput.variant("softmax", name=PALLAS)
@jax.jit
def pallas_rows(x: jax.Array) -> jax.Array:
    return _pallas_softmax(x)


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

    @triton.jit
    def softmax_backward_kernel(result, gradient, target, columns, block: tl.constexpr):
        row = tl.program_id(0).to(tl.int64)
        places = tl.arange(0, block)
        inside = places < columns
        y = tl.load(result + row * columns + places, mask=inside, other=0.0).to(tl.float32)
        dy = tl.load(gradient + row * columns + places, mask=inside, other=0.0).to(tl.float32)
        dx = y * (dy - tl.sum(y * dy, axis=0))
        tl.store(target + row * columns + places, dx.to(target.dtype.element_ty), mask=inside)

    class TritonSoftmax(torch.autograd.Function):
        @staticmethod
        def forward(context, x: torch.Tensor) -> torch.Tensor:
            out = torch.empty_like(x)
            rows, columns = x.shape
            block = triton.next_power_of_2(columns)
            softmax_kernel[(rows,)](x, out, columns, block=block, num_warps=8)
            context.save_for_backward(out)
            return out

        @staticmethod
        def backward(context, gradient: torch.Tensor) -> torch.Tensor:
            (y,) = context.saved_tensors
            out = torch.empty_like(y)
            rows, columns = y.shape
            block = triton.next_power_of_2(columns)
            softmax_backward_kernel[(rows,)](
                y, gradient.contiguous(), out, columns, block=block, num_warps=8
            )
            return out

    @goodput.variant("softmax", name="triton")
    def triton_rows(x: torch.Tensor) -> torch.Tensor:
        return TritonSoftmax.apply(x)


goodput.cases("softmax", inputs=make_inputs, rows=[1024], columns=[512, 4096], dtype=["float32"])
goodput.cases(
    "softmax", inputs=make_inputs, backward=True, rows=[1024], columns=[512], dtype=["float32"]
)
