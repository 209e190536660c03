"""The modules of flax's nnx by their attributes."""

from __future__ import annotations

from typing import Any

import pytest

nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")

import jax  # noqa: E402 - after the skip
import jax.numpy as jnp  # noqa: E402 - after the skip

from goodput.frontends.jax_count import Step, count_step  # noqa: E402


class Block(nnx.Module):
    def __init__(self, rngs: Any) -> None:
        self.up, self.down = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 8, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.down(nnx.relu(self.up(x)))


class Net(nnx.Module):
    def __init__(self, rngs: Any) -> None:
        self.blocks = nnx.List([Block(rngs), Block(rngs)])
        self.head = nnx.Linear(8, 4, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@pytest.mark.parametrize("train", [None, True])
def test_modules_by_attribute(train: bool | None) -> None:
    before = vars(Block)["__call__"]
    count = count_step(Step(Net(nnx.Rngs(0)), (jnp.ones((2, 8)),), train))
    modules = {entry.module for entry in count.work.entries if entry.work and entry.work.flops}
    blocks = {f"Net.blocks.{n}.{name}" for n in (0, 1) for name in ("up", "down")}
    assert modules == {"Net.head", *blocks}
    assert vars(Block)["__call__"] is before


def test_a_jitted_step() -> None:
    @nnx.jit
    def step(net: Any, x: Any) -> Any:
        return nnx.value_and_grad(lambda net: net(x).sum())(net)

    count = count_step(Step(step, (Net(nnx.Rngs(0)), jnp.ones((2, 8)))))
    products = [entry for entry in count.work.entries if entry.work and entry.work.flops]
    assert {entry.phase for entry in products} == {"forward", "backward"}
    assert "Net.blocks.1.down" in {entry.module for entry in products}


@pytest.mark.parametrize("jit", [lambda step: step, nnx.jit])
def test_a_step_that_leaves_its_result_in_the_module(jit: Any) -> None:
    @jit
    def step(net: Any, x: Any) -> Any:
        loss, gradient = nnx.value_and_grad(lambda net: net(x).sum())(net)
        nnx.update(net, jax.tree.map(lambda w, g: w - g, nnx.state(net), gradient))
        return loss

    count = count_step(Step(step, (Net(nnx.Rngs(0)), jnp.ones((2, 8)))))
    flops = dict.fromkeys(("forward", "backward"), 0)
    for entry in count.work.entries:
        flops[entry.phase] += entry.work.flops if entry.work else 0
    forward = 2 * 2 * (2 * 2 * 8 * 16 + 8 * 4)
    # No gradient is needed by the inputs of the first layer.
    assert flops == {"forward": forward, "backward": 2 * forward - 2 * 2 * 8 * 16}
