"""The SwiGLU block of a transformer: three products, two of them joined, compiled, and JAX."""

import jax
import torch
from torch.nn.functional import silu

import goodput


def make_inputs(tokens: int, width: int, hidden: int) -> tuple[torch.Tensor, ...]:
    form = {"device": "cuda" if torch.cuda.is_available() else "cpu"}
    scale = width**-0.5
    return (
        torch.randn(tokens, width, **form),
        scale * torch.randn(width, hidden, **form),
        scale * torch.randn(width, hidden, **form),
        scale * torch.randn(hidden, width, **form),
    )


@goodput.reference("swiglu")
def three_products(
    x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor
) -> torch.Tensor:
    return (silu(x @ gate) * (x @ up)) @ down


@goodput.variant("swiglu")
def joined(
    x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor
) -> torch.Tensor:
    both = x @ torch.cat([gate, up], dim=1)
    first, second = both.chunk(2, dim=1)
    return (silu(first) * second) @ down


@goodput.variant("swiglu")
@torch.compile(dynamic=False)
def compiled(
    x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor
) -> torch.Tensor:
    return (silu(x @ gate) * (x @ up)) @ down


@goodput.variant("swiglu")
@jax.jit
def xla(x: jax.Array, gate: jax.Array, up: jax.Array, down: jax.Array) -> jax.Array:
    return (jax.nn.silu(x @ gate) * (x @ up)) @ down


goodput.cases("swiglu", inputs=make_inputs, tokens=[256], width=[512], hidden=[1024])
