"""Causal attention: torch's own, by hand, compiled, and JAX."""

import jax
import jax.numpy as jnp
import torch

import goodput


def make_inputs(batch: int, heads: int, tokens: int, width: int) -> tuple[torch.Tensor, ...]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return tuple(torch.randn(batch, heads, tokens, width, device=device) for _ in range(3))


@goodput.reference("attention")
def sdpa(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


@goodput.variant("attention")
def by_hand(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    tokens = q.shape[-2]
    hidden = torch.ones(tokens, tokens, dtype=torch.bool, device=q.device).triu(1)
    scores = (q @ k.mT) * q.shape[-1] ** -0.5
    return scores.masked_fill(hidden, float("-inf")).softmax(dim=-1) @ v


@goodput.variant("attention")
@torch.compile(dynamic=False)
def compiled(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    tokens = q.shape[-2]
    hidden = torch.ones(tokens, tokens, dtype=torch.bool, device=q.device).triu(1)
    scores = (q @ k.mT) * q.shape[-1] ** -0.5
    return scores.masked_fill(hidden, float("-inf")).softmax(dim=-1) @ v


@goodput.variant("attention")
@jax.jit
def xla(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    tokens = q.shape[-2]
    scores = jnp.einsum("bhqd,bhkd->bhqk", q, k) * q.shape[-1] ** -0.5
    shown = jnp.tril(jnp.ones((tokens, tokens), dtype=bool))
    weights = jax.nn.softmax(jnp.where(shown, scores, -jnp.inf), axis=-1)
    return jnp.einsum("bhqk,bhkd->bhqd", weights, v)


goodput.cases("attention", inputs=make_inputs, batch=[2], heads=[8], tokens=[256], width=[64])
goodput.cases(
    "attention",
    inputs=make_inputs,
    backward=True,
    batch=[2],
    heads=[8],
    tokens=[256],
    width=[64],
)
