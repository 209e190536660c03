"""What goodput's hooks cost an undisturbed step of one program, in seconds, as JSON.

Timed where they run, and by steps alternated with the hooks on and off in this one process.

Usage: python benchmarks/hooks.py gpt|tiny
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from goodput.frontends.step_instruments import PassOptions
from goodput.frontends.step_passes import State
from goodput.frontends.torch_program import TorchProgram
from goodput.measure.clock import HostClock

UNTIMED, TIMED = 2, 3
"""Steps after the hooks were switched, before the next switch."""


def training(name: str) -> Callable[[], None]:
    """Return one training step of one of the scripts."""
    sys.path.insert(0, str(Path(__file__).resolve().parent / "models"))
    if name == "gpt":
        import gpt

        model = gpt.GPT(gpt.VOCABULARY, context=128, layers=4, heads=6, width=192)
        x = torch.randint(gpt.VOCABULARY, (8, 128))
    else:
        import tiny

        torch.set_num_threads(1)
        model, x = tiny.model(layers=8, width=32), torch.randn(8, 32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step() -> None:
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def in_wall_pass(name: str, folder: str) -> tuple[object, Callable[[], None]]:
    """Return goodput in the middle of its undisturbed steps, and the program it measures."""
    watch = TorchProgram(PassOptions(steps=10**9, warmup=2), HostClock(), Path(folder))
    watch.attach()
    step = training(name)
    for _ in range(10):
        step()
    assert watch._passes.state is State.WALL
    return watch, step


def tenth(times: list[float]) -> float:
    """Return the 10th percentile."""
    return statistics.quantiles(times, n=10)[0]


def hook_seconds(watch: object, step: Callable[[], None], steps: int) -> float:
    """Return what the hooks of one step take, timed where they run: with the caches a step leaves.

    Called in a loop around nothing they would look several times as fast. The frame of the root's
    wrapper itself is not in it; the alternated steps have everything.
    """
    finder, roots, spent = watch._finder, watch._finder._roots, [0.0]

    def timed(hook: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            began = time.perf_counter()
            hook(*arguments)
            spent[0] += time.perf_counter() - began

        return call

    finder.remove()
    before = finder._optimizer_starts, finder._optimizer_stepped, roots.tell
    finder._optimizer_starts, finder._optimizer_stepped, roots.tell = map(timed, before)
    switch(finder, on=True)
    found = []
    for _ in range(steps):
        spent[0] = 0.0
        step()
        found.append(spent[0])
    finder.remove()
    finder._optimizer_starts, finder._optimizer_stepped, roots.tell = before
    return statistics.median(found)


def switch(finder: object, *, on: bool) -> None:
    """Put the hooks of the undisturbed steps on, or take them off."""
    if on:
        finder.retired = False
        finder.install()
        finder.narrow()
    else:
        finder.remove()


def alternated(watch: object, step: Callable[[], None], rounds: int) -> dict[str, float]:
    """Return the 10th percentile of a step with the hooks on, off, and off once more.

    Two times off differ by noise alone: what on differs by is to be read beside it.
    """
    passes = watch._passes
    found: dict[str, list[float]] = {"on": [], "off": [], "control": []}
    order = random.Random(0)  # noqa: S311 - an order, no secret
    seen = passes.seen
    for _ in range(rounds):
        for mode in order.sample(list(found), k=len(found)):
            switch(watch._finder, on=mode == "on")
            for _ in range(UNTIMED):
                step()
            for _ in range(TIMED):
                began = time.perf_counter()
                step()
                found[mode].append(time.perf_counter() - began)
            watch._finder.remove()
    # Every step with the hooks on was seen, and no other.
    assert passes.seen - seen == (UNTIMED + TIMED) * rounds
    return {mode: tenth(times) for mode, times in found.items()}


def main() -> None:
    """Print the cost of the hooks in one program as JSON."""
    name = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        watch, step = in_wall_pass(name, folder)
        hooks = hook_seconds(watch, step, steps=40 if name == "gpt" else 1000)
        found = alternated(watch, step, rounds=10 if name == "gpt" else 800)
    print(json.dumps({"hooks": hooks, **found}))


if __name__ == "__main__":
    main()
