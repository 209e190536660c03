"""Train a model whose every operator is short: the host has all the work, the device hardly any."""

import argparse

import torch
from torch import nn


def model(layers: int, width: int) -> nn.Module:
    """Return a deep and narrow perceptron."""
    hidden = [(nn.Linear(width, width), nn.LayerNorm(width), nn.GELU()) for _ in range(layers)]
    return nn.Sequential(*(part for parts in hidden for part in parts), nn.Linear(width, 1))


def main() -> None:
    """Fit the sum of the inputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400, help="optimizer steps")
    parser.add_argument("--layers", type=int, default=8, help="hidden layers")
    parser.add_argument("--width", type=int, default=32, help="channels")
    parser.add_argument("--batch", type=int, default=8, help="rows in a batch")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)  # its operators are too short to share
    network = model(args.layers, args.width)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for step in range(args.steps):
        x = torch.randn(args.batch, args.width)
        loss = (network(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0 or step == args.steps - 1:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)


if __name__ == "__main__":
    main()
