"""Programs that counters of FLOPs get wrong, counted on shapes and on values: both are exact.

Each truth is written out by hand: 2 FLOP a multiply-add (8 a complex one), convolutions with their
padding taps, attention over all pairs (dense) and over the unmasked ones (exact).
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import goodput
from goodput.formulas.conventions import DENSE_ATTENTION, EXACT, useful_flops
from goodput.frontends.torch_count import Count, Step, Unshaped, count_step, on_values

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(autouse=True)
def forgotten_compilers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # torch remembers every backend it compiled with, and goodput run counts no such program live.
    # It would wrap two methods of every module for good as well.
    monkeypatch.setattr(nn.Module, "___needs_generation_tag_patch", False, raising=False)
    from torch._dynamo.eval_frame import cached_backends

    before = dict(cached_backends)
    yield
    cached_backends.clear()
    cached_backends.update(before)


@dataclass(frozen=True)
class Case:
    """A callable with its inputs, and its FLOPs; `backward` is None where it is not run backward.

    `masked` is what the exact convention leaves out of each forward pass.
    """

    name: str
    make: Callable[[], tuple[Callable[..., Any], tuple[Tensor, ...]]]
    forward: int
    backward: int | None = None
    masked: int = 0
    recomputed: int = 0


def leaf(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, dtype=dtype).requires_grad_()


# --- models ---------------------------------------------------------------------------------------


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


MLP = 2 * 32 * (64 * 128 + 128 * 10)
MLP_BACKWARD = MLP + 2 * 32 * 128 * 10  # its input wants no gradient


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 16, 1),
        nn.ConvTranspose2d(16, 4, 2, stride=2),
    )


FIRST = 2 * 2 * 8 * 8 * 8 * (3 * 9)
CONVOLUTIONS = FIRST + 2 * 2 * 8 * 8 * 8 * 9 + 2 * 2 * 8 * 8 * 16 * 8 + 2 * 2 * 8 * 8 * (16 * 4 * 4)
DEPTHWISE = 2 * 4 * 32 * 16 * 16 * 9

BATCH, TOKENS, WIDTH, HEADS, HEAD = 2, 32, 64, 4, 16


class Block(nn.Module):
    """A transformer layer with causal attention."""

    def __init__(self, kv: int = HEADS) -> None:
        super().__init__()
        self.kv = kv
        self.q, self.o = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.k, self.v = nn.Linear(WIDTH, kv * HEAD), nn.Linear(WIDTH, kv * HEAD)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        q = self.q(y).unflatten(-1, (HEADS, HEAD)).transpose(1, 2)
        k = self.k(y).unflatten(-1, (self.kv, HEAD)).transpose(1, 2)
        v = self.v(y).unflatten(-1, (self.kv, HEAD)).transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, enable_gqa=self.kv != HEADS
        )
        x = x + self.o(mixed.transpose(1, 2).flatten(-2))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


ATTENTION = 2 * 2 * BATCH * HEADS * TOKENS * TOKENS * HEAD
MASKED = 2 * 2 * BATCH * HEADS * HEAD * (TOKENS * (TOKENS - 1) // 2)


def linears(kv: int) -> int:
    return 2 * BATCH * TOKENS * (10 * WIDTH * WIDTH + 2 * WIDTH * kv * HEAD)


class Checkpointed(nn.Module):
    """A layer that is recomputed."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.block, x, use_reentrant=False)


def block(kv: int = HEADS) -> tuple[nn.Module, tuple[Tensor]]:
    return Block(kv), (leaf(BATCH, TOKENS, WIDTH),)


def multihead() -> tuple[Callable[[Tensor], Tensor], tuple[Tensor]]:
    attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    return lambda x: attention(x, x, x, need_weights=False)[0], (leaf(BATCH, TOKENS, WIDTH),)


def encoder() -> tuple[nn.Module, tuple[Tensor]]:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 128, batch_first=True).eval()
    return layer, (torch.randn(BATCH, TOKENS, WIDTH),)


