"""What torch.profiler writes today reads as it ran: steps, phases, modules, exact FLOPs."""

import pytest

from goodput.readers.kineto import read
from goodput.trace.table import Phase

torch = pytest.importorskip("torch")
BATCH, WIDE, NARROW = 32, 16, 8
STEPS = 2


def marked(model):
    """`model` with goodput's module markers around every forward."""
    mark = torch._C._profiler._RecordFunctionFast
    for name, module in model.named_modules():
        opened = []

        def before(*_, name=name, opened=opened):
            opened.append(mark("goodput::module", [], {"fqn": name}))
            opened[-1].__enter__()

        def after(*_, opened=opened):
            opened.pop().__exit__(None, None, None)

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after, always_call=True)
    return model


@pytest.fixture(scope="module", params=[True, False], ids=["reentrant", "non-reentrant"])
def trace(request, tmp_path_factory):
    from torch.profiler import ProfilerActivity, profile
    from torch.utils.checkpoint import checkpoint

    first = marked(torch.nn.Sequential(torch.nn.Linear(NARROW, WIDE), torch.nn.GELU()))
    second = marked(torch.nn.Linear(WIDE, NARROW))
    parameters = [*first.parameters(), *second.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    batch = torch.randn(BATCH, NARROW, requires_grad=True)
    mark = torch._C._profiler._RecordFunctionFast
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        for number in range(STEPS):
            with mark(f"goodput::boundary#{number}"):
                pass
            output = second(checkpoint(first, batch, use_reentrant=request.param))
            output.square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        with mark(f"goodput::boundary#{STEPS}"):
            pass
    path = tmp_path_factory.mktemp("live") / "trace.json"
    profiler.export_chrome_trace(str(path))
    return read(path)


def rows(trace, phase, operator):
    table = trace.invocations
    return [
        (trace.strings[table.module[i]], int(table.flops[i]))
        for i in range(len(table))
        if table.phase[i] == phase and trace.strings[table.operator[i]] == operator
    ]


def test_the_boundaries_are_the_steps(trace):
    assert [step.number for step in trace.steps] == list(range(STEPS))
    assert set(trace.invocations.step.tolist()) == set(range(STEPS))
    for step in trace.steps:
        assert 0 < step.busy_seconds < step.wall_seconds
        assert step.events > 50


def test_forward_and_recompute_have_their_modules_and_exact_flops(trace):
    product = 2 * BATCH * NARROW * WIDE
    assert rows(trace, Phase.FORWARD, "aten::addmm") == [("0", product), ("", product)] * STEPS
    assert rows(trace, Phase.RECOMPUTE, "aten::addmm") == [("0", product)] * STEPS


def test_backward_has_twice_the_forwards_flops_and_its_modules(trace):
    product = 2 * BATCH * NARROW * WIDE
    expected = [("", product), ("", product), ("0", product), ("0", product)]
    assert rows(trace, Phase.BACKWARD, "aten::mm") == expected * STEPS
    assert not rows(trace, Phase.RECOMPUTE, "aten::mm")


def test_the_optimizer_is_seen(trace):
    table = trace.invocations
    assert (table.phase == Phase.OPTIMIZER).any()
    assert table.modelled.all()
