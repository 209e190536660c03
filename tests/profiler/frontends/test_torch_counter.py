"""What the counted step says of operators: phase, module, work, masks; and how it fails."""

from __future__ import annotations

import gc

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from goodput.formulas.registry import _FORMULAS, register  # noqa: E402
from goodput.frontends.torch_counter import WorkCounter  # noqa: E402
from goodput.frontends.torch_modules import ModuleWatch, module_names  # noqa: E402
from goodput.frontends.torch_places import Surroundings  # noqa: E402
from goodput.work import Work  # noqa: E402


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(8, 16)
        self.second = torch.nn.Linear(16, 4)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def counted(run, *, optimizing=lambda: None):
    """The entries and the failure of counting `run`."""
    modules = ModuleWatch()
    modules.start()
    mode = WorkCounter(Surroundings(lambda: modules.current, optimizing))
    assert mode.enter()
    try:
        run()
    finally:
        mode.leave()
        modules.stop()
    return mode.result()


def flops(work, **wanted):
    return sum(
        entry.work.flops
        for entry in work.entries
        if entry.work and all(getattr(entry, key) == value for key, value in wanted.items())
    )


def test_phases_and_modules_of_a_training_step():
    gc.collect()  # of two models alive the larger one has its names without its class
    model, x = Net(), torch.randn(32, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    state = {"task": None}
    optimizer.register_step_pre_hook(lambda *_: state.update(task=-1))
    optimizer.register_step_post_hook(lambda *_: state.update(task=None))

    def step():
        model(x).sum().backward()
        optimizer.step()

    work = counted(step, optimizing=lambda: state["task"])
    first, second = 2 * 32 * 8 * 16, 2 * 32 * 16 * 4
    assert flops(work, phase="forward", module="first") == first
    assert flops(work, phase="forward", module="second") == second
    # The input needs no gradient, so the first layer has one product less.
    assert flops(work, phase="backward", module="first") == first
    assert flops(work, phase="backward", module="second") == 2 * second
    assert flops(work) == 2 * first + 3 * second
    updates = [e for e in work.entries if e.phase == "optimizer"]
    assert {e.operator for e in updates} >= {"aten::add_"}
    assert not any(e.module for e in updates)
    assert {c.mode for c in work.contractions} == {"float32"}
    assert max(c.flops for c in work.contractions) == max(first, second)


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputed_operators(reentrant):
    model, x = Net(), torch.randn(32, 8, requires_grad=True)
    work = counted(lambda: checkpoint(model, x, use_reentrant=reentrant).sum().backward())
    first, second = 2 * 32 * 8 * 16, 2 * 32 * 16 * 4
    assert flops(work, phase="forward") == first + second
    assert flops(work, phase="backward") == 2 * (first + second)
    assert flops(work, phase="recompute", module="first") == first
    # The forward that is not reentrant stops as soon as the last saved tensor is there again.
    assert flops(work, phase="recompute") >= first


def test_double_backward_is_no_recompute():
    weight, x = torch.randn(8, 8, requires_grad=True), torch.randn(4, 8, requires_grad=True)

    def step():
        (slope,) = torch.autograd.grad((x @ weight).pow(2).sum(), x, create_graph=True)
        slope.pow(2).sum().backward()

    work = counted(step)
    assert flops(work, phase="recompute") == 0
    assert flops(work, phase="backward") > 0


def test_masks_are_counted_once_for_batch_and_heads():
    q, k, v = (torch.randn(2, 3, 16, 8) for _ in range(3))
    mask = torch.rand(16, 16) > 0.4
    mask[:, 0] = True
    pairs = int(mask.sum()) * 2 * 3

    def attend(m):
        return counted(lambda: functional.scaled_dot_product_attention(q, k, v, attn_mask=m))

    per_pair = 2 * (8 + 8)
    assert flops(attend(mask)) == per_pair * pairs
    bias = torch.zeros(16, 16).masked_fill(~mask, float("-inf"))
    assert flops(attend(bias)) == per_pair * pairs
    lowest = torch.zeros(2, 1, 16, 16).masked_fill(~mask, torch.finfo(torch.float32).min)
    assert flops(attend(lowest)) == per_pair * pairs
    dense = attend(mask).entries
    assert sum(e.work.dense_flops for e in dense if e.work) == per_pair * 2 * 3 * 16 * 16


def test_inference_mode_is_counted_like_no_grad():
    model, x = Net().eval(), torch.randn(32, 8)

    def infer(context):
        def run():
            with context():
                model(x)

        return counted(run)

    expected = 2 * 32 * (8 * 16 + 16 * 4)
    assert flops(infer(torch.no_grad)) == flops(infer(torch.inference_mode)) == expected


def test_torchs_own_registered_formulas_are_honoured():
    from torch.utils.flop_counter import flop_registry, register_flop_formula

    @torch.library.custom_op("goodput_test::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    x = torch.randn(4, 4)
    assert [e.work for e in counted(lambda: twice(x)).entries if "twice" in e.operator] == [None]

    @register_flop_formula(torch.ops.goodput_test.twice)
    def count(shape, *_, out_shape=None, **_kwargs):
        del out_shape
        return 7 * shape[0]

    try:
        (entry,) = (e for e in counted(lambda: twice(x)).entries if "twice" in e.operator)
    finally:
        del flop_registry[torch.ops.goodput_test.twice]
    assert entry.work == Work(flops=28, dense_flops=28, bytes_read=64, bytes_written=64)


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("x"), ZeroDivisionError()])
def test_an_operator_that_fails_under_counting_still_runs(error):
    @torch.library.custom_op("goodput_test::bad", mutates_args=())
    def bad(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    @register("goodput_test::bad", replace=True)
    def formula(_call):
        raise error

    results = []
    x = torch.ones(3)
    try:
        work = counted(lambda: results.append(bad(x) + (x * 3)))
    finally:
        del _FORMULAS["goodput_test::bad"]
    torch.testing.assert_close(results[0], torch.full((3,), 5.0))
    assert "counting goodput_test::bad failed" in work.failure
    # Nothing is counted after the failure.
    assert not any(e.operator == "aten::mul" for e in work.entries)


def test_an_operator_that_runs_under_no_mode_still_runs_and_ends_the_counting():
    @torch.library.custom_op("goodput_test::shy", mutates_args=())
    def shy(x: torch.Tensor) -> torch.Tensor:
        if torch.utils._python_dispatch.is_in_torch_dispatch_mode():
            raise RuntimeError("not under a mode")
        return x + 1

    results = []
    x = torch.ones(3)
    work = counted(lambda: results.extend([x * 3, shy(x), shy(shy(x)), x * 3]))
    torch.testing.assert_close(results[2], torch.full((3,), 3.0))
    assert work.failure.startswith("goodput_test::shy does not run while it is counted: Runtime")
    assert [e.operator for e in work.entries] == ["aten::mul"]


def test_a_composite_that_runs_under_no_mode_still_runs_and_ends_the_counting():
    library = torch.library.Library("goodput_test", "FRAGMENT")
    library.define("shy_composite(Tensor x) -> Tensor")

    def composite(x):
        if torch._C._len_torch_dispatch_stack():
            raise RuntimeError("not under a mode")
        return x + 1

    library.impl("shy_composite", composite, "CompositeImplicitAutograd")
    results = []
    with torch.inference_mode():
        x = torch.ones(3)
        operator = torch.ops.goodput_test.shy_composite
        work = counted(lambda: results.extend([operator(x), operator(x)]))
    torch.testing.assert_close(results[1], torch.full((3,), 2.0))
    assert "shy_composite does not run while it is counted" in work.failure
    assert torch._C._len_torch_dispatch_stack() == 0


def test_an_error_of_the_operator_is_the_programs_own():
    a, b = torch.randn(2, 3), torch.randn(2, 3)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        counted(lambda: a @ b)
    assert caught.value.__context__ is None


def test_a_composites_own_error_comes_twice_at_most():
    library = torch.library.Library("goodput_test", "FRAGMENT")
    library.define("wrong(Tensor x) -> Tensor")
    calls = []

    def wrong(x):
        calls.append(1)
        return x @ torch.ones(7)

    library.impl("wrong", wrong, "CompositeImplicitAutograd")
    with torch.inference_mode(), pytest.raises(RuntimeError) as caught:
        counted(lambda: torch.ops.goodput_test.wrong(torch.ones(3)))
    assert caught.value.__context__ is None
    assert len(calls) == 1  # the product within was tried again, not all around it


def test_a_mode_of_the_programs_keeps_its_place():
    from torch.utils.flop_counter import FlopCounterMode

    mode = WorkCounter(Surroundings(lambda: None, lambda: None))
    a = torch.randn(4, 4)
    with FlopCounterMode(display=False):
        assert not mode.enter()
    assert mode.enter()
    with FlopCounterMode(display=False) as theirs:
        torch.mm(a, a)
        mode.leave()
        torch.mm(a, a)
    assert theirs.get_total_flops() == 2 * 2 * 4**3
    assert flops(mode.result()) == 2 * 4**3
    assert torch._C._len_torch_dispatch_stack() == 0
    torch.mm(a, a)
    assert flops(mode.result()) == 2 * 4**3


def test_a_conditional_counts_the_branch_it_takes():
    from torch._higher_order_ops.cond import cond_op

    a = torch.randn(4, 4)
    work = counted(lambda: cond_op(torch.tensor(True), lambda x: (x @ x,), lambda x: (x,), (a,)))  # noqa: FBT003
    assert flops(work) == 2 * 4**3


def test_counting_changes_no_result():
    def losses(count):
        torch.manual_seed(0)
        model, x = Net(), torch.randn(32, 8)
        optimizer = torch.optim.AdamW(model.parameters())
        found = []

        def step():
            loss = functional.dropout(model(x), 0.5).pow(2).sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            found.append(loss.item())

        for number in range(3):
            if count and number == 1:
                counted(step)
            else:
                step()
        return found

    assert losses(count=True) == losses(count=False)


def test_names_are_fully_qualified_and_the_largest_model_has_no_prefix():
    small, large = torch.nn.Sequential(torch.nn.Linear(2, 2)), Net()
    large.big = torch.nn.Linear(3000, 3000)
    names = module_names()
    assert names[id(large)] == ""
    assert names[id(large.first)] == "first"
    assert names[id(small[0])].startswith("Sequential")
    assert names[id(small[0])].endswith(".0")