MULTIHEAD = 2 * BATCH * TOKENS * 4 * WIDTH * WIDTH + ATTENTION
ENCODER = MULTIHEAD + 2 * BATCH * TOKENS * 2 * WIDTH * 128


def recurrent(gates: int, *layers: tuple[int, int]) -> int:
    """FLOPs of layers of (inputs, hidden) over 4 sequences of 10 tokens."""
    return sum(2 * 4 * 10 * gates * hidden * (inputs + hidden) for inputs, hidden in layers)


LSTM, GRU = recurrent(4, (32, 48), (48, 48)), recurrent(3, (32, 48))

MODELS = [
    Case("mlp", lambda: (mlp(), (torch.randn(32, 64),)), MLP, MLP_BACKWARD),
    Case(
        "convolutions",
        lambda: (convolutions(), (torch.randn(2, 3, 16, 16),)),
        CONVOLUTIONS,
        2 * CONVOLUTIONS - FIRST,
    ),
    Case(
        "depthwise",
        lambda: (nn.Conv2d(32, 32, 3, padding=1, groups=32), (leaf(4, 32, 16, 16),)),
        DEPTHWISE,
        2 * DEPTHWISE,
    ),
    Case("block", block, linears(4) + ATTENTION, 2 * (linears(4) + ATTENTION), MASKED),
    Case(
        "grouped-query block",
        lambda: block(2),
        linears(2) + ATTENTION,
        2 * (linears(2) + ATTENTION),
        MASKED,
    ),
    Case(
        # All but the last linear layer runs again: nothing saved stands behind it.
        "checkpointed block",
        lambda: (Checkpointed(), (leaf(BATCH, TOKENS, WIDTH),)),
        linears(4) + ATTENTION,
        2 * (linears(4) + ATTENTION),
        MASKED,
        recomputed=linears(4) + ATTENTION - MASKED - 2 * BATCH * TOKENS * 4 * WIDTH * WIDTH,
    ),
    Case("nn.MultiheadAttention", multihead, MULTIHEAD, 2 * MULTIHEAD),
    Case("encoder's fast path", encoder, ENCODER),
    Case("lstm", lambda: (nn.LSTM(32, 48, 2, batch_first=True), (leaf(4, 10, 32),)), LSTM),
    Case("gru", lambda: (nn.GRU(32, 48, batch_first=True), (leaf(4, 10, 32),)), GRU),
    Case(
        "compiled mlp",
        lambda: (torch.compile(mlp()), (torch.randn(32, 64),)),
        MLP,
        MLP_BACKWARD,
    ),
    Case(
        "compiled block",
        lambda: (torch.compile(Block()), (leaf(BATCH, TOKENS, WIDTH),)),
        linears(4) + ATTENTION,
        2 * (linears(4) + ATTENTION),
        MASKED,
    ),
]

# --- operators ------------------------------------------------------------------------------------

SMALL = 2 * 8 * 16 * 5  # [8, 16] x [16, 5]


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


def vectors(a: Tensor, v: Tensor) -> Tensor:
    return (a @ v).dot(a @ v) + torch.outer(v, v).sum()


def into(a: Tensor, b: Tensor) -> Tensor:
    return torch.zeros(8, 5).addmm_(a, b)


def into_out(a: Tensor, b: Tensor) -> Tensor:
    total = torch.zeros(8, 5).addmm_(a, b)
    return torch.mm(a, b, out=torch.empty(8, 5)) + total


def mapped(x: Tensor, weight: Tensor) -> Tensor:
    return torch.vmap(lambda row: row @ weight)(x)


def gradient(x: Tensor, weight: Tensor) -> Tensor:
    return torch.func.grad(lambda z: torch.tanh(z @ weight).sum())(x)


def tangent(x: Tensor, weight: Tensor) -> Tensor:
    return torch.func.jvp(lambda z: torch.tanh(z @ weight), (x,), (x,))[1]


def sparse() -> tuple[Callable[[Tensor], Tensor], tuple[Tensor]]:
    diagonal = torch.eye(64).to_sparse_csr()
    return lambda b: diagonal @ b, (leaf(64, 8),)


