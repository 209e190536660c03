"""Programs that launch Triton kernels: counted without launching, and beside their launches."""

import sys

import pytest

triton = pytest.importorskip("triton", reason="Triton is not installed (Linux only)")
torch = pytest.importorskip("torch", reason="the programs are torch's")

import triton.language as tl  # noqa: E402 - skips
from torch.library import triton_op, wrap_triton  # noqa: E402 - the same
from triton.runtime.autotuner import Autotuner  # noqa: E402 - the same
from triton.runtime.interpreter import InterpretedFunction  # noqa: E402 - the same
from triton.runtime.jit import JITFunction  # noqa: E402 - the same

import goodput  # noqa: E402 - the same
from goodput.formulas.registry import _FORMULAS  # noqa: E402 - the same
from goodput.frontends.torch_counter import WorkCounter  # noqa: E402 - the same
from goodput.frontends.torch_places import Surroundings  # noqa: E402 - the same
from goodput.frontends.triton_launches import LaunchWatch  # noqa: E402 - the same
from goodput.recording.counting import of_call  # noqa: E402 - the same


@triton.jit
def scale_kernel(x, y, size, factor, block: tl.constexpr):
    at = tl.program_id(0) * block + tl.arange(0, block)
    tl.store(y + at, tl.load(x + at, mask=at < size) * factor, mask=at < size)


@triton.jit(launch_metadata=lambda _grid, _metadata, args: {"flops32": args["size"]})
def told_kernel(x, y, size, factor, block: tl.constexpr):
    at = tl.program_id(0) * block + tl.arange(0, block)
    tl.store(y + at, tl.load(x + at, mask=at < size) * factor, mask=at < size)


@triton.jit
def product_kernel(a, b, c, m, n, k, block: tl.constexpr):
    row = tl.program_id(0) * block + tl.arange(0, block)
    column = tl.program_id(1) * block + tl.arange(0, block)
    total = tl.zeros((block, block), tl.float32)
    for start in range(0, k, block):
        inner = start + tl.arange(0, block)
        x_in = (row[:, None] < m) & (inner[None, :] < k)
        y_in = (inner[:, None] < k) & (column[None, :] < n)
        x = tl.load(a + row[:, None] * k + inner[None, :], mask=x_in, other=0.0)
        y = tl.load(b + inner[:, None] * n + column[None, :], mask=y_in, other=0.0)
        total = tl.dot(x, y, total)
    inside = (row[:, None] < m) & (column[None, :] < n)
    tl.store(c + row[:, None] * n + column[None, :], total, mask=inside)


@triton.jit
def opaque_kernel(x, lengths, block: tl.constexpr):
    for start in range(0, tl.load(lengths).to(tl.int32), block):
        tl.store(x + start + tl.arange(0, block), 0.0)


def product(a, b):
    m, k = a.shape
    n = b.shape[1]
    result = a.new_empty(m, n)
    grid = (triton.cdiv(m, 32), triton.cdiv(n, 32))
    product_kernel[grid](a, b, result, m, n, k, block=32, num_warps=2)
    return result


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return product(a, b)

    @staticmethod
    def backward(ctx, gradient):
        a, b = ctx.saved_tensors
        left = product(gradient, b.t().contiguous())
        return left, product(a.t().contiguous(), gradient)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(40, 50))

    def forward(self, x):
        return Product.apply(x, self.weight)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = Layer()

    def forward(self, x):
        return self.layer(x).sum()


@triton_op("goodput_tests::scaled", mutates_args={})
def scaled(x: torch.Tensor, factor: float) -> torch.Tensor:
    result = torch.empty_like(x)
    size = x.numel()
    wrap_triton(scale_kernel)[(triton.cdiv(size, 64),)](x, result, size, factor, 64)
    return result + 1


@torch.library.custom_op("goodput_tests::hidden", mutates_args=())
def hidden(x: torch.Tensor) -> torch.Tensor:
    result = torch.empty_like(x)
    scale_kernel[(1,)](x, result, x.numel(), 2.0, block=128)
    return result


@hidden.register_fake
def _(x):
    return torch.empty_like(x)


def entries(call, *inputs, train=None):
    recording = of_call(call, inputs, train=train)
    found = [e for e in recording.work.entries if not e.operator.startswith("aten::")]
    return found, recording


