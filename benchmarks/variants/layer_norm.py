# ruff: noqa: ANN001, ANN201, ANN202, D101, D102 - the arguments of kernels
"""Layer norm, forward and backward: torch eager, by hand, compiled, JAX, Pallas and Triton.

The kernels of Triton and Pallas give the gradient of the input; those of weight and bias are sums
over rows, which both leave to their framework.
"""

import jax
import jax.numpy as jnp
import torch
from jax.experimental import pallas

import goodput

EPSILON = 1e-5
INTERPRETED = jax.default_backend() == "cpu"
PALLAS = "pallas (interpreted)" if INTERPRETED else "pallas"
ROWS = 64


def make_inputs(rows: int, width: int, dtype: str) -> tuple[torch.Tensor, ...]:
    form = {
        "dtype": getattr(torch, dtype),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }
    return torch.randn(rows, width, **form), torch.rand(width, **form), torch.randn(width, **form)


@goodput.reference("layer norm")
def aten(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, EPSILON)


@goodput.variant("layer norm")
def by_hand(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    return centred * (variance + EPSILON).rsqrt() * weight + bias


@goodput.variant("layer norm")
@torch.compile(dynamic=False)
def compiled(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, EPSILON)


@goodput.variant("layer norm")
@jax.jit
def xla(x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = jnp.square(centred).mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + EPSILON) * weight + bias


def _normalised(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = jax.lax.rsqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + EPSILON)
    return centred * scale, scale


def _forward_rows(x_block, weight_block, bias_block, y_block):
    normal, _ = _normalised(x_block[...])
    y_block[...] = normal * weight_block[...] + bias_block[...]


def _backward_rows(x_block, weight_block, dy_block, dx_block):
    normal, scale = _normalised(x_block[...])
    pulled = dy_block[...] * weight_block[...]
    along = (pulled * normal).mean(axis=-1, keepdims=True)
    dx_block[...] = scale * (pulled - pulled.mean(axis=-1, keepdims=True) - normal * along)


def _by_rows(kernel, *arrays: jax.Array) -> jax.Array:
    rows, width = arrays[0].shape
    blocks = pallas.BlockSpec((ROWS, width), lambda row: (row, 0))
    whole = pallas.BlockSpec((width,), lambda _: (0,))
    return pallas.pallas_call(
        kernel,
        out_shape=jax.ShapeDtypeStruct(arrays[0].shape, arrays[0].dtype),
        grid=(pallas.cdiv(rows, ROWS),),
        in_specs=[blocks if array.ndim > 1 else whole for array in arrays],
        out_specs=blocks,
        interpret=INTERPRETED,
    )(*arrays)


@jax.custom_vjp
def _pallas_norm(x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
    return _by_rows(_forward_rows, x, weight, bias)


def _kept(x: jax.Array, weight: jax.Array, bias: jax.Array) -> tuple[jax.Array, tuple]:
    return _pallas_norm(x, weight, bias), (x, weight)


def _pulled(kept: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, ...]:
    x, weight = kept
    normal, _ = _normalised(x)
    return _by_rows(_backward_rows, x, weight, dy), (dy * normal).sum(axis=0), dy.sum(axis=0)


_pallas_norm.defvjp(_kept, _pulled)


@goodput.variant("layer norm", name=PALLAS)
@jax.jit
def pallas_rows(x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
    return _pallas_norm(x, weight, bias)


try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

if triton is not None:

    @triton.jit
    def norm_kernel(source, weight, bias, target, width, epsilon, block: tl.constexpr):
        row = tl.program_id(0).to(tl.int64)
        places = tl.arange(0, block)
        inside = places < width
        x = tl.load(source + row * width + places, mask=inside, other=0.0).to(tl.float32)
        centred = tl.where(inside, x - tl.sum(x, axis=0) / width, 0.0)
        scale = tl.rsqrt(tl.sum(centred * centred, axis=0) / width + epsilon)
        w = tl.load(weight + places, mask=inside, other=0.0).to(tl.float32)
        b = tl.load(bias + places, mask=inside, other=0.0).to(tl.float32)
        y = centred * scale * w + b
        tl.store(target + row * width + places, y.to(target.dtype.element_ty), mask=inside)

    @triton.jit
    def norm_backward_kernel(
        source, weight, gradient, target, normal_target, width, epsilon, block: tl.constexpr
    ):
        row = tl.program_id(0).to(tl.int64)
        places = tl.arange(0, block)
        inside = places < width
        x = tl.load(source + row * width + places, mask=inside, other=0.0).to(tl.float32)
        centred = tl.where(inside, x - tl.sum(x, axis=0) / width, 0.0)
        scale = tl.rsqrt(tl.sum(centred * centred, axis=0) / width + epsilon)
        normal = centred * scale
        w = tl.load(weight + places, mask=inside, other=0.0).to(tl.float32)
        dy = tl.load(gradient + row * width + places, mask=inside, other=0.0).to(tl.float32)
        pulled = dy * w
        along = tl.sum(pulled * normal, axis=0) / width
        dx = scale * (pulled - tl.sum(pulled, axis=0) / width - normal * along)
        tl.store(target + row * width + places, dx.to(target.dtype.element_ty), mask=inside)
        form = normal_target.dtype.element_ty
        tl.store(normal_target + row * width + places, (dy * normal).to(form), mask=inside)

    class TritonNorm(torch.autograd.Function):
        @staticmethod
        def forward(
            context, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
        ) -> torch.Tensor:
            out = torch.empty_like(x)
            rows, width = x.shape
            block = triton.next_power_of_2(width)
            norm_kernel[(rows,)](x, weight, bias, out, width, EPSILON, block=block, num_warps=4)
            context.save_for_backward(x, weight)
            return out

        @staticmethod
        def backward(context, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
            x, weight = context.saved_tensors
            dy = gradient.contiguous()
            out, scaled = torch.empty_like(x), torch.empty_like(x)
            rows, width = x.shape
            block = triton.next_power_of_2(width)
            norm_backward_kernel[(rows,)](
                x, weight, dy, out, scaled, width, EPSILON, block=block, num_warps=4
            )
            return out, scaled.sum(dim=0), dy.sum(dim=0)

    @goodput.variant("layer norm", name="triton")
    def triton_rows(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return TritonNorm.apply(x, weight, bias)


goodput.cases("layer norm", inputs=make_inputs, rows=[1024], width=[768], dtype=["float32"])
goodput.cases(
    "layer norm", inputs=make_inputs, backward=True, rows=[1024], width=[768], dtype=["float32"]
)
