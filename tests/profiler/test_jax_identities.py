"""What must hold between counts of JAX, whatever the sizes; torch's counts are the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

jax = pytest.importorskip("jax", reason="jax programs are counted by jax")
torch = pytest.importorskip("torch", reason="its counts are compared with jax's")

import jax.numpy as jnp  # noqa: E402 - after the skips
from jax import lax  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from goodput.frontends import jax_count, torch_count  # noqa: E402

SIZES = st.integers(1, 12)
FEW = settings(max_examples=3)
Sums = dict[str, int]


def shape(*sizes: int, dtype: Any = jnp.float32) -> Any:
    return jax.ShapeDtypeStruct(sizes, dtype)


def of_jax(call: Callable[..., Any], *inputs: Any, train: bool | None = None) -> Sums:
    return sums(jax_count.count_step(jax_count.Step(call, inputs, train)))


def of_torch(call: Callable[..., Any], *inputs: Any, train: bool | None = None) -> Sums:
    return sums(torch_count.count_step(torch_count.Step(call, inputs, train)))


def sums(count: Any) -> Sums:
    found = {"forward": 0, "backward": 0, "recompute": 0}
    for entry in count.work.entries:
        if entry.work is not None:
            found[entry.phase] = found.get(entry.phase, 0) + entry.work.dense_flops
    return found


@FEW
@given(steps=st.integers(1, 6), m=SIZES, n=SIZES)
def test_a_scan_is_what_it_is_unrolled(steps: int, m: int, n: int) -> None:
    def body(x: Any, w: Any) -> Any:
        return jnp.tanh(x @ w)

    def scanned(x: Any, w: Any) -> Any:
        return lax.scan(lambda c, _: (body(c, w), None), x, None, length=steps)[0]

    def unrolled(x: Any, w: Any) -> Any:
        for _ in range(steps):
            x = body(x, w)
        return x

    inputs = shape(m, n), shape(n, n)
    assert of_jax(scanned, *inputs) == of_jax(unrolled, *inputs)
    assert of_jax(scanned, *inputs)["forward"] == steps * 2 * m * n * n


@FEW
@given(m=SIZES, n=SIZES, k=SIZES)
def test_the_gradients_of_a_product_are_two_of_it(m: int, n: int, k: int) -> None:
    both = jax.value_and_grad(lambda p: jnp.sum((p[0] @ p[1]) ** 2))
    found = of_jax(both, (shape(m, k), shape(k, n)))
    assert found["forward"] == 2 * m * n * k
    assert found["backward"] == 2 * found["forward"]


@FEW
@given(batch=SIZES, m=SIZES, n=SIZES, k=SIZES)
def test_a_mapped_product_is_one_for_each_of_the_batch(batch: int, m: int, n: int, k: int) -> None:
    one = of_jax(jnp.matmul, shape(m, k), shape(k, n))["forward"]
    inputs = shape(batch, m, k), shape(batch, k, n)
    assert of_jax(jax.vmap(jnp.matmul), *inputs)["forward"] == batch * one


@FEW
@given(layers=st.integers(1, 4), m=SIZES, n=SIZES)
def test_remat_adds_what_it_recomputes_and_nothing_else(layers: int, m: int, n: int) -> None:
    def loss(remat: bool) -> Callable[..., Any]:
        def layer(x: Any, w: Any) -> Any:
            return jnp.tanh(x @ w) @ w

        body = jax.checkpoint(layer) if remat else layer
        return lambda w, x: lax.scan(lambda c, v: (body(c, v), None), x, w)[0].sum()

    inputs = shape(layers, n, n), shape(m, n)
    plain = of_jax(jax.value_and_grad(loss(remat=False)), *inputs)
    again = of_jax(jax.value_and_grad(loss(remat=True)), *inputs)
    assert again.pop("recompute") == layers * 2 * m * n * n
    assert plain.pop("recompute") == 0
    assert again == plain


@FEW
@given(m=SIZES, n=SIZES, k=SIZES)
def test_jit_changes_nothing(m: int, n: int, k: int) -> None:
    def step(p: Any, x: Any) -> Any:
        return jnp.square(jnp.tanh(x @ p)).mean()

    inputs = shape(k, n), shape(m, k)
    assert of_jax(jax.jit(jax.grad(step)), *inputs) == of_jax(jax.grad(step), *inputs)


@FEW
@given(batch=SIZES, sizes=st.lists(SIZES, min_size=2, max_size=4))
def test_an_mlp_counts_as_in_torch(batch: int, sizes: list[int]) -> None:
    def jax_mlp(weights: Any, x: Any) -> Any:
        for w in weights:
            x = jax.nn.relu(x @ w)
        return x

    pairs = list(itertools.pairwise(sizes))
    layers = [part for a, b in pairs for part in (nn.Linear(a, b, bias=False), nn.ReLU())]
    weights = [shape(a, b) for a, b in pairs]
    theirs = of_torch(nn.Sequential(*layers), torch.ones(batch, sizes[0]), train=True)
    assert of_jax(jax_mlp, weights, shape(batch, sizes[0]), train=True) == theirs


@settings(max_examples=30)
@given(
    batch=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    groups=st.integers(1, 3),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    size=st.integers(5, 9),
)
def test_a_convolution_counts_as_in_torch(
    batch: int,
    channels: tuple[int, int],
    groups: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    size: int,
) -> None:
    into, out = channels[0] * groups, channels[1] * groups

    def jax_net(p: Any) -> Any:
        return lax.conv_general_dilated(
            p[0],
            p[1],
            (stride, stride),
            [(padding, padding)] * 2,
            rhs_dilation=(dilation, dilation),
            dimension_numbers=("NCHW", "OIHW", "NCHW"),
            feature_group_count=groups,
        )

    net = nn.Conv2d(into, out, kernel, stride, padding, dilation, groups, bias=False)
    image = torch.ones(batch, into, size, size, requires_grad=True)
    inputs = (shape(batch, into, size, size), shape(out, channels[0], kernel, kernel))
    assert of_jax(jax_net, inputs, train=True) == of_torch(net, image, train=True)


@FEW
@given(
    batch=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=st.integers(1, 3),
    stride=st.integers(2, 3),
    size=st.integers(2, 6),
)
def test_a_transposed_convolution_counts_as_in_torch(
    batch: int, channels: tuple[int, int], kernel: int, stride: int, size: int
) -> None:
    into, out = channels

    def jax_net(p: Any) -> Any:
        numbers = ("NCHW", "OIHW", "NCHW")
        return lax.conv_transpose(
            p[0], p[1], (stride, stride), "VALID", dimension_numbers=numbers, transpose_kernel=True
        )

    net = nn.ConvTranspose2d(into, out, kernel, stride, bias=False)
    image = torch.ones(batch, into, size, size, requires_grad=True)
    inputs = (shape(batch, into, size, size), shape(into, out, kernel, kernel))
    assert of_jax(jax_net, inputs, train=True) == of_torch(net, image, train=True)


@pytest.mark.slow
@settings(max_examples=2)  # jax compiles some of them for each shape
@given(batch=st.integers(1, 3), n=SIZES, more=st.integers(0, 9), columns=SIZES)
def test_factorisations_count_as_in_torch(batch: int, n: int, more: int, columns: int) -> None:
    square, tall, right = (batch, n, n), (batch, n + more, n), (batch, n, columns)
    for ours, theirs, shapes in (
        (jnp.linalg.cholesky, torch.linalg.cholesky, [square]),
        (jnp.linalg.qr, torch.linalg.qr, [tall]),
        (jnp.linalg.eigh, torch.linalg.eigh, [square]),
        (jnp.linalg.solve, torch.linalg.solve, [square, right]),
        (
            lambda a: jnp.linalg.svd(a, full_matrices=False),
            lambda a: torch.linalg.svd(a, full_matrices=False),
            [tall],
        ),
    ):
        found = of_jax(ours, *(shape(*sizes) for sizes in shapes))
        assert found == of_torch(theirs, *(torch.ones(*sizes) for sizes in shapes)), ours


def jax_gpt(weights: Any, tokens: Any, heads: int) -> Any:
    def norm(x: Any) -> Any:
        return (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)

    x = weights["token"][tokens]
    for layer in weights["layers"]:
        batch, length, width = x.shape
        qkv = (norm(x) @ layer["qkv"]).reshape(batch, length, 3, heads, width // heads)
        mixed = jax.nn.dot_product_attention(*(qkv[:, :, i] for i in range(3)), is_causal=True)
        x = x + mixed.reshape(x.shape) @ layer["proj"]
        x = x + jax.nn.gelu(norm(x) @ layer["up"]) @ layer["down"]
    return norm(x) @ weights["head"]


class TorchGPT(nn.Module):
    def __init__(self, vocabulary: int, layers: int, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.token, self.norm = nn.Embedding(vocabulary, width), nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        sizes = {"qkv": (1, 3), "proj": (1, 1), "up": (1, 4), "down": (4, 1)}
        self.layers = nn.ModuleList(
            nn.ModuleDict({name: nn.Linear(a * width, b * width) for name, (a, b) in sizes.items()})
            for _ in range(layers)
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.token(tokens)
        for layer in self.layers:
            qkv = layer["qkv"](self.norm(x)).view(*x.shape[:2], 3, self.heads, -1)
            mixed = functional.scaled_dot_product_attention(
                *qkv.permute(2, 0, 3, 1, 4), is_causal=True
            )
            x = x + layer["proj"](mixed.transpose(1, 2).reshape(x.shape))
            x = x + layer["down"](functional.gelu(layer["up"](self.norm(x))))
        return self.head(self.norm(x))


@settings(max_examples=6)
@given(
    batch=st.integers(1, 3),
    tokens=st.integers(2, 9),
    layers=st.integers(1, 2),
    heads=st.integers(1, 3),
    depth=st.integers(1, 5),
    vocabulary=st.integers(2, 20),
)
def test_a_gpt_counts_as_in_torch(
    batch: int, tokens: int, layers: int, heads: int, depth: int, vocabulary: int
) -> None:
    width = heads * depth
    sizes = {"qkv": (1, 3), "proj": (1, 1), "up": (1, 4), "down": (4, 1)}
    layer = {name: shape(a * width, b * width) for name, (a, b) in sizes.items()}
    weights = {
        "token": shape(vocabulary, width),
        "layers": [layer] * layers,
        "head": shape(width, vocabulary),
    }
    ours = of_jax(
        lambda w, t: jax_gpt(w, t, heads),
        weights,
        shape(batch, tokens, dtype=jnp.int32),
        train=True,
    )
    model = TorchGPT(vocabulary, layers, heads, width)
    theirs = of_torch(model, torch.zeros(batch, tokens, dtype=torch.long), train=True)
    assert ours == theirs
