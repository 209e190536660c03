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
from pathlib import Path

import torch

from goodput.frontends.step_instruments import PassOptions
from goodput.frontends.step_passes import State
from goodput.frontends.torch_program import TorchProgram
from goodput.measure.clock import HostClock

now = time.perf_counter
UNTIMED = {"gpt": 2, "tiny": 20}
TIMED = {"gpt": 3, "tiny": 10}
"""Steps after the hooks were switched, before the next switch.

A class that was just changed is slow to call: Python looks everything up anew, and its interpreter
gets used to what it finds only after some dozens of calls. That belongs to the switch, of which a
real run has one.
"""


class Training:
    """One of the scripts, step by step; it notes what each root call takes outside of `forward`."""

    def __init__(self, name: str) -> None:
        self.untimed, self.timed = UNTIMED[name], TIMED[name]
        sys.path.insert(0, str(Path(__file__).resolve().parent / "models"))
        if name == "gpt":
            import gpt

            self.model = gpt.GPT(gpt.VOCABULARY, context=128, layers=4, heads=6, width=192)
            self.x = torch.randint(gpt.VOCABULARY, (8, 128))
        else:
            import tiny

            torch.set_num_threads(1)
            self.model, self.x = tiny.model(layers=8, width=32), torch.randn(8, 32)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.around_forward: list[float] = []
        inner = self.model.forward

        def forward(*arguments: object) -> torch.Tensor:
            self.entered = now()
            result = inner(*arguments)
            self.left = now()
            return result

        self.model.forward = forward

    def step(self) -> None:
        """One training step."""
        began = now()
        result = self.model(self.x)
        ended = now()
        loss = result.square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.around_forward.append(self.entered - began + ended - self.left)


def in_wall_pass(name: str, folder: str) -> tuple[TorchProgram, Training]:
    """Return goodput in the middle of its undisturbed steps, and the program it measures."""
    watch = TorchProgram(PassOptions(steps=10**9, warmup=2), HostClock(), Path(folder))
    watch.attach()
    program = Training(name)
    for _ in range(10):
        program.step()
    assert watch._passes.state is State.WALL
    return watch, program


def tenth(times: list[float]) -> float:
    """Return the 10th percentile."""
    return statistics.quantiles(times, n=10)[0]


def hook_seconds(watch: TorchProgram, program: Training, steps: int) -> float:
    """Return what the hooks of one step take, timed where they run: with the caches a step leaves.

    Called in a loop around nothing they would look several times as fast. The optimizer hook is
    timed itself; the wrapper of the root by what a root call takes outside of `forward` with it
    and, by turns, without it. Medians.
    """
    finder, spent = watch._finder, [0.0]
    hook = finder._optimizer_stepped

    def timed(*arguments: object) -> None:
        began = now()
        hook(*arguments)
        spent[0] += now() - began

    hooks: list[float] = []
    around: dict[bool, list[float]] = {True: [], False: []}
    finder.remove()
    finder._optimizer_stepped = timed
    while len(hooks) < steps:
        for on in (True, False):
            if on:
                switch(finder, on=True)
            for number in range(program.untimed + program.timed):
                spent[0] = 0.0
                program.step()
                if number >= program.untimed:
                    around[on].append(program.around_forward[-1])
                    hooks.extend(spent * on)
            if on:
                finder.remove()
    finder._optimizer_stepped = hook
    wrapper = statistics.median(around[True]) - statistics.median(around[False])
    return statistics.median(hooks) + wrapper


def switch(finder: object, *, on: bool) -> None:
    """Put the hooks of the undisturbed steps on, or take them off."""
    if on:
        finder.retired = False
        finder.install()
        finder.narrow()
    else:
        finder.remove()


def alternated(watch: TorchProgram, program: Training, rounds: int) -> dict[str, float]:
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
            for _ in range(program.untimed):
                program.step()
            for _ in range(program.timed):
                began = now()
                program.step()
                found[mode].append(now() - began)
            watch._finder.remove()
    # Every step with the hooks on was seen, and no other.
    assert passes.seen - seen == (program.untimed + program.timed) * rounds
    return {mode: tenth(times) for mode, times in found.items()}


def main() -> None:
    """Print the cost of the hooks in one program as JSON."""
    name = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        watch, program = in_wall_pass(name, folder)
        hooks = hook_seconds(watch, program, steps=40 if name == "gpt" else 500)
        found = alternated(watch, program, rounds=40 if name == "gpt" else 150)
    print(json.dumps({"hooks": hooks, **found}))


if __name__ == "__main__":
    main()
