"""Whole models counted exactly: every total is derived here by hand, recomputation too."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from goodput.formulas.conventions import DENSE_ATTENTION


def train(count_work, model: nn.Module, *inputs: Tensor):
    return count_work(lambda: model(*inputs).float().sum().backward())


# --- GPT-2 124M, nanoGPT's transformer_sizing.ipynb ---------------------------------------------


@pytest.fixture(scope="module")
def gpt_script(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpt", repository / "benchmarks/models/gpt.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def gpt2(count_work, gpt_script: ModuleType):
    with FakeTensorMode():
        model = gpt_script.GPT(vocabulary=50_257, context=1024, layers=12, heads=12, width=768)
        return train(count_work, model, torch.zeros(1, 1024, dtype=torch.long))


@pytest.mark.parametrize(
    ("module", "flops"),
    [
        ("attention.qkv", 3_623_878_656),
        ("attention", 1_610_612_736 + 1_610_612_736),  # scores and reduce are one operator here
        ("attention.proj", 1_207_959_552),
        ("up", 4_831_838_208),
        ("down", 4_831_838_208),
    ],
)
@pytest.mark.parametrize("layer", [0, 11])
def test_gpt2_block_has_the_published_flops(gpt2, layer: int, module: str, flops: int) -> None:
    name = f"blocks.{layer}.{module}"
    assert gpt2.useful("forward", name, DENSE_ATTENTION) == flops
    assert gpt2.useful("backward", name, DENSE_ATTENTION) == 2 * flops


def test_gpt2_has_the_published_totals(gpt2) -> None:
    assert gpt2.useful("forward", "head", DENSE_ATTENTION) == 79_047_426_048
    assert gpt2.useful("forward", convention=DENSE_ATTENTION) == 291_648_307_200
    assert gpt2.useful(convention=DENSE_ATTENTION) == 874_944_921_600


def test_gpt2_exact_counts_only_the_causal_pairs(gpt2) -> None:
    dense, causal = 1024 * 1024, 1024 * 1025 // 2
    saved = 12 * 12 * 4 * 64 * (dense - causal)
    assert gpt2.useful("forward") == 291_648_307_200 - saved
    assert gpt2.useful() == 874_944_921_600 - 3 * saved


# --- ResNet-50 ----------------------------------------------------------------------------------


class Bottleneck(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 4 * width, 1, bias=False),
            nn.BatchNorm2d(4 * width),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or channels != 4 * width:
            self.shortcut.append(nn.Conv2d(channels, 4 * width, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.main(x) + self.shortcut(x))


STAGES = [(64, 3, 56), (128, 4, 28), (256, 6, 14), (512, 3, 7)]  # width, blocks, output size


def resnet50() -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
    ]
    channels = 64
    for width, blocks, _ in STAGES:
        for block in range(blocks):
            stride = 2 if block == 0 and width > STAGES[0][0] else 1
            layers.append(Bottleneck(channels, width, stride))
            channels = 4 * width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)]
    return nn.Sequential(*layers)


def convolution(size: int, channels: int, filters: int, kernel: int) -> int:
    """FLOPs of a convolution with a square output, padding taps included."""
    return 2 * size * size * channels * filters * kernel * kernel


def resnet50_flops() -> tuple[int, int]:
    """FLOPs of one image's forward pass, and of its first convolution."""
    stem = convolution(112, 3, 64, 7)
    total, channels, size = stem, 64, 56
    for width, blocks, output in STAGES:
        for block in range(blocks):
            total += convolution(size, channels, width, 1)
            total += convolution(output, width, width, 3) + convolution(output, width, 4 * width, 1)
            if block == 0:
                total += convolution(output, channels, 4 * width, 1)
            channels, size = 4 * width, output
    return total + 2 * channels * 1000, stem


def test_resnet50_is_counted_exactly(count_work) -> None:
    forward, stem = resnet50_flops()
    # torchvision's documentation: 4.09 G multiply-adds for resnet50 at 224 x 224.
    assert forward == 2 * 4_089_184_256
    batch = 2
    with FakeTensorMode():
        counted = train(count_work, resnet50(), torch.zeros(batch, 3, 224, 224))
    assert counted.useful("forward") == batch * forward
    # Two gradients for each convolution, but nobody needs the image's.
    assert counted.useful("backward") == batch * (2 * forward - stem)
    assert counted.recomputed == 0


# --- LSTM ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [False, True])
def test_lstm_is_counted_exactly(count_work, *, bidirectional: bool) -> None:
    batch, tokens, width, hidden = 4, 10, 32, 48
    directions = 1 + bidirectional
    model = nn.LSTM(width, hidden, num_layers=2, batch_first=True, bidirectional=bidirectional)
    x = torch.randn(batch, tokens, width, requires_grad=True)

    counted = count_work(lambda: model(x)[0].sum().backward())

    # Four gates, each a product with the input and one with the last hidden state.
    first = 4 * hidden * (width + hidden)
    second = 4 * hidden * (directions * hidden + hidden)
    forward = 2 * batch * tokens * directions * (first + second)
    assert counted.useful("forward") == forward
    # Nothing needs the gradient of the initial state, which is zeros.
    initial = 2 * directions * 2 * batch * 4 * hidden * hidden
    assert counted.useful("backward") == 2 * forward - initial


