"""Programs measured inside this process, with the contexts that people put around their steps."""

from __future__ import annotations

import contextlib

import pytest

torch = pytest.importorskip("torch")

from goodput.frontends.step_instruments import PassOptions, ProgramEnd  # noqa: E402
from goodput.frontends.torch_program import TorchProgram  # noqa: E402
from goodput.measure.clock import HostClock  # noqa: E402
from goodput.readers import kineto  # noqa: E402

ROWS, WIDTH = 16, 32
LAYER = 2 * ROWS * WIDTH * WIDTH


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(WIDTH, WIDTH)
        self.second = torch.nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


@pytest.fixture
def measure(tmp_path):
    """Measures what a function does with `run` marked as its program."""
    programs = []

    def attach(**options):
        program = TorchProgram(PassOptions(**{"warmup": 2, **options}), HostClock(), tmp_path)
        program.attach()
        programs.append(program)
        return program

    yield attach
    for program in programs:
        program.finish()
    assert torch._C._len_torch_dispatch_stack() == 0
    assert not torch.autograd._profiler_enabled()
    assert not torch.nn.modules.module._has_any_global_hook()
    # A mode closed inside a guard that was opened under it would break every operator from here.
    assert torch.ones(2).add(1).sum().item() == 4


def data():
    return torch.randn(ROWS, WIDTH)


def flops(measured):
    return sum(entry.work.flops for entry in measured.results.work.entries if entry.work)


@pytest.mark.parametrize("outside", ["forward", "nothing"])
@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_inference_under_any_guard(measure, guard, each, outside):
    program, model = measure(), Net().eval()
    if outside == "forward":
        model(data())
    around, inner = (contextlib.nullcontext, guard) if each else (guard, contextlib.nullcontext)
    with around():
        for _ in range(45):
            with inner():
                model(data()).argmax(-1)
    assert torch.ones(2).add(1).sum().item() == 4
    measured = program.finish()
    assert measured.kind == "inference"
    assert flops(measured) == 2 * LAYER
    assert len(measured.results.wall_seconds) == 10
    assert measured.results.profiled
    assert measured.warnings == ()


def test_training_with_evaluations_in_inference_mode(measure):
    program, model = measure(), Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for step in range(60):
        model(data()).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 10 == 0:
            with torch.inference_mode():
                model(data())
    measured = program.finish()
    assert measured.kind == "training"
    assert flops(measured) == 2 * LAYER + 3 * LAYER
    assert measured.results.steps_left_out >= 1


def test_optimizers_inside_backward_with_evaluations_in_inference_mode(measure):
    program, model = measure(), Net()
    optimizers = {p: torch.optim.SGD([p], lr=0.01) for p in model.parameters()}
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: optimizers[p].step())
    for step in range(60):
        model(data()).sum().backward()
        model.zero_grad()
        if step % 7 == 1:
            with torch.inference_mode():
                model(data())
    measured = program.finish()
    assert measured.kind == "training"
    assert flops(measured) == 5 * LAYER
    assert {e.phase for e in measured.results.work.entries} >= {"forward", "backward", "optimizer"}


def test_training_written_by_hand(measure):
    program, model = measure(), Net()
    for _ in range(70):
        model(data()).sum().backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.sub_(parameter.grad, alpha=0.01)
                parameter.grad = None
    measured = program.finish()
    assert measured.kind == "inference"
    assert flops(measured) == 5 * LAYER


def test_training_after_evaluations(measure):
    program, model = measure(), Net()
    with torch.inference_mode():
        for _ in range(45):
            model(data())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(45):
        model(data()).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    measured = program.finish()
    assert measured.kind == "training"
    assert flops(measured) == 5 * LAYER
    assert 13 < measured.results.steps_seen <= 45
    trace = kineto.read(measured.trace_path)
    assert {trace.strings[m] for m in trace.invocations.module} >= {"first", "second"}


def test_marked_steps_in_and_out_of_inference_mode(measure):
    program, model = measure(), Net().eval()
    program.expect_explicit_steps()
    model(data())
    program.step()
    with torch.inference_mode():
        for _ in range(5):
            model(data())
            program.step()
    for _ in range(45):
        with torch.no_grad():
            model(data())
        program.step()
    measured = program.finish()
    assert measured.kind == "explicit"
    assert len(measured.results.wall_seconds) == 10


def test_a_mode_of_the_programs_own(measure):
    from torch.utils.flop_counter import FlopCounterMode

    program, model = measure(), Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with FlopCounterMode(display=False) as theirs:
        for _ in range(45):
            model(data()).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert theirs.get_total_flops() == 45 * 5 * LAYER
    measured = program.finish()
    assert flops(measured) == 0
    assert "dispatch mode of its own" in measured.warnings[0]


def test_the_program_ends_with_the_passes(tmp_path):
    program = TorchProgram(PassOptions(warmup=1), HostClock(), tmp_path, stop_after=True)
    program.attach()
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    steps = []

    def run():
        for step in range(1000):
            model(data()).sum().backward()
            optimizer.step()
            steps.append(step)

    with pytest.raises(ProgramEnd):
        run()
    assert len(steps) < 100
    assert program.finish().results.profiled
