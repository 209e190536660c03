"""Train the small GPT of gpt.py with torch.compile: goodput attributes its fused kernels."""

import argparse

import torch
from gpt import GPT, VOCABULARY, corpus, sample
from torch import Tensor, nn
from torch.nn import functional


class Trained(nn.Module):
    """The model with its loss, so that one graph holds both."""

    def __init__(self, model: GPT) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of one batch."""
        logits = self.model(tokens)
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def main() -> None:
    """Train, and print the loss now and then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=45, help="optimizer steps")
    parser.add_argument("--batch", type=int, default=4, help="sequences in a batch")
    parser.add_argument("--block", type=int, default=64, help="tokens in a sequence")
    parser.add_argument("--layers", type=int, default=2, help="transformer layers")
    parser.add_argument("--width", type=int, default=96, help="channels")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--eager", action="store_true", help="leave torch.compile out")
    args = parser.parse_args()
    torch.manual_seed(0)
    text = corpus()
    model = Trained(GPT(VOCABULARY, args.block, args.layers, heads=4, width=args.width))
    model.to(args.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss_of = model if args.eager else torch.compile(model)
    for step in range(args.steps):
        loss = loss_of(*sample(text, args.batch, args.block, args.device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0 or step == args.steps - 1:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)


if __name__ == "__main__":
    main()
