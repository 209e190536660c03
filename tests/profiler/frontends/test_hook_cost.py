"""What our hooks cost an undisturbed step: on and off by turns inside one process."""

from __future__ import annotations

import time

import pytest

torch = pytest.importorskip("torch")

from goodput.frontends.step_instruments import PassOptions  # noqa: E402
from goodput.frontends.step_passes import State  # noqa: E402
from goodput.frontends.torch_program import TorchProgram  # noqa: E402
from goodput.measure.clock import HostClock  # noqa: E402

LIMIT_SECONDS = 50e-6


class Deep(torch.nn.Module):
    """Many submodules around no arithmetic: a hook on each would cost more than the limit."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.layers = torch.nn.ModuleList(torch.nn.Identity() for _ in range(300))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Free(torch.optim.Optimizer):
    """A step without arithmetic, so that all of its time is hooks."""

    def __init__(self, parameters):
        super().__init__(parameters, {})

    def step(self, closure=None):
        pass


def tenth_percentile(run, count=200):
    times = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return sorted(times)[count // 10]


def test_an_undisturbed_step_pays_less_than_fifty_microseconds(tmp_path):
    program = TorchProgram(PassOptions(steps=10**6, warmup=1), HostClock(), tmp_path)
    program.attach()
    try:
        model, x = Deep(), torch.zeros(1)
        optimizer = Free(model.parameters())

        def step():
            model(x)
            optimizer.step()

        for _ in range(5):
            step()
        assert program._passes.state is State.WALL
        assert torch._C._len_torch_dispatch_stack() == 0
        assert not torch.autograd._profiler_enabled()
        assert not torch.nn.modules.module._has_any_global_hook()
        assert not model._forward_hooks
        assert not model._forward_pre_hooks
        # On and off by turns in one process: the machine's mood is the same for both.
        costs = []
        for _ in range(3):
            measured = tenth_percentile(step)
            program._finder._roots.silence()
            finder, program._finder.retired = program._finder, True
            plain = tenth_percentile(step)
            finder.retired = False
            finder._roots.watch()
            finder._roots.narrow()
            costs.append(measured - plain)
        assert min(costs) < LIMIT_SECONDS
    finally:
        program.finish()
    assert "__call__" not in Deep.__dict__
