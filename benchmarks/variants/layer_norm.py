"""Layer norm, forward and backward: torch eager, by hand, compiled, and JAX."""

import jax
import jax.numpy as jnp
import torch

import goodput

EPSILON = 1e-5


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


goodput.cases("layer norm", inputs=make_inputs, rows=[1024], width=[768], dtype=["float32"])
goodput.cases(
    "layer norm", inputs=make_inputs, backward=True, rows=[1024], width=[768], dtype=["float32"]
)
