"""What must hold between counts, whatever the sizes: each identity on real operator calls."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from goodput.frontends.torch_count import Step, count_step

SIZES = st.integers(1, 12)
FEW = settings(max_examples=3)


def on_shapes(call: Callable[..., object], *inputs: Tensor) -> int:
    """Useful FLOPs of `call(*inputs)`, counted without running it."""
    entries = count_step(Step(call, inputs)).work.entries
    return sum(entry.work.flops for entry in entries if entry.work and entry.phase != "recompute")


@FEW
@given(m=SIZES, n=SIZES, k=SIZES)
def test_the_gradients_of_a_product_are_two_of_it(m, n, k, count_work) -> None:
    a = torch.ones(m, k, requires_grad=True)
    b = torch.ones(k, n, requires_grad=True)
    counted = count_work(lambda: (a @ b).sum().backward())
    assert counted.useful("forward") == 2 * m * n * k
    assert counted.useful("backward") == 2 * counted.useful("forward")


@FEW
@given(batch=SIZES, m=SIZES, n=SIZES, k=SIZES)
def test_a_mapped_product_is_one_for_each_of_the_batch(batch, m, n, k, count_work) -> None:
    a, b = torch.ones(batch, m, k), torch.ones(batch, k, n)
    one = count_work(lambda: a[0] @ b[0]).useful()
    assert count_work(lambda: torch.vmap(torch.matmul)(a, b)).useful() == batch * one


@FEW
@given(steps=st.integers(1, 5), m=SIZES, n=SIZES)
def test_a_loop_is_its_body_as_often_as_it_runs(steps, m, n) -> None:
    weight = torch.ones(n, n)

    def loop(x: Tensor, times: int = steps) -> Tensor:
        for _ in range(times):
            x = torch.tanh(x @ weight)
        return x

    x = torch.ones(m, n)
    assert on_shapes(loop, x) == steps * on_shapes(lambda one: loop(one, 1), x)


@FEW
@given(heads=st.integers(1, 4), group=st.integers(1, 3), tokens=SIZES, width=SIZES)
def test_grouped_heads_count_as_expanded_ones(heads, group, tokens, width) -> None:
    query = torch.ones(1, heads * group, tokens, width)
    key = torch.ones(1, heads, tokens, width)

    def grouped(q: Tensor, k: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, k, is_causal=True, enable_gqa=True)

    def expanded(q: Tensor, k: Tensor) -> Tensor:
        wide = k.repeat_interleave(group, dim=1)
        return functional.scaled_dot_product_attention(q, wide, wide, is_causal=True)

    pairs = heads * group * tokens * (tokens + 1) // 2
    assert on_shapes(grouped, query, key) == on_shapes(expanded, query, key) == 4 * width * pairs


@FEW
@given(lengths=st.lists(SIZES, min_size=1, max_size=4), n=SIZES, k=SIZES)
def test_nested_rows_are_the_sum_of_their_parts(lengths, n, k, count_work) -> None:
    weight = torch.ones(k, n)
    parts = [torch.ones(length, k) for length in lengths]
    nested = torch.nested.nested_tensor(parts, layout=torch.jagged)
    whole = count_work(lambda: nested @ weight).useful()
    assert whole == sum(count_work(lambda part=part: part @ weight).useful() for part in parts)


@FEW
@given(m=SIZES, n=SIZES)
def test_a_checkpoint_adds_its_recomputation_and_nothing_useful(m, n, count_work) -> None:
    first, second = (torch.ones(n, n, requires_grad=True) for _ in range(2))
    x = torch.ones(m, n, requires_grad=True)

    def block(x: Tensor) -> Tensor:
        return torch.tanh(torch.tanh(x @ first) @ second)

    plain = count_work(lambda: block(x).sum().backward())
    again = count_work(lambda: checkpoint(block, x, use_reentrant=False).sum().backward())
    assert plain.recomputed == 0
    assert again.useful() == plain.useful()
    assert again.recomputed == plain.useful("forward")


@FEW
@given(batch=SIZES, tokens=SIZES, heads=st.integers(1, 3))
def test_shapes_and_values_count_alike(batch, tokens, heads, count_work) -> None:
    layer = torch.nn.TransformerEncoderLayer(4 * heads, heads, 8, dropout=0.0, batch_first=True)
    x = torch.ones(batch, tokens, 4 * heads)
    assert on_shapes(layer, x) == count_work(lambda: layer(x)).useful()
