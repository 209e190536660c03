"""Operators as programs use them, counted exactly: each truth is written out beside its case.

A multiply-add is 2 FLOP (8 where it is complex); a convolution counts its padding taps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Case:
    """A program and the FLOPs of its forward and backward pass; None: it is not run backward."""

    name: str
    build: Callable[[], Callable[[], Tensor]]
    forward: int
    backward: int | None = None


def leaf(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, dtype=dtype).requires_grad_()


def frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(requires_grad=False)


def module(made: nn.Module, *inputs: Tensor) -> Callable[[], Tensor]:
    def run() -> Tensor:
        result = made(*inputs)
        return result[0] if isinstance(result, tuple) else result

    return run


# --- matrix products -----------------------------------------------------------------------------

MLP = 2 * 32 * (64 * 128 + 128 * 10)
SMALL = 2 * 8 * 16 * 5  # [8, 16] x [16, 5]


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


class OwnProduct(torch.autograd.Function):
    """A product whose backward pass is written by hand."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a @ b

    @staticmethod
    def backward(ctx, gradient):
        a, b = ctx.saved_tensors
        return gradient @ b.t(), a.t() @ gradient


def into_out() -> Tensor:
    a, b = torch.randn(8, 16), torch.randn(16, 5)
    total = torch.zeros(8, 5).addmm_(a, b)
    return torch.mm(a, b, out=torch.empty(8, 5)) + total


def tangent() -> Tensor:
    weight, x = torch.randn(16, 5), torch.randn(8, 16)
    return torch.func.jvp(lambda z: torch.tanh(z @ weight), (x,), (x,))[1]


def functional_gradient() -> Tensor:
    weight, x = torch.randn(16, 5), torch.randn(8, 16)
    return torch.func.grad(lambda z: torch.tanh(z @ weight).sum())(x)


def of(function: Callable[..., Tensor], *shapes: tuple[int, ...]) -> Callable[[], Tensor]:
    """`function` of new leaves of `shapes`."""
    leaves = [leaf(*shape) for shape in shapes]
    return lambda: function(*leaves)


MATRIX = [
    # The input of an MLP wants no gradient, so its first layer makes only its weight's.
    Case("mlp", lambda: module(mlp(), torch.randn(32, 64)), MLP, MLP + 2 * 32 * 128 * 10),
    Case("mlp, input wanted", lambda: module(mlp(), leaf(32, 64)), MLP, 2 * MLP),
    Case("mlp, frozen", lambda: module(frozen(mlp()), leaf(32, 64)), MLP, MLP),
    Case("mm", lambda: of(torch.mm, (8, 16), (16, 5)), SMALL, 2 * SMALL),
    Case(
        "matmul broadcast", lambda: of(torch.matmul, (3, 2, 8, 16), (16, 5)), 6 * SMALL, 12 * SMALL
    ),
    Case("addmm", lambda: of(torch.addmm, (8, 5), (8, 16), (16, 5)), SMALL, 2 * SMALL),
    Case("bmm", lambda: of(torch.bmm, (3, 8, 16), (3, 16, 5)), 3 * SMALL, 6 * SMALL),
    Case(
        "baddbmm",
        lambda: of(torch.baddbmm, (3, 8, 5), (3, 8, 16), (3, 16, 5)),
        3 * SMALL,
        6 * SMALL,
    ),
    Case(
        "addbmm",
        lambda: of(torch.addbmm, (8, 5), (3, 8, 16), (3, 16, 5)),
        3 * SMALL,
        6 * SMALL,
    ),
    Case("mv", lambda: of(torch.mv, (16, 12), (12,)), 2 * 16 * 12),
    # A dot product's gradients are multiples of a vector: no reduction, so nothing useful.
    Case("dot", lambda: of(torch.dot, (16,), (16,)), 2 * 16, 0),
    Case("outer has no reduction", lambda: of(torch.outer, (16,), (12,)), 0),
    Case(
        "einsum",
        lambda: of(lambda a, b: torch.einsum("bij,bjk->bik", a, b), (3, 8, 16), (3, 16, 5)),
        3 * SMALL,
        6 * SMALL,
    ),
    Case(
        "tensordot",
        lambda: of(lambda a, b: torch.tensordot(a, b, dims=2), (8, 4, 4), (4, 4, 5)),
        SMALL,
        2 * SMALL,
    ),
    Case(
        "bilinear",
        lambda: module(nn.Bilinear(8, 8, 4), leaf(16, 8), leaf(16, 8)),
        2 * 16 * 4 * 8 * 9,
    ),
    Case(
        "complex",
        lambda: (
            lambda: (
                torch.randn(8, 16, dtype=torch.complex64)
                @ torch.randn(16, 5, dtype=torch.complex64)
            )
        ),
        4 * SMALL,
    ),
    Case("in place and out=", lambda: into_out, 2 * SMALL),
    Case(
        "vmap",
        lambda: of(lambda x, w: torch.vmap(lambda row: row @ w)(x), (8, 16), (16, 5)),
        SMALL,
    ),
    # torch multiplies the constant weight's tangent too, all zeros: that is not useful.
    Case("forward-mode tangent", lambda: tangent, 2 * SMALL),
    # The weight is a constant here: one product forward, one for the input's gradient.
    Case("functional gradient", lambda: functional_gradient, 2 * SMALL),
    Case("autograd.Function", lambda: of(OwnProduct.apply, (8, 16), (16, 5)), SMALL, 2 * SMALL),
    Case("embedding", lambda: module(nn.Embedding(100, 64), torch.randint(100, (4, 16))), 0, 0),
    Case(
        "norm and softmax",
        lambda: module(nn.Sequential(nn.LayerNorm(64), nn.Softmax(-1)), leaf(4, 64)),
        0,
        0,
    ),
]

