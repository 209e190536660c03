"""Attention through every backend that a CPU has; its pairs and FLOPs; wrong kernels fail."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput_kernels import attention
from goodput_kernels.attention import Attention

torch = pytest.importorskip("torch", reason="kernels run through torch")


def runnable():
    for mode, causal in product(attention.MODES, (False, True)):
        yield from attention.candidates(Attention(mode, 2, 2, 80, 64, causal))


@pytest.mark.parametrize("candidate", list(runnable()), ids=lambda c: c.name)
def test_attention_is_right_both_ways(candidate):
    with candidate.scope():
        first = candidate.prepare()
        first()
        assert first() is not None  # the graph of a backward pass is kept
    result = candidate.verify()
    assert result.passed, result


@pytest.mark.parametrize("number", [0, 1])
def test_a_mask_that_is_not_there_fails(number, monkeypatch):
    problem = Attention("float32", 1, 2, 64, 64, causal=True)
    candidate = attention.candidates(problem)[number]
    whole = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda q, k, v, is_causal: whole(q, k, v, is_causal=not is_causal),
    )
    assert not candidate.verify().passed


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 60), st.booleans())
def test_pairs_are_those_of_the_mask(batch, heads, length, causal):
    mask = torch.ones(length, length)
    each = int((mask.tril() if causal else mask).sum())
    problem = Attention("float32", batch, heads, length, 64, causal)
    assert problem.pairs == batch * heads * each
    assert problem.flops == 4 * 64 * problem.pairs


def test_a_backward_pass_is_twice_a_forward_pass():
    problem = Attention("bfloat16", 1, 2, 128, 64, causal=True)
    forward, backward, *_ = attention.candidates(problem, "cuda")
    assert (forward.amount, backward.amount) == (problem.flops, 2 * problem.flops)
    assert forward.unit == backward.unit == "flops"


def test_a_gpu_has_every_backend():
    problem = Attention("bfloat16", 1, 2, 128, 64, causal=False)
    names = [c.name.split()[1:3] for c in attention.candidates(problem, "cuda")]
    backends = ("flash", "efficient", "cudnn", "math")
    assert names == [[b, way] for b in backends for way in ("forward", "backward")]


def test_standard_problems_have_every_length_width_and_mask():
    found = attention.problems("bfloat16", 1e18)
    assert {(p.length, p.head_dim, p.causal) for p in found} == set(
        product((2048, 8192, 16384), (64, 128), (False, True))
    )
    assert all(p.batch * p.length == 16384 and p.heads * p.head_dim == 2048 for p in found)
    assert attention.problems("int8", 1e18) == ()


@given(st.floats(1e6, 1e15))
def test_problems_are_cut_to_a_budget(most):
    found = attention.problems("float32", most)
    assert found
    assert all(p.flops <= most or p.length == 64 for p in found)
    assert len(found) == len(set(found))
