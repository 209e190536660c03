# ruff: noqa: ANN001, ANN201, ANN202 - the arguments of kernels
"""Causal attention: torch's own, by hand, compiled, JAX, Pallas, and Triton on a device.

Pallas and Triton have the forward pass alone here, and say so where both are asked for.
"""

import jax
import jax.numpy as jnp
import torch
from jax.experimental import pallas

import goodput

INTERPRETED = jax.default_backend() == "cpu"
PALLAS = "pallas (interpreted)" if INTERPRETED else "pallas"
BLOCK = 64
FORWARD_ALONE = "this kernel has a forward pass alone"


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


def _one_block(q_block, k_block, v_block, out_block):
    """One block of queries against all keys of a head, with the running sums of a softmax."""
    q = q_block[0].astype(jnp.float32) * q_block.shape[-1] ** -0.5
    rows = pallas.program_id(1) * BLOCK + jnp.arange(BLOCK)[:, None]

    def step(place, state):
        total, most, weight = state
        here = pallas.ds(place * BLOCK, BLOCK)
        k, v = k_block[0, here, :], v_block[0, here, :]
        columns = place * BLOCK + jnp.arange(BLOCK)[None, :]
        scores = jnp.where(columns <= rows, q @ k.T, -jnp.inf)
        higher = jnp.maximum(most, scores.max(axis=-1, keepdims=True))
        shrink, weights = jnp.exp(most - higher), jnp.exp(scores - higher)
        weight = weight * shrink + weights.sum(axis=-1, keepdims=True)
        return total * shrink + weights @ v, higher, weight

    start = (
        jnp.zeros(q.shape, jnp.float32),
        jnp.full((BLOCK, 1), -jnp.inf, jnp.float32),
        jnp.zeros((BLOCK, 1), jnp.float32),
    )
    total, _, weight = jax.lax.fori_loop(0, pallas.program_id(1) + 1, step, start)
    out_block[0] = (total / weight).astype(out_block.dtype)


@jax.custom_vjp
def _pallas_attention(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    batch, heads, tokens, width = q.shape
    form = (batch * heads, tokens, width)
    queries = pallas.BlockSpec((1, BLOCK, width), lambda head, block: (head, block, 0))
    whole = pallas.BlockSpec((1, tokens, width), lambda head, _: (head, 0, 0))
    out = pallas.pallas_call(
        _one_block,
        out_shape=jax.ShapeDtypeStruct(form, q.dtype),
        grid=(batch * heads, tokens // BLOCK),
        in_specs=[queries, whole, whole],
        out_specs=queries,
        interpret=INTERPRETED,
    )(q.reshape(form), k.reshape(form), v.reshape(form))
    return out.reshape(q.shape)


def _refused(*_: object):
    raise NotImplementedError(FORWARD_ALONE)


_pallas_attention.defvjp(_refused, _refused)


@goodput.variant("attention", name=PALLAS)
@jax.jit
def pallas_flash(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    if q.shape[-2] % BLOCK:
        raise NotImplementedError(f"this kernel takes multiples of {BLOCK} tokens")
    return _pallas_attention(q, k, v)


try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

if triton is not None:

    @triton.jit
    def flash_kernel(q, k, v, out, tokens, scale, block: tl.constexpr, width: tl.constexpr):
        """One block of queries of a head against the keys up to it."""
        first = tl.program_id(0) * block
        rows = first + tl.arange(0, block)
        inner = tl.arange(0, width)
        head = tl.program_id(1).to(tl.int64) * tokens * width
        places = head + rows[:, None] * width + inner[None, :]
        inside = rows[:, None] < tokens
        queries = tl.load(q + places, mask=inside, other=0.0)
        most = tl.full((block,), -float("inf"), tl.float32)
        weight = tl.zeros((block,), tl.float32)
        total = tl.zeros((block, width), tl.float32)
        for start in range(0, first + block, block):
            columns = start + tl.arange(0, block)
            there = head + columns[:, None] * width + inner[None, :]
            shown = columns[:, None] < tokens
            keys = tl.load(k + there, mask=shown, other=0.0)
            scores = tl.dot(queries, tl.trans(keys), input_precision="ieee") * scale
            scores = tl.where(columns[None, :] <= rows[:, None], scores, -float("inf"))
            higher = tl.maximum(most, tl.max(scores, axis=1))
            shrink = tl.exp(most - higher)
            weights = tl.exp(scores - higher[:, None])
            weight = weight * shrink + tl.sum(weights, axis=1)
            values = tl.load(v + there, mask=shown, other=0.0)
            total *= shrink[:, None]
            total = tl.dot(weights.to(values.dtype), values, total, input_precision="ieee")
            most = higher
        result = (total / weight[:, None]).to(out.dtype.element_ty)
        tl.store(out + places, result, mask=inside)

    @goodput.variant("attention", name="triton")
    def triton_flash(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        if q.requires_grad:
            raise NotImplementedError(FORWARD_ALONE)
        batch, heads, tokens, width = q.shape
        out = torch.empty_like(q)
        grid = triton.cdiv(tokens, BLOCK), batch * heads
        flash_kernel[grid](q, k, v, out, tokens, width**-0.5, block=BLOCK, width=width, num_warps=4)
        return out


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
