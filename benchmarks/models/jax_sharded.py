"""A feed-forward model over all devices by data, tensor or pipeline parallelism, in JAX.

Virtual devices of a CPU do: XLA_FLAGS=--xla_force_host_platform_device_count=8.

Usage: python benchmarks/models/jax_sharded.py data|tensor|pipeline [--steps N]
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

Step = Callable[..., Any]
BATCH, WIDTH = 64, 128
INNER = 4 * WIDTH
DEVICES = "devices"
IN_FLIGHT = 8
"""Steps that are started before one is waited for.

Virtual devices of a CPU share a pool of as many threads, or of one for each core where these are
more. XLA lets 32 programs a device be under way, and starting one more holds a thread of that pool
until another is done: with the other threads in a collective, which waits for the device that found
no thread, that is never.
"""


def placed(mesh: Mesh, spec: P, *shape: int) -> jax.Array:
    """Return ones, spread over the devices."""
    return jax.device_put(jnp.ones(shape), NamedSharding(mesh, spec))


def data(mesh: Mesh) -> tuple[Step, tuple[Any, ...]]:
    """Return a training step whose batch is spread by jit alone, and its inputs."""

    @partial(jax.jit, donate_argnums=0)
    def step(weights: tuple[jax.Array, jax.Array], x: jax.Array) -> Any:
        def loss(weights: tuple[jax.Array, jax.Array]) -> jax.Array:
            with jax.named_scope("mlp"):
                return jnp.square(jnp.tanh(x @ weights[0]) @ weights[1]).mean()

        gradient = jax.grad(loss)(weights)
        with jax.named_scope("optimizer"):
            return jax.tree.map(lambda w, g: w - 0.1 * g, weights, gradient)

    weights = placed(mesh, P(), WIDTH, INNER), placed(mesh, P(), INNER, WIDTH)
    return step, (weights, placed(mesh, P(DEVICES), BATCH, WIDTH))


def tensor(mesh: Mesh) -> tuple[Step, tuple[Any, ...]]:
    """Return a step whose inner channels are spread by `shard_map`, and its inputs."""

    def step(x: jax.Array, up: jax.Array, down: jax.Array) -> jax.Array:
        return lax.psum(jnp.tanh(x @ up) @ down, DEVICES) / INNER

    columns, rows = P(None, DEVICES), P(DEVICES, None)
    spread = jax.shard_map(step, mesh=mesh, in_specs=(P(), columns, rows), out_specs=P())
    inputs = (
        placed(mesh, P(), BATCH, WIDTH),
        placed(mesh, columns, WIDTH, INNER),
        placed(mesh, rows, INNER, WIDTH),
    )
    return jax.jit(spread), inputs


def pipeline(mesh: Mesh) -> tuple[Step, tuple[Any, ...]]:
    """Return a step that sends parts of a batch from layer to layer, one a device, and inputs."""
    devices = mesh.size

    def step(x: jax.Array, weight: jax.Array) -> jax.Array:
        def turn(x: jax.Array, _: None) -> tuple[jax.Array, None]:
            after = [(place, (place + 1) % devices) for place in range(devices)]
            return lax.ppermute(jnp.tanh(x @ weight[0]), DEVICES, after), None

        return lax.scan(turn, x, None, length=devices)[0]

    spread = jax.shard_map(step, mesh=mesh, in_specs=(P(DEVICES),) * 2, out_specs=P(DEVICES))
    inputs = (
        placed(mesh, P(DEVICES), BATCH, WIDTH),
        placed(mesh, P(DEVICES), devices, WIDTH, WIDTH),
    )
    return jax.jit(spread), inputs


WAYS = {"data": data, "tensor": tensor, "pipeline": pipeline}


def run(way: str, steps: int) -> None:
    """Run so many steps, each on what the last one returned; no more than `IN_FLIGHT` at once."""
    step, (first, *rest) = WAYS[way](Mesh(np.array(jax.devices()), (DEVICES,)))
    for number in range(steps):
        first = step(first, *rest)
        if number % IN_FLIGHT == IN_FLIGHT - 1:
            jax.block_until_ready(first)
    jax.block_until_ready(first)


def main() -> None:
    """Run one way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--steps", type=int, default=40)
    args = parser.parse_args()
    run(args.way, args.steps)
    print(f"{args.way}: {args.steps} steps on {len(jax.devices())} devices")


if __name__ == "__main__":
    main()
