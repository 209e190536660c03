"""Cases are timed beside an anchor, whichever framework they are of; no time is asserted."""

import pytest

from goodput.commands.timed_runs import values_of
from goodput.commands.timing import timed_target
from goodput.errors import NotMeasuredError
from goodput.measure.clock import HostClock
from goodput.measure.interleaved import Plan

PLAN = Plan(warmup=1, seconds=0.0, fewest=2, most=2)

TARGETS = """
def torch_step():
    import torch
    layer = torch.nn.Linear(8, 8)
    return layer, (torch.randn(4, 8),)

def jax_step():
    import jax, jax.numpy as jnp
    from functools import partial
    @partial(jax.jit, donate_argnums=0)
    def step(weights, x):
        return weights - 0.1 * (x.T @ x), x
    return step, (jax.ShapeDtypeStruct((8, 8), jnp.float32), jnp.ones((4, 8)))
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["x"])
    path = tmp_path / "timed_targets.py"
    path.write_text(TARGETS)
    return path


@pytest.mark.parametrize(
    ("name", "operator"), [("torch_step", "aten::addmm forward float32"), ("jax_step", "dot")]
)
def test_a_function_is_timed_beside_an_anchor(place, name, operator):
    pytest.importorskip(name.partition("_")[0])
    plan = {"anchor": "compute", "mode": "float32", "seconds": 0.0, "operators": True}
    timed = timed_target(f"{place}:{name}", (None, None), None, **plan)
    assert any(one.startswith(operator) for one in timed.profile.operators)
    assert all(seconds >= 0 for seconds in timed.profile.operators.values())
    assert timed.profile.launches is None  # no device was recorded
    assert len(timed.rounds.step) == len(timed.rounds.anchor) == 10
    assert timed.device.kind == "cpu"
    values = values_of(timed, {"useful_flops.float32": 512.0})
    assert values["cost"] == pytest.approx(values["step_seconds"] * values["anchor_flops_per_s"])
    assert values["goodput"] == pytest.approx(512.0 / values["cost"])


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_memory_anchor_moves_bytes(framework):
    pytest.importorskip(framework)
    if framework == "torch":
        from goodput.frontends import torch_case as case
        from goodput.frontends.torch_count import Step
    else:
        from goodput.frontends import jax_case as case
        from goodput.frontends.jax_count import Step
    timed = case.timed(Step(lambda x: x, (1.0,), None), "", "memory", PLAN, HostClock())
    assert timed.anchor.startswith("copy of")
    assert timed.amount == 2 * 2**26
    assert "goodput" not in values_of(timed, {"useful_flops.float32": 1.0})


def test_a_backward_pass_is_taken_with_the_step():
    torch = pytest.importorskip("torch")
    from goodput.frontends import torch_case
    from goodput.frontends.torch_count import Step

    layer = torch.nn.Linear(2, 2)
    torch_case.timed(
        Step(layer, (torch.ones(1, 2),), train=True), "float32", "compute", PLAN, HostClock()
    )
    assert layer.weight.grad is not None


def test_the_gradient_of_a_function_of_jax_is_timed_with_it():
    jax = pytest.importorskip("jax")
    from goodput.frontends import jax_case
    from goodput.frontends.jax_count import Step

    def loss(weights, x):
        return (x @ weights).sum()

    abstract = jax.ShapeDtypeStruct((4, 4), "float32")
    step = Step(loss, (abstract, abstract), train=True)
    timed = jax_case.timed(step, "float32", "compute", PLAN, HostClock())
    assert len(timed.rounds.step) == PLAN.fewest
    gradient, arrays = jax_case.called(step)
    (value,), (slope, *_) = gradient(*(jax.numpy.ones(a.shape, a.dtype) for a in arrays))
    assert float(value) == 64.0
    assert (slope == 4.0).all()


def test_what_cannot_be_timed_is_told():
    plan = {"anchor": "compute", "mode": "", "seconds": 0.0, "operators": False}
    with pytest.raises(NotMeasuredError, match="counted and not timed"):
        timed_target("hf:c.json", (None, None), None, **plan)