def test_a_model_counts_its_kernels_in_their_modules_and_phases():
    found, recording = entries(Model(), torch.ones(30, 40, requires_grad=True), train=True)
    assert [(e.operator, e.phase, e.module) for e in found] == [
        ("triton::product_kernel", "forward", "layer"),
        ("triton::product_kernel", "backward", "layer"),
        ("triton::product_kernel", "backward", "layer"),
    ]
    assert [e.work.flops for e in found] == [2 * 30 * 40 * 50] * 3
    assert found[0].work.padding_flops == 2 * 32 * 64 * 64 - 2 * 30 * 40 * 50
    assert found[0].shapes == "f32[30,40] f32[40,50] f32[30,50]"
    assert found[0].mode == "tf32"
    assert recording.warnings == ()


def test_a_function_that_launches_a_kernel_is_counted_from_python():
    report = goodput.count(product, torch.ones(200, 150), torch.ones(150, 100), by="operator")
    (row,) = [row for row in report.operators if row.operator == "triton::product_kernel"]
    assert row.useful_flops == 2 * 200 * 150 * 100
    assert row.executed_flops == 2 * 224 * 160 * 128
    assert row.bytes == 4 * (200 * 150 + 150 * 100 + 200 * 100)
    assert report.totals.useful_flops == row.useful_flops
    assert not any(one.operator.startswith("triton::") for one in report.coverage.unmodelled)


def test_operators_of_triton_kernels_are_counted_by_what_they_launch():
    def step(x):
        # Twice: what is remembered of the first must not hide the second.
        return scaled(scaled(x, 3.0), 2.0)

    found, recording = entries(step, torch.ones(100))
    assert [e.operator for e in found] == ["triton::scale_kernel"] * 2
    assert [e.work.vector_flops for e in found] == [128, 128]
    added = [e for e in recording.work.entries if e.operator == "aten::add"]
    assert len(added) == 2


def test_a_custom_operator_is_counted_by_the_kernel_in_its_body():
    found, _ = entries(hidden, torch.ones(100))
    assert [(e.operator, e.work.bytes) for e in found] == [("triton::scale_kernel", 800)]


def test_a_kernel_that_torch_was_told_of_is_counted_outside_of_operators_too():
    def step(x):
        wrap_triton(scale_kernel)[(2,)](x, x, x.numel(), 2.0, 64)
        return x

    found, _ = entries(step, torch.ones(100))
    assert [(e.operator, e.work.vector_flops) for e in found] == [("triton::scale_kernel", 128)]


def test_a_kernel_that_cannot_be_counted_is_listed_without_work_and_named():
    def step(x):
        opaque_kernel[(1,)](x, torch.ones(1), block=16)
        return x + 1

    found, recording = entries(step, torch.ones(100))
    assert [(e.operator, e.work) for e in found] == [("triton::opaque_kernel", None)]
    (warning,) = recording.warnings
    assert "opaque_kernel" in warning
    assert "scf.for" in warning
    report = goodput.count(step, torch.ones(100))
    assert "triton::opaque_kernel" in {one.operator for one in report.coverage.unmodelled}


def test_a_loop_by_the_numbers_that_a_tensor_brings_along_is_measured():
    def step(x, lengths):
        opaque_kernel[(1,)](x, lengths, block=16)
        return x + 1

    lengths = torch.tensor([40], dtype=torch.int32)
    found, recording = entries(step, torch.ones(100), lengths)
    assert [(e.operator, e.work.bytes_written) for e in found] == [
        ("triton::opaque_kernel", 4 * 48)
    ]
    (warning,) = recording.warnings
    assert "whole numbers that its tensors hold" in warning


def test_what_a_kernel_writes_itself_is_not_taken_for_known():
    def step(x, lengths):
        opaque_kernel[(1,)](lengths, lengths, block=16)
        return x + 1

    found, recording = entries(step, torch.ones(100), torch.ones(100, dtype=torch.int32))
    assert [e.work for e in found] == [None]
    (warning,) = recording.warnings
    assert "depends on data" in warning