def grouped(a: Tensor, b: Tensor) -> Tensor:
    return functional.grouped_mm(a, b, offs=torch.tensor([8, 24, 32], dtype=torch.int32))


def scaled(a: Tensor, b: Tensor) -> Tensor:
    one = torch.tensor(1.0)
    return torch._scaled_mm(a, b, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)


def eighths(*shape: int) -> Tensor:
    return torch.randn(*shape).to(torch.float8_e4m3fn)


def quantized() -> tuple[nn.Module, tuple[Tensor]]:
    layers = nn.Sequential(nn.Linear(64, 32))
    made = torch.ao.quantization.quantize_dynamic(layers, {nn.Linear}, dtype=torch.qint8)
    return made, (torch.randn(8, 64),)


def of(function: Callable[..., Any], *shapes: tuple[int, ...], dtype: torch.dtype = torch.float32):
    return lambda: (function, tuple(torch.randn(*shape, dtype=dtype) for shape in shapes))


def differentiable(
    function: Callable[..., Any], *shapes: tuple[int, ...], dtype: torch.dtype = torch.float32
):
    return lambda: (function, tuple(leaf(*shape, dtype=dtype) for shape in shapes))


OPERATORS = [
    Case(
        "einsum",
        differentiable(partial(torch.einsum, "bij,bjk->bik"), (3, 8, 16), (3, 16, 5)),
        3 * SMALL,
        6 * SMALL,
    ),
    Case("matmul", differentiable(torch.matmul, (8, 16), (16, 5)), SMALL, 2 * SMALL),
    # An outer product sums nothing up, so it has no product with a reduction.
    Case(
        "mv, dot and outer",
        differentiable(vectors, (16, 16), (16,)),
        2 * 2 * 16 * 16 + 2 * 16,
        2 * 2 * 16 * 16,
    ),
    Case("in place and out", of(into_out, (8, 16), (16, 5)), 2 * SMALL),
    Case("in place", differentiable(into, (8, 16), (16, 5)), SMALL, 2 * SMALL),
    Case(
        "complex",
        differentiable(torch.matmul, (8, 16), (16, 5), dtype=torch.complex64),
        4 * SMALL,
        8 * SMALL,
    ),
    Case("vmap", differentiable(mapped, (8, 16), (16, 5)), SMALL, 2 * SMALL),
    # torch multiplies the constant weight's tangent too, though it is all zeros: not useful.
    Case("jvp", of(tangent, (8, 16), (16, 5)), 3 * SMALL, masked=SMALL),
    # Useful is one product forward and one for the input's gradient, which runs as recompute.
    Case("autograd.Function", differentiable(OwnProduct.apply, (8, 16), (16, 5)), SMALL, 2 * SMALL),
    Case(
        "embedding, norm, softmax",
        lambda: (
            nn.Sequential(nn.Embedding(100, 64), nn.LayerNorm(64), nn.Softmax(-1)),
            (torch.randint(0, 100, (4, 16)),),
        ),
        0,
        0,
    ),
    Case(
        "baddbmm",
        differentiable(torch.baddbmm, (3, 8, 5), (3, 8, 16), (3, 16, 5)),
        3 * SMALL,
        6 * SMALL,
    ),
    Case(
        "bilinear",
        lambda: (nn.Bilinear(8, 8, 4), (leaf(16, 8), leaf(16, 8))),
        2 * 16 * (4 * 8 * 8 + 4 * 8),
        # Weight and both inputs; for an input torch sums over the outputs first.
        3 * 2 * 16 * 4 * 8 * 8 + 2 * 2 * 16 * 8 * 8,
    ),
    Case("sparse", sparse, 2 * 64 * 8, 2 * 64 * 8),
    Case(
        "solve",
        differentiable(
            lambda a, b: torch.linalg.solve(a + 32 * torch.eye(32), b), (32, 32), (32, 4)
        ),
        2 * 32**3 // 3 + 2 * 32 * 32 * 4,
        2 * 2 * 32 * 32 * 4,  # solved again with the factors at hand, and a product
    ),
    Case(
        "grouped_mm",
        differentiable(grouped, (32, 64), (3, 64, 48), dtype=torch.bfloat16),
        2 * 32 * 64 * 48,
        2 * 2 * 32 * 64 * 48,
    ),
    Case("float8", lambda: (scaled, (eighths(16, 32), eighths(48, 32).t())), 2 * 16 * 32 * 48),
    Case(
        "int8",
        lambda: (torch._int_mm, tuple(torch.ones(32, 32, dtype=torch.int8) for _ in range(2))),
        2 * 32**3,
    ),
    Case("quantised as it comes", quantized, 2 * 8 * 64 * 32),
]

