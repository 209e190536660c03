"""Train a small GPT in plain JAX on the Python standard library's own sources, byte by byte.

A plain JAX script, as anybody would write it: it knows nothing of the profiler that runs it.
"""

import argparse
import sysconfig
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random

VOCABULARY = 256  # a token is a byte
Parameters = dict[str, Any]


def layer_parameters(key: Array, width: int) -> Parameters:
    """Return the weights of one transformer layer."""
    sizes = {
        "qkv": (width, 3 * width),
        "proj": (width, width),
        "up": (width, 4 * width),
        "down": (4 * width, width),
    }
    weights = {
        name: random.normal(part, size) / size[0] ** 0.5
        for (name, size), part in zip(sizes.items(), random.split(key, len(sizes)), strict=True)
    }
    return {**weights, "norm1": jnp.ones(width), "norm2": jnp.ones(width)}


def parameters(
    key: Array, context: int, layers: int, width: int, vocabulary: int = VOCABULARY
) -> Parameters:
    """Return the weights of a GPT; those of its layers are stacked."""
    token, position, head, stack = random.split(key, 4)
    return {
        "token": random.normal(token, (vocabulary, width)) / width**0.5,
        "position": random.normal(position, (context, width)) / width**0.5,
        "layers": jax.vmap(partial(layer_parameters, width=width))(random.split(stack, layers)),
        "norm": jnp.ones(width),
        "head": random.normal(head, (width, vocabulary)) / width**0.5,
    }


def normalized(x: Array, scale: Array) -> Array:
    """Return x: [..., width] with the mean square of its channels made one."""
    return x * lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-5) * scale


def attention(weights: Parameters, x: Array, heads: int) -> Array:
    """Return the mixed tokens of causal self-attention. x: [batch, token, width]."""
    batch, tokens, width = x.shape
    qkv = (x @ weights["qkv"]).reshape(batch, tokens, 3, heads, width // heads)
    q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / (width // heads) ** 0.5
    causal = jnp.tril(jnp.ones((tokens, tokens), bool))
    shares = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf))
    mixed = jnp.einsum("bhqk,bkhd->bqhd", shares, v)
    return mixed.reshape(batch, tokens, width) @ weights["proj"]


def block(weights: Parameters, x: Array, heads: int) -> Array:
    """Return x: [batch, token, width] one pre-norm layer deeper."""
    with jax.named_scope("attention"):
        x = x + attention(weights, normalized(x, weights["norm1"]), heads)
    with jax.named_scope("mlp"):
        hidden = jax.nn.gelu(normalized(x, weights["norm2"]) @ weights["up"])
        return x + hidden @ weights["down"]


def logits_of(weights: Parameters, tokens: Array, heads: int) -> Array:
    """Return the logits of each next token. tokens: [batch, token]; layers are scanned."""
    with jax.named_scope("embedding"):
        x = weights["token"][tokens] + weights["position"][: tokens.shape[1]]
    with jax.named_scope("blocks"):
        x, _ = lax.scan(lambda x, layer: (block(layer, x, heads), None), x, weights["layers"])
    with jax.named_scope("head"):
        return normalized(x, weights["norm"]) @ weights["head"]


def loss_of(weights: Parameters, tokens: Array, targets: Array, heads: int) -> Array:
    """Return the mean loss of the next tokens."""
    logits = logits_of(weights, tokens, heads)
    with jax.named_scope("loss"):
        likelihoods = jax.nn.log_softmax(logits)
        return -jnp.take_along_axis(likelihoods, targets[..., None], axis=-1).mean()


@partial(jax.jit, static_argnames="heads", donate_argnums=(0, 1))
def step_of(
    weights: Parameters, momentum: Parameters, tokens: Array, targets: Array, heads: int
) -> tuple[Parameters, Parameters, Array]:
    """Return the weights and their momentum after one batch, and its loss."""
    loss, gradients = jax.value_and_grad(loss_of)(weights, tokens, targets, heads)
    with jax.named_scope("optimizer"):
        momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, gradients)
        weights = jax.tree.map(lambda w, m: w - 0.05 * m, weights, momentum)
    return weights, momentum, loss


def corpus() -> np.ndarray:
    """Return the standard library's top-level modules as one long array of bytes."""
    sources = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    return np.frombuffer(b"".join(source.read_bytes() for source in sources), np.uint8)


def sample(
    text: np.ndarray, generator: np.random.Generator, batch: int, context: int
) -> tuple[Array, Array]:
    """Return `batch` random windows and the same windows one byte later."""
    starts = generator.integers(len(text) - context, size=(batch, 1))
    windows = text[starts + np.arange(context + 1)].astype(np.int32)
    return jnp.asarray(windows[:, :-1]), jnp.asarray(windows[:, 1:])


def abstract_step(
    batch: int, seq: int, heads: int, **sizes: int
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return a training step, and inputs of shapes alone; `sizes` are those of the weights."""
    weights = jax.eval_shape(partial(parameters, context=seq, **sizes), random.key(0))
    tokens = jax.ShapeDtypeStruct((batch, seq), jnp.int32)
    return partial(step_of, heads=heads), (weights, weights, tokens, tokens)


def train_step(batch: int = 8, seq: int = 128) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return one training step of the default model, and shapes for it."""
    return abstract_step(batch, seq, heads=6, layers=4, width=192)


def deep_train_step(batch: int = 16, seq: int = 128) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return one training step of a model of 32 layers, and shapes for it."""
    return abstract_step(batch, seq, heads=8, layers=32, width=128, vocabulary=1536)


def main() -> None:
    """Train, and print the loss now and then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=45, help="optimizer steps")
    parser.add_argument("--batch", type=int, default=8, help="sequences in a batch")
    parser.add_argument("--block", type=int, default=128, help="tokens in a sequence")
    parser.add_argument("--layers", type=int, default=4, help="transformer layers")
    parser.add_argument("--heads", type=int, default=6, help="attention heads")
    parser.add_argument("--width", type=int, default=192, help="channels")
    args = parser.parse_args()
    weights = parameters(random.key(0), args.block, args.layers, args.width)
    momentum = jax.tree.map(jnp.zeros_like, weights)
    text, generator = corpus(), np.random.default_rng(0)
    for step in range(args.steps):
        tokens, targets = sample(text, generator, args.batch, args.block)
        weights, momentum, loss = step_of(weights, momentum, tokens, targets, heads=args.heads)
        if step % 10 == 0 or step == args.steps - 1:
            print(f"step {step}: loss {loss:.3f}", flush=True)


if __name__ == "__main__":
    main()