def test_what_an_author_states_of_a_launch_stands_in_the_report():
    def step(x):
        told_kernel[(2,)](x, x, 100, 2.0, block=64)
        return x + 1

    report = goodput.count(step, torch.ones(100))
    (told,) = report.stated
    assert (told.kernel, told.stated_flops, told.stated_bytes) == (
        "triton::told_kernel",
        100,
        None,
    )
    assert told.flops == 128


def test_a_formula_of_the_user_s_comes_first(monkeypatch):
    monkeypatch.setattr("goodput.formulas.registry._FORMULAS", dict(_FORMULAS))

    @goodput.formula("triton::opaque_kernel")
    def opaque(call):
        return 2 * call.tensors[0].numel

    def step(x):
        opaque_kernel[(1,)](x, torch.ones(1), block=16)
        return x + 1

    found, recording = entries(step, torch.ones(100))
    assert [e.work.flops for e in found] == [200]
    assert recording.warnings == ()


class Launcher:
    """Stands for Triton's own method, which needs a GPU: remembers what it was told to launch."""

    def __init__(self):
        self.launched = []

    def method(self):
        def run(kernel, *_, grid, warmup, **__):
            self.launched.append((kernel, grid, warmup))
            return "compiled"

        return run


def test_launches_are_counted_beside_a_real_run(monkeypatch):
    launcher = Launcher()
    monkeypatch.setattr(JITFunction, "run", launcher.method())
    plain = JITFunction.run
    mode = WorkCounter(Surroundings(lambda: "layer", lambda: None))
    x = torch.ones(100)
    assert mode.enter()
    try:
        assert scale_kernel[(2,)](x, x, 100, 2.0, block=64) == "compiled"
        hidden(x)
        scale_kernel.warmup(x, x, 100, 2.0, block=64, grid=(2,))
    finally:
        mode.leave()
    assert JITFunction.run is plain  # nothing of ours is left in undisturbed steps
    assert [warmup for _, _, warmup in launcher.launched] == [False, False, True]
    found = [e for e in mode.result().entries if not e.operator.startswith("aten::")]
    assert [(e.operator, e.module, e.work.vector_flops) for e in found] == [
        ("triton::scale_kernel", "layer", 128),
        ("triton::scale_kernel", "layer", 128),
    ]
    assert mode.result().failure == ""


def test_what_a_tuner_tries_is_no_work_of_the_program(monkeypatch):
    configurations = [triton.Config({"block": block}) for block in (32, 64)]
    tuned = triton.autotune(configurations, key=["size"])(scale_kernel)
    launcher = Launcher()

    def tune(tuner, *args, **kwargs):
        for configuration in tuner.configs:
            tuner.fn.run(*args, **kwargs, **configuration.all_kwargs())
        tuner.best_config = tuner.configs[1]
        return tuner.fn.run(*args, **kwargs, **tuner.best_config.all_kwargs())

    monkeypatch.setattr(JITFunction, "run", launcher.method())
    monkeypatch.setattr(Autotuner, "run", tune)
    found = []
    watch = LaunchWatch(launching=True)
    watch.open(found.append)
    x = torch.ones(100)
    tuned[lambda meta: (triton.cdiv(100, meta["block"]),)](x, x, 100, 2.0)
    watch.close()
    assert len(launcher.launched) == 3
    assert [(one.name, one.count.vector_flops) for one in found] == [("scale_kernel", 128)]
    assert found[0].warnings == ()


def test_nothing_is_patched_without_triton(monkeypatch):
    monkeypatch.delitem(sys.modules, "triton.runtime.jit")
    plain = JITFunction.run
    watch = LaunchWatch(launching=True)
    watch.open(lambda _: None)
    assert JITFunction.run is plain
    watch.close()


def test_a_kernel_in_the_interpreter_is_named_and_has_no_work():
    kernel = InterpretedFunction(scale_kernel.fn)
    found = []
    watch = LaunchWatch(launching=False)
    watch.open(found.append)
    x = torch.ones(100)
    kernel[(2,)](x, x, 100, 2.0, block=64)
    watch.close()
    assert [(one.name, one.work) for one in found] == [("scale_kernel", None)]
    (warning,) = found[0].warnings
    assert "count it without TRITON_INTERPRET" in warning
    assert x.sum() == 100  # nothing was launched
