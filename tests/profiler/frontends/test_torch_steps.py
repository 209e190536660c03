"""Where the steps of a program are, for the ways in which people write training loops."""

from __future__ import annotations

import copy
import pickle

import pytest

torch = pytest.importorskip("torch")

from goodput.frontends.torch_steps import StepFinder  # noqa: E402


class Net(torch.nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.first = torch.nn.Linear(width, width)
        self.second = torch.nn.Linear(width, width)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


class Calls:
    """Nobody who wants to know of root calls."""

    def resume(self, module, args, kwargs):
        pass

    def suspend(self):
        pass


class Watch:
    """A finder with a list of the keys of all boundaries; a restart empties it."""

    def __init__(self):
        self.keys = []
        self.restarts = 0
        self.faults = []
        self.quick = False
        self.quick_keys = []
        self.finder = StepFinder(
            self.keys.append, self._restart, self.faults.append, Calls(), self._quick
        )

    def _quick(self, key):
        if self.quick:
            self.keys.append(key)
            self.quick_keys.append(key)
        return self.quick

    def _restart(self):
        self.restarts += 1
        self.keys.clear()

    @property
    def kind(self):
        return self.finder.kind

    @property
    def calls(self):
        """How many root calls each step had."""
        return [len(key) for key in self.keys]


@pytest.fixture
def watch():
    found = Watch()
    found.finder.install()
    yield found
    found.finder.remove()
    assert found.faults == []
    assert "__call__" not in Net.__dict__, "a wrapper is left on the class"
    assert "__call__" not in torch.nn.Linear.__dict__


def train(model, optimizer, x, micro_batches=1):
    for _ in range(micro_batches):
        model(x).sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_one_optimizer_step_is_one_boundary(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        train(model, optimizer, x)
    assert watch.kind == "training"
    assert watch.calls == [1, 1, 1, 1, 1]


def test_accumulation_makes_one_step_of_many_forwards(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        train(model, optimizer, x, micro_batches=3)
    assert watch.calls == [3, 3, 3, 3]


def test_the_larger_of_two_optimizers_makes_the_steps(watch):
    small, large, x = Net(8), torch.nn.Sequential(Net(8), Net(8)), torch.randn(4, 8)
    first = torch.optim.SGD(small.parameters(), lr=0.1)
    second = torch.optim.Adam(large.parameters(), lr=0.1)
    for _ in range(4):
        train(small, first, x)
        train(large, second, x)
    # The first boundary belongs to the small one until the large one shows itself.
    assert watch.calls == [1, 2, 2, 2]
    assert watch.restarts == 2


def test_an_optimizer_for_each_parameter_inside_backward(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizers = {p: torch.optim.SGD([p], lr=0.01) for p in model.parameters()}

    def update(parameter):
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(update)
    for _ in range(5):
        model(x).sum().backward()
    # A boundary inside backward waits for the next root call, so the last is still open.
    assert watch.calls == [1, 1, 1, 1]


def test_a_step_that_the_scaler_skips_shows_as_another_key(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for step in range(6):
        loss = model(x).sum() * (float("inf") if step == 3 else 1.0)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    assert watch.calls == [1, 1, 1, 2, 1]


def test_an_evaluation_shows_as_another_key(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(5):
        train(model, optimizer, x)
        if step == 2:
            with torch.no_grad():
                for _ in range(4):
                    model(x)
    assert watch.calls == [1, 1, 1, 5, 1]


def test_lbfgs_steps_once_for_all_its_closures(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4, lr=1e-3)

    def closure():
        optimizer.zero_grad()
        loss = model(x).pow(2).sum()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert len(watch.keys) == 3
    assert all(calls > 1 for calls in watch.calls)


def test_two_steps_of_one_optimizer_without_a_forward_are_one(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        train(model, optimizer, x)
        optimizer.step()
    assert watch.calls == [1, 1, 1]


def test_recomputed_modules_are_no_root_calls(watch):
    from torch.utils.checkpoint import checkpoint

    model, x = Net(), torch.randn(4, 8, requires_grad=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        checkpoint(model, x, use_reentrant=False).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert watch.calls == [1, 1, 1]


def test_inference_steps_are_grouped_by_input_shapes(watch):
    model = Net().eval()
    with torch.no_grad():
        for rows in (4, 4, 4, 2, 4):
            model(torch.randn(rows, 8))
    assert watch.kind == "inference"
    assert len(watch.keys) == 5
    first, *rest = watch.keys
    assert first is None
    assert rest[0] == rest[1] == rest[2] != rest[3]


def test_preprocessing_modules_make_no_inference_steps(watch):
    small, model = Net(4).eval(), Net(16).eval()
    with torch.inference_mode():
        for _ in range(4):
            small(torch.randn(1, 4))
            model(torch.randn(1, 16))
    assert len(watch.keys) == 4
    assert watch.restarts == 2


def test_training_wins_over_an_evaluation_before_it(watch):
    model, x = Net(), torch.randn(4, 8)
    with torch.no_grad():
        for _ in range(3):
            model(x)
    assert watch.kind == "inference"
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        train(model, optimizer, x)
    assert watch.kind == "training"
    assert watch.calls[1:] == [1, 1]


def test_training_wins_even_after_inference_was_over(watch):
    model, x = Net(), torch.randn(4, 8)
    with torch.no_grad():
        model(x)
    watch.finder.retire()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        train(model, optimizer, x)
    assert watch.kind == "training"
    assert watch.calls == [0, 1, 1]


def test_narrow_leaves_only_the_root_wrapped(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, x)
    watch.finder.narrow()
    assert "__call__" in Net.__dict__
    assert "__call__" not in torch.nn.Linear.__dict__
    train(model, optimizer, x)
    assert watch.calls == [1, 1]
    watch.finder.retire()
    train(model, optimizer, x)
    assert watch.calls == [1, 1]
    assert "__call__" not in Net.__dict__


def _unpickled(model):
    return pickle.loads(pickle.dumps(model))  # noqa: S301 - its own


@pytest.mark.parametrize("remake", [copy.deepcopy, _unpickled])
def test_copied_and_unpickled_models_are_seen(remake):
    model = Net().eval()
    watch, before = Watch(), torch.nn.Module.__setstate__
    watch.finder.install()
    try:
        other = remake(model)
        with torch.no_grad():
            other(torch.randn(1, 8))
            other(torch.randn(1, 8))
    finally:
        watch.finder.remove()
    assert len(watch.keys) == 2
    assert torch.nn.Module.__setstate__ is before


@pytest.mark.usefixtures("watch")
def test_a_saved_model_holds_nothing_of_ours():
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, x)
    assert b"goodput" not in pickle.dumps(model)
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_a_fault_of_ours_does_not_reach_the_program():
    faults = []

    def broken(_key):
        raise ValueError("ours")

    finder = StepFinder(broken, lambda: None, faults.append, Calls())
    finder.install()
    try:
        model, x = Net(), torch.randn(4, 8)
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), x)
        with torch.no_grad():
            model(x)
    finally:
        finder.remove()
    assert [str(fault) for fault in faults] == ["ours"]


def test_lazy_modules_have_no_size_yet(watch):
    model = torch.nn.Sequential(torch.nn.LazyLinear(4)).eval()
    with torch.no_grad():
        model(torch.randn(1, 3))
        model(torch.randn(1, 3))
    assert len(watch.keys) == 2


def test_explicit_steps_leave_no_boundary_of_ours(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch.finder.yield_to_explicit()
    train(model, optimizer, x)
    assert watch.keys == []


def test_an_exception_in_a_root_call_does_not_hide_later_ones(watch):
    model = Net().eval()
    with torch.no_grad():
        with pytest.raises(RuntimeError):
            model(torch.randn(1, 3))
        model(torch.randn(1, 8))
        model(torch.randn(1, 8))
    assert len(watch.keys) == 3


@pytest.mark.usefixtures("watch")
def test_compiled_code_sees_through_the_wrappers():
    model, x = Net().eval(), torch.randn(4, 8)
    compiled = torch.compile(lambda x: model(x) + 1, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), model(x) + 1)
    torch._dynamo.reset()  # so that later tests do not find a compiled program


@pytest.mark.parametrize("narrow", [False, True])
def test_a_step_with_inputs_of_another_shape_shows_as_another_key(watch, narrow):
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, torch.randn(4, 8))
    if narrow:
        watch.finder.narrow()
    for rows in (4, 6, 4):
        train(model, optimizer, torch.randn(rows, 8))
    small, large = (((((rows, 8), torch.float32),),) for rows in (4, 6))
    assert watch.keys == [small, small, large, small]


def test_only_a_narrowed_finder_has_quick_boundaries(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    other = torch.optim.SGD(Net().parameters(), lr=0.1)
    watch.quick = True
    train(model, optimizer, x)
    watch.finder.narrow()
    train(model, optimizer, x, micro_batches=2)
    optimizer.step()  # a second one of the same iteration
    other.step()
    assert watch.calls == [1, 2]
    assert len(watch.quick_keys) == 1
    watch.quick = False  # the last undisturbed step
    train(model, optimizer, x)
    watch.quick = True
    watch.finder.widen()
    train(model, optimizer, x)
    assert watch.calls == [1, 2, 1, 1]
    assert len(watch.quick_keys) == 1


def test_a_narrowed_finder_tells_recomputed_modules_from_root_calls(watch):
    from torch.utils.checkpoint import checkpoint

    model, x = Net(), torch.randn(4, 8, requires_grad=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for number in range(3):
        if number == 1:
            watch.finder.narrow()
        checkpoint(model, x, use_reentrant=False).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert watch.calls == [1, 1, 1]


def test_a_narrowed_finder_widens_to_what_it_was(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, x)
    watch.finder.narrow()
    train(model, optimizer, x)
    watch.finder.widen()
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(watch.finder.optimizing_task))
    train(model, optimizer, x)
    assert seen == [-1]
    assert watch.finder.optimizing_task is None
    assert watch.calls == [1, 1, 1]


def test_a_step_in_backward_makes_the_short_hooks_long_again(watch):
    model, x = Net(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, x)
    watch.finder.narrow()
    parameter = next(model.parameters())
    parameter.register_post_accumulate_grad_hook(lambda _: optimizer.step())
    for _ in range(3):
        model(x).sum().backward()
    assert watch.calls == [1, 1, 1]


def test_steps_that_the_program_ends_itself_have_their_kind_too(watch):
    watch.finder.yield_to_explicit()
    model = Net()
    kinds = []
    for rows in (4, 4, 6):
        model(torch.randn(rows, 8))
        kinds.append(watch.finder.take_kind())
    assert kinds[0] == kinds[1] != kinds[2]
    assert watch.keys == []


class Touchy(torch.Tensor):
    """A tensor subclass that nobody may touch from Python."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func} was called")


@pytest.mark.parametrize("narrow", [False, True])
def test_a_step_reads_the_shape_of_a_subclass_without_its_code(watch, narrow):
    class Ignores(Net):
        def forward(self, _):
            return super().forward(torch.ones(4, 8))

    model, x = Ignores(), torch.ones(4, 8).as_subclass(Touchy)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, x)
    if narrow:
        watch.finder.narrow()
    train(model, optimizer, x)
    assert watch.keys == [(((((4, 8)), torch.float32),),)] * 2
