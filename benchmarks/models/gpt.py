"""Train a small GPT on the Python standard library's own sources, byte by byte.

A plain PyTorch script, as anybody would write it: it knows nothing of the profiler that runs it.
"""

import argparse
import sysconfig
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY = 256  # a token is a byte


class Attention(nn.Module):
    """Causal self-attention over all heads at once."""

    def __init__(self, width: int, heads: int) -> None:
        """Set up `heads` heads that share `width` channels."""
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed tokens. x: [batch, token, width]."""
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        """Set up attention and a feed-forward part of four times `width`."""
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return x: [batch, token, width] one layer deeper."""
        x = x + self.attention(self.norm1(x))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """A decoder-only transformer with learned positions."""

    def __init__(self, vocabulary: int, context: int, layers: int, heads: int, width: int) -> None:
        """Set up a model that reads at most `context` tokens."""
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of each next token. tokens: [batch, token]."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.token(tokens) + self.position(positions)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def corpus() -> Tensor:
    """Return the standard library's top-level modules as one long tensor of bytes."""
    sources = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    text = b"".join(source.read_bytes() for source in sources)
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


def sample(text: Tensor, batch: int, context: int, device: str) -> tuple[Tensor, Tensor]:
    """Return `batch` random windows and the same windows one byte later."""
    starts = torch.randint(len(text) - context, (batch, 1))
    windows = text[starts + torch.arange(context + 1)].long().to(device)
    return windows[:, :-1], windows[:, 1:]


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=45, help="optimizer steps")
    parser.add_argument("--batch", type=int, default=8, help="sequences in a batch")
    parser.add_argument("--block", type=int, default=128, help="tokens in a sequence")
    parser.add_argument("--layers", type=int, default=4, help="transformer layers")
    parser.add_argument("--heads", type=int, default=6, help="attention heads")
    parser.add_argument("--width", type=int, default=192, help="channels")
    parser.add_argument("--device", default="auto", help="cpu, cuda, or auto")
    return parser.parse_args()


def step_of(
    model: GPT, optimizer: torch.optim.Optimizer, tokens: Tensor, targets: Tensor
) -> Tensor:
    """Train on one batch and return its loss."""
    logits = model(tokens)
    loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def train_step(
    batch: int = 8, seq: int = 128
) -> tuple[Callable[..., Tensor], tuple[Tensor, Tensor]]:
    """Return one training step of the default model, and a batch for it."""
    model = GPT(VOCABULARY, seq, layers=4, heads=6, width=192)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    return partial(step_of, model, optimizer), sample(corpus(), batch, seq, "cpu")


def main() -> None:
    """Train, and print the loss now and then."""
    args = arguments()
    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    text = corpus()
    model = GPT(VOCABULARY, args.block, args.layers, args.heads, args.width).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(args.steps):
        tokens, targets = sample(text, args.batch, args.block, device)
        loss = step_of(model, optimizer, tokens, targets)
        if step % 10 == 0 or step == args.steps - 1:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)


if __name__ == "__main__":
    main()
