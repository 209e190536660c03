"""All of PyTorch's formulas together: published numbers, and which operators may have one."""

from __future__ import annotations

from collections import Counter

import pytest

import goodput.formulas.aten
from goodput.formulas.conventions import useful_flops
from goodput.formulas.registry import has_formula, registered, work_of
from goodput.work import Call, Work

assert goodput.formulas.aten.MODULES

# nanoGPT, transformer_sizing.ipynb: GPT-2 124M, batch 1, 1024 tokens.
LAYERS, WIDTH, HEADS, TOKENS, VOCABULARY = 12, 768, 12, 1024, 50257
QKV, SCORES, REDUCE = 3_623_878_656, 1_610_612_736, 1_610_612_736
PROJECTION, FEED_FORWARD, HEAD = 1_207_959_552, 4_831_838_208, 79_047_426_048
FORWARD, TOTAL = 291_648_307_200, 874_944_921_600


@pytest.fixture(scope="module")
def gpt2(calls_of) -> list[tuple[Call, Work]]:
    """Every counted call of one forward and backward pass, on tensors without storage."""
    torch = pytest.importorskip("torch")
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.nn import Embedding, LayerNorm, Linear, Module, ModuleList
    from torch.nn.functional import gelu, scaled_dot_product_attention

    class Block(Module):
        def __init__(self) -> None:
            super().__init__()
            self.norms = ModuleList([LayerNorm(WIDTH), LayerNorm(WIDTH)])
            self.qkv, self.projection = Linear(WIDTH, 3 * WIDTH), Linear(WIDTH, WIDTH)
            self.up, self.down = Linear(WIDTH, 4 * WIDTH), Linear(4 * WIDTH, WIDTH)

        def forward(self, x):
            parts = self.qkv(self.norms[0](x)).split(WIDTH, -1)
            q, k, v = (part.view(1, TOKENS, HEADS, -1).transpose(1, 2) for part in parts)
            seen = scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.projection(seen.transpose(1, 2).reshape(x.shape))
            return x + self.down(gelu(self.up(self.norms[1](x))))

    class Gpt2(Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = Embedding(VOCABULARY, WIDTH), Embedding(TOKENS, WIDTH)
            self.blocks = ModuleList(Block() for _ in range(LAYERS))
            self.norm, self.head = LayerNorm(WIDTH), Linear(WIDTH, VOCABULARY, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, indices):
            x = self.tokens(indices) + self.places(torch.arange(TOKENS))
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    with FakeTensorMode():
        model, indices = Gpt2(), torch.zeros(1, TOKENS, dtype=torch.int64)
        calls = calls_of(lambda: model(indices).sum().backward())
    return [(call, work) for call in calls if (work := work_of(call)) and work.flops]


def dense(pairs) -> int:
    return sum(useful_flops(work, "dense-attention") for _, work in pairs)


def split(gpt2):
    """Forward and backward: the head's is the last product of the forward pass."""
    sizes = [work.flops for _, work in gpt2]
    last = sizes.index(HEAD) + 1
    return gpt2[:last], gpt2[last:]


def test_gpt2_forward_operator_by_operator(gpt2) -> None:
    forward, _ = split(gpt2)
    counts = Counter((call.name, useful_flops(work, "dense-attention")) for call, work in forward)
    attention = "aten::_scaled_dot_product_flash_attention_for_cpu"
    assert counts == {
        ("aten::addmm", QKV): LAYERS,
        (attention, SCORES + REDUCE): LAYERS,
        ("aten::addmm", PROJECTION): LAYERS,
        ("aten::addmm", FEED_FORWARD): 2 * LAYERS,
        ("aten::mm", HEAD): 1,
    }


def test_gpt2_totals_are_the_published_ones(gpt2) -> None:
    forward, backward = split(gpt2)
    assert dense(forward) == FORWARD
    assert dense(backward) == 2 * FORWARD
    assert dense(gpt2) == TOTAL


def test_gpt2_under_exact_counts_half_the_pairs_and_the_diagonal(gpt2) -> None:
    masked = LAYERS * (SCORES + REDUCE) * (TOKENS - 1) // (2 * TOKENS)
    assert sum(useful_flops(work, "exact") for _, work in gpt2) == TOTAL - 3 * masked


def test_gpt2_recompute_is_one_product_of_attention_a_layer(gpt2) -> None:
    recompute = sum(work.recompute_flops for _, work in gpt2)
    assert recompute == LAYERS * SCORES * (TOKENS + 1) // (2 * TOKENS)
    assert sum(work.padding_flops for _, work in gpt2) == 0


MIXED = ("aten::_convolution",)
"""Operators with a composite overload of old beside the one that counts."""


def is_composite(torch, name: str) -> bool | None:
    packet = getattr(torch.ops.aten, name.removeprefix("aten::"), None)
    if packet is None:
        return None
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    return any(getattr(packet, o).has_kernel_for_dispatch_key(key) for o in packet.overloads())


def test_no_composite_has_a_formula() -> None:
    # Below autograd a live count sees what a composite consists of, never the composite: with a
    # formula it would count differently in a trace.
    torch = pytest.importorskip("torch")
    names = {name for name in registered() if name.startswith("aten::")} - set(MIXED)
    matrix = {name for name in names if _is_ours(name)}
    assert {name for name in matrix if is_composite(torch, name)} == set()


def _is_ours(name: str) -> bool:
    from goodput.formulas.modes import is_matrix_class

    return is_matrix_class(name)


def test_the_check_for_composites_can_fail() -> None:
    torch = pytest.importorskip("torch")
    assert is_composite(torch, "aten::linear")
    assert not is_composite(torch, "aten::mm")


def test_every_matrix_operator_that_a_model_meets_has_a_formula() -> None:
    names = ["mm", "addmm", "bmm", "baddbmm", "convolution", "convolution_backward"]
    names += ["_scaled_dot_product_flash_attention", "mkldnn_rnn_layer", "_grouped_mm"]
    assert all(has_formula(f"aten::{name}") for name in names)