# --- transformers with grouped-query attention, with LoRA, with recomputation --------------------

BATCH, TOKENS, WIDTH, HEADS, VOCABULARY, LAYERS = 2, 48, 64, 4, 128, 3
HEAD_DIM = WIDTH // HEADS


class Adapted(nn.Module):
    """A linear layer with a low-rank adapter beside it."""

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.base = nn.Linear(inputs, outputs)
        self.narrow = nn.Linear(inputs, rank, bias=False)
        self.widen = nn.Linear(rank, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.widen(self.narrow(x))


class Layer(nn.Module):
    def __init__(self, kv_heads: int, rank: int) -> None:
        super().__init__()
        kv_width = kv_heads * HEAD_DIM
        self.group = HEADS // kv_heads
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q = Adapted(WIDTH, WIDTH, rank) if rank else nn.Linear(WIDTH, WIDTH)
        self.k = nn.Linear(WIDTH, kv_width)
        self.v = Adapted(WIDTH, kv_width, rank) if rank else nn.Linear(WIDTH, kv_width)
        self.o = nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        q, k, v = self.heads(self.q(y)), self.heads(self.k(y)), self.heads(self.v(y))
        k, v = (t.repeat_interleave(self.group, dim=1) for t in (k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(mixed.transpose(1, 2).flatten(2))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, kv_heads: int = HEADS, rank: int = 0, recompute: str = "") -> None:
        super().__init__()
        self.token = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Layer(kv_heads, rank) for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.recompute = recompute

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens)
        for layer in self.layers:
            if self.recompute:
                x = checkpoint(layer, x, use_reentrant=self.recompute == "reentrant")
            else:
                x = layer(x)
        return self.head(x)


def linear(inputs: int, outputs: int) -> int:
    """FLOPs of one linear layer over all tokens; each of its two gradients costs the same."""
    return 2 * BATCH * TOKENS * inputs * outputs


def attention() -> int:
    """FLOPs of causal attention: two products over the pairs that the mask leaves."""
    return 2 * 2 * BATCH * HEADS * HEAD_DIM * (TOKENS * (TOKENS + 1) // 2)


def flash_recompute() -> int:
    """What flash attention's backward does beyond four products: the scores once more."""
    return attention() // 2


def layer_flops(kv_heads: int = HEADS) -> int:
    kv_width = kv_heads * HEAD_DIM
    projections = 2 * linear(WIDTH, WIDTH) + 2 * linear(WIDTH, kv_width)
    return projections + attention() + 2 * linear(WIDTH, 4 * WIDTH)


def tokens() -> Tensor:
    return torch.zeros(BATCH, TOKENS, dtype=torch.long)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_grouped_query_attention_is_counted_by_its_query_heads(count_work, kv_heads: int) -> None:
    counted = train(count_work, Transformer(kv_heads), tokens())
    forward = LAYERS * layer_flops(kv_heads) + linear(WIDTH, VOCABULARY)
    assert counted.useful("forward") == forward
    assert counted.useful("backward") == 2 * forward
    assert counted.recomputed == LAYERS * flash_recompute()


def test_lora_counts_only_the_gradients_that_are_made(count_work) -> None:
    rank = 8
    model = Transformer(rank=rank)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "narrow" in name or "widen" in name

    counted = train(count_work, model, tokens())

    square, wide, down, up = (
        linear(WIDTH, WIDTH),
        linear(WIDTH, 4 * WIDTH),
        linear(WIDTH, rank),
        linear(rank, WIDTH),
    )
    forward = LAYERS * (layer_flops() + 2 * (down + up)) + linear(WIDTH, VOCABULARY)
    # Frozen weights have no gradient of their own; they pass on their input's. The embedding is
    # frozen too, so the first layer's q, k and v have no input that wants one.
    behind = square + 2 * attention() + 2 * wide  # o, attention, up, down
    adapters = 2 * (down + 2 * up)  # narrow's weight; widen's weight and input; for q and v
    first = behind + adapters
    other = behind + adapters + 3 * square + 2 * down  # inputs of q, k, v and of narrow
    backward = first + (LAYERS - 1) * other + linear(WIDTH, VOCABULARY)
    assert counted.useful("forward") == forward
    assert counted.useful("backward") == backward


def test_reentrant_checkpointing_repeats_whole_layers(count_work) -> None:
    counted = train(count_work, Transformer(recompute="reentrant"), tokens())
    forward = LAYERS * layer_flops() + linear(WIDTH, VOCABULARY)
    assert counted.useful() == 3 * forward
    assert counted.recomputed == LAYERS * (layer_flops() + flash_recompute())


@pytest.mark.parametrize("early_stop", [True, False])
def test_checkpointing_stops_at_the_last_tensor_it_needs(count_work, *, early_stop: bool) -> None:
    with set_checkpoint_early_stop(early_stop):
        counted = train(count_work, Transformer(recompute="non-reentrant"), tokens())
    forward = LAYERS * layer_flops() + linear(WIDTH, VOCABULARY)
    # The last tensor that backward needs is the input of `down`, which then need not run.
    repeated = layer_flops() - (linear(4 * WIDTH, WIDTH) if early_stop else 0)
    assert counted.useful() == 3 * forward
    assert counted.recomputed == LAYERS * (repeated + flash_recompute())