# --- operators that take functions, nested tensors ------------------------------------------------

LENGTHS = (5, 9, 16)


def scanned(x: Tensor, weight: Tensor) -> Tensor:
    from torch._higher_order_ops.scan import scan

    def body(carry: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tanh(carry @ weight + item), carry @ weight * 1.0

    return scan(body, torch.zeros(4, 16), x)[0]


def looped(x: Tensor, weight: Tensor) -> Tensor:
    from torch._higher_order_ops.while_loop import while_loop

    start = (torch.tensor(0), x)
    return while_loop(lambda i, _: i < 7, lambda i, c: (i + 1, c @ weight), start)[1]


def branched(x: Tensor, weight: Tensor) -> Tensor:
    return torch.cond(x.sum() > 1e9, lambda y: y @ weight @ weight, lambda y: y @ weight, (x,))


def nested() -> tuple[Callable[[Tensor], Tensor], tuple[Tensor]]:
    sequences = [torch.randn(length, 64) for length in LENGTHS]

    def attend(x: Tensor) -> Tensor:
        heads = x.unflatten(-1, [4, 16]).transpose(1, 2)
        return functional.scaled_dot_product_attention(heads, heads, heads)

    inputs = torch.nested.nested_tensor(sequences, layout=torch.jagged, requires_grad=True)
    return attend, (inputs,)


def packed() -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    from torch.nn.attention.varlen import varlen_attn

    ends = torch.tensor([0, *itertools.accumulate(LENGTHS)], dtype=torch.int32)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return varlen_attn(q, k, v, ends, ends, max(LENGTHS), max(LENGTHS), window_size=(-1, 0))

    return attend, tuple(leaf(sum(LENGTHS), 4, 16, dtype=torch.bfloat16) for _ in range(3))


def folded(x: Tensor, weight: Tensor) -> Tensor:
    from torch._higher_order_ops.associative_scan import associative_scan

    return associative_scan(lambda a, b: a @ weight + b, x, 0, combine_mode="generic")


def flexible() -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    causal = create_block_mask(lambda _b, _h, q, k: q >= k, None, None, 256, 256, device="cpu")
    inputs = tuple(torch.randn(1, 2, 256, 16) for _ in range(3))
    return lambda q, k, v: flex_attention(q, k, v, block_mask=causal), inputs


TRIP = 2 * 4 * 16 * 16
NESTED = sum(2 * 2 * 4 * n * n * 16 for n in LENGTHS)
FLEXIBLE = 2 * 2 * 2 * 256 * 256 * 16
LOOPS = [
    Case(
        "scan",
        differentiable(scanned, (10, 4, 16), (16, 16)),
        10 * 2 * TRIP,
        10 * 2 * TRIP - TRIP,  # of the carry's product alone, and the first carry wants none
    ),
    Case("while", differentiable(looped, (4, 16), (16, 16)), 7 * TRIP, 7 * 2 * TRIP),
    Case("cond", differentiable(branched, (4, 16), (16, 16)), TRIP, 2 * TRIP),
    Case("nested", nested, NESTED, 2 * NESTED),
    # A tree over 8 items: 4, 2 and 1 on the way up, then 1 and 3 on the way down.
    Case(
        "associative scan",
        differentiable(folded, (8, 4, 16), (16, 16)),
        11 * TRIP,
        11 * 2 * TRIP,
    ),
    Case("flex_attention", flexible, FLEXIBLE, masked=2 * 2 * 2 * 16 * (256 * 255 // 2)),
]

CASES = [*MODELS, *OPERATORS, *LOOPS]
BACKWARD = [case for case in CASES if case.backward is not None]


def on_real_data(step: Step) -> Count:
    return on_values(lambda: step, Unshaped("", "asked for", 0))


WAYS = pytest.mark.parametrize("count", [count_step, on_real_data], ids=["shapes", "values"])


def useful(found: Count, phase: str, convention: str) -> int:
    return sum(
        useful_flops(entry.work, convention)
        for entry in found.work.entries
        if entry.work is not None and entry.phase == phase
    )


@WAYS
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_forward(case: Case, count: Callable[[Step], Count]) -> None:
    found = count(Step(*case.make()))
    assert useful(found, "forward", DENSE_ATTENTION) == case.forward
    assert useful(found, "forward", EXACT) == case.forward - case.masked


@WAYS
@pytest.mark.parametrize("case", BACKWARD, ids=lambda case: case.name)
def test_backward(case: Case, count: Callable[[Step], Count]) -> None:
    found = count(Step(*case.make(), train=True))
    assert useful(found, "backward", DENSE_ATTENTION) == case.backward
    assert useful(found, "backward", EXACT) == case.backward - 2 * case.masked
    assert useful(found, "recompute", EXACT) == case.recomputed


PACKED = sum(2 * 2 * 4 * n * n * 16 for n in LENGTHS)
PACKED_MASKED = sum(2 * 2 * 4 * (n * (n - 1) // 2) * 16 for n in LENGTHS)


def test_flexible_attention_is_taken_backward() -> None:
    # On shapes alone: torch refuses to on a CPU.
    attend, inputs = flexible()
    wanted = tuple(tensor.requires_grad_() for tensor in inputs)
    found = count_step(Step(attend, wanted, train=True))
    assert useful(found, "backward", DENSE_ATTENTION) == 2 * FLEXIBLE
    assert useful(found, "backward", EXACT) == 2 * useful(found, "forward", EXACT)
    assert not found.warnings


def test_packed_sequences_count_by_their_lengths() -> None:
    # On shapes alone: no CPU runs it.
    found = count_step(Step(*packed(), train=True))
    assert useful(found, "forward", DENSE_ATTENTION) == PACKED
    assert useful(found, "forward", EXACT) == PACKED - PACKED_MASKED
    assert useful(found, "backward", EXACT) == 2 * (PACKED - PACKED_MASKED)


def test_packed_sequences_of_unknown_lengths_count_by_the_longest_and_are_told() -> None:
    attend, inputs = packed()

    def unknown(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        from torch.nn.attention.varlen import varlen_attn

        ends = torch.randn(4).to(torch.int32)  # nothing knows its values
        return varlen_attn(q, k, v, ends, ends, 16, 16)

    del attend
    found = count_step(Step(unknown, inputs))
    # 30 tokens of at most 16: 16 and 14.
    assert useful(found, "forward", EXACT) == 2 * 2 * 4 * 16 * (16 * 16 + 14 * 14)
    assert "sequences of the stated longest" in found.warnings[0]


SPARSE = 2 * 64 * 8
"""FLOPs of a stored diagonal of 64 with a matrix of 8 columns, or rows."""


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        (lambda eye, b: torch.sparse.mm(eye.to_sparse(), b), SPARSE),
        (lambda eye, b: torch.addmm(torch.zeros(64, 8), eye.to_sparse(), b), SPARSE),
        (lambda eye, b: b.t() @ eye.to_sparse_csr(), SPARSE),
        # Of blocks every element is stored.
        (lambda eye, b: eye.to_sparse_bsr((2, 2)) @ b, 2 * SPARSE),
    ],
    ids=["coo", "added", "right", "blocks"],
)
def test_sparse_products_count_their_stored_elements(
    function: Callable[..., Tensor], flops: int
) -> None:
    found = count_step(Step(function, (torch.eye(64), torch.randn(64, 8))))
    assert useful(found, "forward", EXACT) == flops
    assert all(entry.work is not None for entry in found.work.entries)


def test_nested_tensors_are_made_and_padded_by_operators_that_are_known() -> None:
    def padded(*parts: Tensor) -> Tensor:
        return torch.nested.nested_tensor(list(parts)).to_padded_tensor(0.0)

    found = count_step(Step(padded, (torch.randn(3, 8), torch.randn(5, 8))))
    works = [entry.work for entry in found.work.entries]
    assert all(work is not None for work in works)
    assert sum(work.bytes_written for work in works if work) >= 4 * (8 * 8 + 2 * 5 * 8)


@WAYS
def test_an_lstm_leaves_out_gradients_that_nothing_needs(count: Callable[[Step], Count]) -> None:
    model = nn.LSTM(32, 48, 2, batch_first=True)
    found = count(Step(model, (torch.randn(4, 10, 32),), train=True))
    initial, source = 2 * 2 * 4 * 4 * 48 * 48, 2 * 4 * 10 * 4 * 48 * 32
    assert useful(found, "backward", EXACT) == 2 * LSTM - initial - source


@pytest.mark.parametrize(
    ("make", "gates", "forward", "layers"), [(nn.LSTM, 4, LSTM, 2), (nn.GRU, 3, GRU, 1)]
)
def test_a_recurrent_backward_pass_leaves_out_the_gradient_of_the_initial_state(
    make: type[nn.Module], gates: int, forward: int, layers: int
) -> None:
    model = make(32, 48, layers, batch_first=True)
    found = count_step(Step(model, (leaf(4, 10, 32),), train=True))
    initial = layers * 2 * 4 * gates * 48 * 48
    assert useful(found, "backward", EXACT) == 2 * forward - initial


@WAYS
@pytest.mark.parametrize(
    ("function", "shape", "flops"),
    [
        (torch.fft.fft, (8, 1024), 5 * 8 * 1024 * 10),  # 5 N log2 N
        (lambda x: torch.cdist(x, x), (32, 16), None),
    ],
)
def test_vector_work_is_never_useful(
    count: Callable[[Step], Count], function: Any, shape: tuple[int, ...], flops: int | None
) -> None:
    dtype = torch.complex64 if flops else torch.float32
    found = count(Step(function, (torch.randn(*shape, dtype=dtype),)))
    vector = sum(entry.work.vector_flops for entry in found.work.entries if entry.work)
    assert vector > 0
    if flops is not None:
        assert vector == flops
        assert useful(found, "forward", EXACT) == 0


@WAYS
def test_a_functional_gradient(count: Callable[[Step], Count]) -> None:
    found = count(Step(*of(gradient, (8, 16), (16, 5))()))
    done = sum(entry.work.executed_flops for entry in found.work.entries if entry.work)
    assert done == 2 * SMALL


@WAYS
def test_a_custom_operator_is_told_and_counted_by_its_formula(
    count: Callable[[Step], Count],
) -> None:
    @torch.library.custom_op("goodput_counting_cases::product", mutates_args=())
    def product(a: Tensor, b: Tensor) -> Tensor:
        return torch.from_numpy(a.numpy() @ b.numpy())

    @product.register_fake
    def _(a: Tensor, b: Tensor) -> Tensor:
        return a.new_empty(a.shape[0], b.shape[1])

    step = Step(product, (torch.randn(8, 16), torch.randn(16, 5)))
    unknown = [entry.operator for entry in count(step).work.entries if entry.work is None]
    assert unknown == ["goodput_counting_cases::product"]
    goodput.formula("goodput_counting_cases::product", replace=True)(lambda _: SMALL)
    try:
        assert useful(count(step), "forward", EXACT) == SMALL
    finally:
        from goodput.formulas import registry

        del registry._FORMULAS["goodput_counting_cases::product"]


def test_a_mask_that_was_computed_is_told_once_a_call() -> None:
    def attend(q: Tensor, bias: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, q, q, attn_mask=bias)

    found = count_step(Step(attend, (leaf(2, 4, 16, 8), leaf(1, 4, 16, 16)), train=True))
    assert found.warnings[0].startswith("1 attention calls have a mask that was not computed")