# --- convolutions ---------------------------------------------------------------------------------


def convolution(outputs: int, taps: int) -> int:
    """FLOPs of `outputs` output elements of `taps` multiply-adds each."""
    return 2 * outputs * taps


def chain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 16, 1),
        nn.ConvTranspose2d(16, 4, 2, stride=2),
    )


FIRST = convolution(2 * 8 * 8 * 8, 3 * 9)
CHAIN = (
    FIRST
    + convolution(2 * 8 * 8 * 8, 9)
    + convolution(2 * 16 * 8 * 8, 8)
    + convolution(2 * 4 * 16 * 16, 16)  # stride 2 and kernel 2: one tap an output and channel
)


def conv_case(
    name: str, make: Callable[[], nn.Module], shape: tuple[int, ...], forward: int
) -> Case:
    """A convolution all of whose gradients are wanted: each of the two costs the forward pass."""
    return Case(name, lambda: module(make(), leaf(*shape)), forward, 2 * forward)


CONVOLUTIONS = [
    Case("chain", lambda: module(chain(), torch.randn(2, 3, 16, 16)), CHAIN, 2 * CHAIN - FIRST),
    conv_case(
        "1-d", lambda: nn.Conv1d(4, 6, 5, padding=2), (2, 4, 20), convolution(2 * 6 * 20, 4 * 5)
    ),
    conv_case(
        "2-d", lambda: nn.Conv2d(4, 6, 3), (2, 4, 10, 12), convolution(2 * 6 * 8 * 10, 4 * 9)
    ),
    conv_case(
        "3-d", lambda: nn.Conv3d(2, 4, 3), (2, 2, 6, 7, 8), convolution(2 * 4 * 4 * 5 * 6, 2 * 27)
    ),
    conv_case(
        "grouped",
        lambda: nn.Conv2d(16, 32, 3, padding=1, groups=4),
        (4, 16, 8, 8),
        convolution(4 * 32 * 64, 4 * 9),
    ),
    conv_case(
        "depthwise",
        lambda: nn.Conv2d(32, 32, 3, padding=1, groups=32),
        (4, 32, 16, 16),
        convolution(4 * 32 * 256, 9),
    ),
    conv_case(
        "dilated",
        lambda: nn.Conv2d(4, 6, 3, dilation=2),
        (2, 4, 12, 12),
        convolution(2 * 6 * 64, 4 * 9),
    ),
    conv_case(
        # Each *input* element is spread over 3 x 3 outputs of every filter.
        "transposed",
        lambda: nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1),
        (2, 8, 6, 6),
        convolution(2 * 8 * 36, 4 * 9),
    ),
    conv_case(
        "transposed, grouped",
        lambda: nn.ConvTranspose2d(8, 4, 3, stride=2, groups=2),
        (2, 8, 6, 6),
        convolution(2 * 8 * 36, 2 * 9),
    ),
    Case(
        "frozen filters make only the input's gradient",
        lambda: module(frozen(nn.Conv2d(4, 6, 3)), leaf(2, 4, 10, 12)),
        convolution(2 * 6 * 8 * 10, 4 * 9),
        convolution(2 * 6 * 8 * 10, 4 * 9),
    ),
]

# --- attention ------------------------------------------------------------------------------------

B, H, D = 2, 4, 16


def attend(queries: int, keys: int, **options: object) -> Callable[[], Callable[[], Tensor]]:
    def build() -> Callable[[], Tensor]:
        q, k, v = leaf(B, H, queries, D), leaf(B, H, keys, D), leaf(B, H, keys, D)
        return lambda: functional.scaled_dot_product_attention(q, k, v, **options)

    return build


def pairs(count: int) -> int:
    """FLOPs of attention over `count` query-key pairs of one head: two products."""
    return 2 * 2 * B * H * D * count


def padding_mask(*lengths: int, keys: int) -> Tensor:
    return (torch.arange(keys) < torch.tensor(lengths)[:, None])[:, None, None, :]


def multihead() -> Callable[[], Tensor]:
    attention, x = nn.MultiheadAttention(64, 4, batch_first=True), leaf(2, 32, 64)
    return lambda: attention(x, x, x, need_weights=False)[0]


MULTIHEAD = 2 * 2 * 32 * 64 * 64 * 4 + pairs(32 * 32)  # q, k, v and output projections; pairs

ATTENTION = [
    Case("full", attend(24, 24), pairs(24 * 24), 2 * pairs(24 * 24)),
    Case("causal", attend(24, 24, is_causal=True), pairs(24 * 25 // 2), 2 * pairs(24 * 25 // 2)),
    Case("cross", attend(8, 24), pairs(8 * 24), 2 * pairs(8 * 24)),
    Case(
        # torch aligns a causal mask top-left: query i sees keys 0..i.
        "causal cross",
        attend(8, 24, is_causal=True),
        pairs(8 * 9 // 2),
        2 * pairs(8 * 9 // 2),
    ),
    Case(
        # One sequence has 10 keys, the other 24: the mean over the batch is 17.
        "padded",
        attend(24, 24, attn_mask=padding_mask(10, 24, keys=24)),
        pairs(24 * 17),
    ),
    Case("nn.MultiheadAttention", multihead, MULTIHEAD, 2 * MULTIHEAD),
]

# --- recurrent networks ---------------------------------------------------------------------------


def recurrent(gates: int, inputs: int, hidden: int) -> int:
    """FLOPs of one layer over 4 sequences of 10 tokens."""
    return 2 * 4 * 10 * gates * hidden * (inputs + hidden)


RECURRENT = [
    Case(
        "lstm",
        lambda: module(nn.LSTM(32, 48, 2, batch_first=True), leaf(4, 10, 32)),
        recurrent(4, 32, 48) + recurrent(4, 48, 48),
        # But for the gradients of both layers' initial states, which are zeros.
        2 * (recurrent(4, 32, 48) + recurrent(4, 48, 48)) - 2 * 2 * 4 * 4 * 48 * 48,
    ),
    Case(
        "gru",
        lambda: module(nn.GRU(32, 48, batch_first=True), leaf(4, 10, 32)),
        recurrent(3, 32, 48),
    ),
    Case(
        "rnn",
        lambda: module(nn.RNN(32, 48, batch_first=True), leaf(4, 10, 32)),
        recurrent(1, 32, 48),
    ),
]

CASES = [*MATRIX, *CONVOLUTIONS, *ATTENTION, *RECURRENT]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_forward_is_counted_exactly(count_work, case: Case) -> None:
    counted = count_work(case.build())
    assert counted.useful() == case.forward
    assert not counted.unknown


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.backward is not None], ids=lambda case: case.name
)
def test_backward_is_counted_exactly(count_work, case: Case) -> None:
    result = case.build()().float().sum()
    counted = count_work(result.backward)
    assert counted.useful() == case.backward
    assert not counted.unknown


def test_inference_mode_takes_composites_apart(count_work) -> None:
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True).eval()
    x = torch.randn(2, 32, 64)

    def infer() -> Tensor:
        with torch.inference_mode():
            return layer(x)

    linear = 2 * 2 * 32 * (64 * 64 * 4 + 2 * 64 * 128)
    assert count_work(infer).useful() == linear + 2 * 2 * 2 * 4 * 32 * 32 * 16
