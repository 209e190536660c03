"""Programs that torch compiled, counted by their graphs while they stay compiled."""

from __future__ import annotations

import importlib
import shutil
from collections import Counter
from types import FunctionType

import pytest

torch = pytest.importorskip("torch")
if shutil.which("g++") is None and shutil.which("clang++") is None:
    pytest.skip("inductor needs a C++ compiler", allow_module_level=True)

importlib.import_module("torch._inductor.compile_fx")
from torch.nn import functional  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import goodput  # noqa: E402
from goodput.formulas.told import listening  # noqa: E402
from goodput.frontends.step_instruments import PassOptions  # noqa: E402
from goodput.frontends.step_passes import State  # noqa: E402
from goodput.frontends.torch_inductor import InductorWatch  # noqa: E402
from goodput.frontends.torch_passes import TorchCounter  # noqa: E402
from goodput.frontends.torch_private import compile_is_used  # noqa: E402
from goodput.frontends.torch_program import TorchProgram  # noqa: E402
from goodput.measure.clock import HostClock  # noqa: E402

BATCH, TOKENS, WIDTH, HEADS = 2, 16, 32, 4


@pytest.fixture(autouse=True)
def forgotten_compilers(monkeypatch):
    # torch remembers every backend that it compiled with; later tests are of eager programs.
    monkeypatch.setattr(torch._dynamo.eval_frame, "cached_backends", {})
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def watch():
    found = InductorWatch()
    found.install()
    yield found
    found.remove()
    assert not found.fault


def mlp():
    return torch.nn.Sequential(
        torch.nn.Linear(WIDTH, 64), torch.nn.ReLU(), torch.nn.Linear(64, WIDTH)
    )


class Whole(torch.nn.Module):
    """A module of the program's own: dynamo compiles no class of torch's in place."""

    def __init__(self):
        super().__init__()
        self.body = mlp()

    def forward(self, x):
        return self.body(x)


class Block(torch.nn.Module):
    def __init__(self, groups=1, again=False):
        super().__init__()
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.query = torch.nn.Linear(WIDTH, WIDTH)
        self.pair = torch.nn.Linear(WIDTH, 2 * WIDTH // groups)
        self.proj = torch.nn.Linear(WIDTH, WIDTH)
        self.mlp = mlp()
        self.groups, self.again = groups, again

    def attend(self, x):
        def heads(y):
            return y.unflatten(-1, (-1, WIDTH // HEADS)).transpose(1, 2)

        key, value = self.pair(self.norm(x)).chunk(2, -1)
        mixed = functional.scaled_dot_product_attention(
            heads(self.query(x)), heads(key), heads(value), is_causal=True, enable_gqa=True
        )
        return x + self.proj(mixed.transpose(1, 2).flatten(2))

    def body(self, x):
        x = self.attend(x)
        return x + self.mlp(x)

    def forward(self, x):
        return checkpoint(self.body, x, use_reentrant=False) if self.again else self.body(x)


def conv_net():
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 8, 3, groups=8),
        torch.nn.Conv2d(8, 4, 1),
    )


def rows():
    return torch.randn(BATCH, TOKENS, WIDTH)


def counted(watch, step):
    """What one call of `step` is counted as, compiled code and eager code alike."""
    counter = TorchCounter(lambda: None, lambda: False, watch)
    assert counter.start() or counter.start()  # the first time it cannot know what was compiled
    step()
    work = counter.stop()
    assert not work.failure
    return work, counter


def train_step(model, x):
    return lambda: model(x).square().mean().backward()


def totals(work, phase=None):
    chosen = [e.work for e in work.entries if e.work and phase in {None, e.phase}]
    return sum(each.flops for each in chosen), sum(each.dense_flops for each in chosen)


def useful(work):
    return totals(work)[0] - totals(work, "recompute")[0]


def both(watch, model, x):
    """The counts of a training step, eager and compiled, of one model."""
    eager, _ = counted(watch, train_step(model, x))
    compiled_model = torch.compile(model)
    step = train_step(compiled_model, x)
    step()
    step()
    compiled, counter = counted(watch, step)
    assert not counter.compiled.doubts
    assert not counter.compiled.unseen
    return eager, compiled


QUICK = ("mlp", "checkpointed")
CASES = {
    "mlp": (mlp, rows),
    "attention": (Block, rows),
    "grouped queries": (lambda: Block(groups=2), rows),
    "convolutions": (conv_net, lambda: torch.randn(BATCH, 3, 8, 8)),
    "checkpointed": (lambda: Block(again=True), rows),
}


@pytest.mark.parametrize(
    "case",
    # Compiling C++ takes seconds, where nothing like it was compiled before.
    [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES],
)
def test_a_compiled_step_needs_what_the_eager_one_does(watch, case):
    make, data = CASES[case]
    eager, compiled = both(watch, make(), data())
    assert useful(eager) == useful(compiled) > 0
    assert all(entry.work is not None for entry in compiled.entries)
    forward, backward = totals(compiled, "forward"), totals(compiled, "backward")
    assert forward == totals(eager, "forward")
    assert backward == totals(eager, "backward")


def test_modules_are_those_of_the_eager_program(watch):
    model, x = Block(), rows()
    eager, compiled = both(watch, model, x)

    def products(work):
        return Counter(
            (entry.module, entry.phase)
            for entry in work.entries
            if entry.work and entry.work.flops
            for _ in range(entry.work.flops)
        )

    assert products(eager) == products(compiled)
    assert {"query", "pair", "proj", "mlp.0", "mlp.2", ""} == {
        entry.module for entry in compiled.entries if entry.work and entry.work.flops
    }


@pytest.mark.parametrize("in_place", [True, False])
def test_a_graph_that_several_modules_share_is_in_the_one_that_runs(watch, in_place):
    model, x = torch.nn.Sequential(mlp(), mlp()), rows()
    for place, part in enumerate(model):
        if in_place:
            part.compile()
        else:
            model[place] = torch.compile(part)
    step = train_step(model, x)
    step()
    step()
    work, _ = counted(watch, step)
    found = Counter((e.module, e.phase) for e in work.entries if e.work and e.work.flops)
    linear = {f"{block}.{layer}" for block in (0, 1) for layer in (0, 2)}
    assert {module for module, _ in found} == linear
    assert {phase for _, phase in found} == {"forward", "backward"}
    assert all(found[module, "forward"] == 1 for module in linear)


def test_recomputation_is_seen(watch):
    eager, compiled = both(watch, Block(again=True), rows())
    recomputed = totals(compiled, "recompute")[0]
    assert 0 < recomputed <= totals(compiled, "forward")[0]
    assert totals(eager, "recompute")[0] > 0


def test_fused_kernels_are_named_by_what_they_do_and_move_what_they_touch(watch):
    x = torch.randn(64, 256)
    fused = torch.compile(lambda x: functional.gelu(x + 1) * 2)
    fused(x)
    work, _ = counted(watch, lambda: fused(x))
    (kernel,) = [entry for entry in work.entries if entry.compiled]
    assert kernel.operator == "fused: add, gelu, mul"
    assert kernel.kernel.startswith("inductor::g")
    assert kernel.work.bytes_read == kernel.work.bytes_written == x.numel() * 4
    assert kernel.work.vector_flops >= 2 * x.numel()
    assert kernel.work.special == x.numel()


def fused_bytes(watch, function, *inputs):
    fused = torch.compile(function)
    fused(*inputs)
    work, _ = counted(watch, lambda: fused(*inputs))
    moved = [entry.work for entry in work.entries if entry.compiled]
    return sum(work.bytes_read for work in moved), sum(work.bytes_written for work in moved)


def written_row(cache, place, row):
    cache[place] = row * 2


def written_slice(cache, place, row):
    del place
    cache[5:6] = row * 2


def looked_up(table, place, row):
    return table[place] + row


def added_in_place(table, place, row):
    del place
    table.add_(row)


CACHE, ROW = 1024 * 64 * 4, 64 * 4
MOVED = {
    "a row by its number": (written_row, (ROW + 8, ROW)),
    "a slice": (written_slice, (ROW, ROW)),
    "a lookup": (looked_up, (2 * ROW + 8, ROW)),
    "in place": (added_in_place, (CACHE + ROW, CACHE)),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", MOVED)
def test_bytes_are_those_of_the_part_that_is_touched(watch, what):
    function, moved = MOVED[what]
    inputs = torch.zeros(1024, 64), torch.tensor([5]), torch.randn(1, 64)
    assert fused_bytes(watch, function, *inputs) == moved


def test_compiled_code_stays_compiled(watch):
    calls, x = [], rows()
    model = torch.compile(mlp(), backend=remembering(calls))
    step = train_step(model, x)
    step()
    step()
    before = len(calls), watch.compiled
    for _ in range(2):
        counted(watch, step)
    step()
    assert (len(calls), watch.compiled) == before
    assert runs_compiled(watch, step)


def test_a_plain_mode_would_not_leave_it_compiled(watch):
    x = rows()
    model = torch.compile(mlp())
    step = train_step(model, x)
    step()
    assert runs_compiled(watch, step)

    class Plain(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            del types
            return func(*args, **(kwargs or {}))

    with Plain():
        step()
    assert not runs_compiled(watch, step)


def remembering(calls):
    """The backend inductor, noting each compilation."""

    def backend(graph, inputs):
        calls.append(graph)
        return torch._inductor.compile_fx.compile_fx(graph, inputs)

    return backend


def runs_compiled(watch, step):
    """Whether a step calls compiled graphs."""
    seen = []

    def around(graph, _inputs, run):
        seen.append(graph)
        return run()

    watch.watch_calls(around)
    try:
        step()
    finally:
        watch.stop_calls()
    return bool(seen)


def test_sizes_that_change_are_those_of_the_call(watch):
    model = torch.compile(torch.nn.Linear(WIDTH, 64), dynamic=True)
    model(torch.randn(5, WIDTH))
    before = watch.compiled
    for size in (7, 11):
        x = torch.randn(size, WIDTH)
        work, _ = counted(watch, lambda x=x: model(x))
        assert totals(work)[0] == 2 * size * WIDTH * 64
        assert any(f"[{size}," in entry.shapes for entry in work.entries)
    assert watch.compiled == before


def test_code_around_a_graph_break_is_counted_too(watch):
    layer, other = torch.nn.Linear(WIDTH, WIDTH), torch.nn.Linear(WIDTH, WIDTH)

    @torch.compile
    def broken(x):
        y = layer(x)
        torch._dynamo.graph_break()
        return other(y).relu()

    def step(x):
        return broken(x) @ x.T

    x = torch.randn(8, WIDTH)
    step(x)
    work, _ = counted(watch, lambda: step(x))
    assert totals(work)[0] == 2 * 2 * 8 * WIDTH * WIDTH + 2 * 8 * 8 * WIDTH
    assert any(entry.compiled for entry in work.entries)
    assert not all(entry.compiled for entry in work.entries)


def test_a_step_in_which_something_is_compiled_is_not_counted(watch):
    model = torch.compile(mlp())
    x = rows()
    work, _ = counted(watch, lambda: model(x))
    assert work.entries == ()
    model(x)
    work, counter = counted(watch, lambda: model(x))
    assert work.entries
    torch.compile(lambda y: y + 1)(x)
    assert not counter.start()
    assert counter.start()
    counter.stop()


def test_a_product_that_is_taken_apart_is_still_one(watch):
    x, weight = torch.randn(1, 48), torch.randn(48, 1)
    product = torch.compile(lambda: x @ weight)
    product()
    work, _ = counted(watch, product)
    assert totals(work)[0] == 2 * 48


def test_an_optimizer_that_is_compiled_is_an_optimizer(watch):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=torch.tensor(0.1))
    step = torch.compile(optimizer.step)
    train_step(model, rows())()
    for _ in range(3):
        with torch.no_grad():
            step()
    counter = TorchCounter(lambda: -1, lambda: False, watch)
    assert not counter.start()
    assert counter.start()
    with torch.no_grad():
        step()
    phases = {entry.phase for entry in counter.stop().entries if entry.compiled}
    assert phases == {"optimizer"}


def test_graphs_compiled_before_anybody_looked_are_told(watch):
    watch.remove()
    model = torch.compile(mlp())
    model(rows())
    watch.install()
    work, counter = counted(watch, lambda: model(rows()))
    assert counter.compiled.unseen == 1
    assert totals(work)[0] == 2 * 2 * BATCH * TOKENS * WIDTH * 64


def caches():
    graphs = importlib.import_module("torch._inductor.codecache").FxGraphCache
    autograd = importlib.import_module("torch._functorch._aot_autograd.autograd_cache")
    return (graphs, "_lookup_graph"), (autograd.AOTAutogradCache, "_lookup")


def test_nothing_stays_behind():
    cls = torch._inductor.output_code.CompiledFxGraph
    names = ("__init__", "__call__")
    before = [getattr(cls, name) for name in names]
    lookups = [vars(cls)[name] for cls, name in caches()]
    noted = torch._inductor.debug.set_kernel_post_grad_provenance_tracing
    watch = InductorWatch()
    watch.install()
    assert [getattr(cls, name)() for cls, name in caches()] == [(None, {}), None]  # find nothing
    watch.watch_calls(lambda _graph, _inputs, run: run())
    watch.remove()
    assert [getattr(cls, name) for name in names] == before
    after = [vars(cls)[name] for cls, name in caches()]
    assert [found.__func__ for found in after] == [found.__func__ for found in lookups]
    for module in ("debug", "codegen.cpp"):
        found = vars(torch._inductor.utils.sys.modules[f"torch._inductor.{module}"])
        assert found["set_kernel_post_grad_provenance_tracing"] is noted
    assert not compile_is_used()


def test_undisturbed_steps_run_the_programs_own_code_and_nothing_else(tmp_path):
    cls = torch._inductor.output_code.CompiledFxGraph
    own = cls.__call__
    program = TorchProgram(PassOptions(steps=4, warmup=3), HostClock(), tmp_path)
    program.attach()
    program.inductor.install()
    model, x = mlp(), rows()
    step = train_step(torch.compile(model), x)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    seen = {}
    for _ in range(40):
        step()
        optimizer.step()
        kernels = [
            type(graph.scope[kernel.name])
            for graph in program.inductor.living()
            for kernel in graph.kernels
            if kernel.name in graph.scope
        ]
        untouched = cls.__call__ is own and all(kind is not FunctionType for kind in kernels)
        seen.setdefault(program._passes.state, set()).add(untouched)
    measured = program.finish()
    assert measured.results.profiled
    assert measured.results.work.entries
    assert measured.warnings == ()
    assert seen[State.WALL] == seen[State.DONE] == {True}
    assert seen[State.COUNT] == seen[State.PROFILE] == {False}  # so that this test could fail
    assert cls.__call__ is own


@pytest.mark.parametrize("in_place", [True, False])
def test_inference_is_compiled_once_as_without_goodput(tmp_path, in_place):
    program = TorchProgram(PassOptions(steps=3, warmup=3), HostClock(), tmp_path)
    program.attach()
    program.inductor.install()
    model, x = Whole().eval(), rows()
    compiled = model if in_place else torch.compile(model)
    if in_place:
        model.compile()
    with torch.inference_mode():
        for _ in range(35):
            compiled(x)
    measured = program.finish()
    assert measured.kind == "inference"
    assert measured.warnings == ()  # none of a recompilation
    assert measured.results.profiled
    assert totals(measured.results.work)[0] == 2 * 2 * BATCH * TOKENS * WIDTH * 64
    assert any(entry.compiled for entry in measured.results.work.entries)


def attended(watch, attend, *inputs):
    attend = torch.compile(attend)
    attend(*inputs)
    work, counter = counted(watch, lambda: attend(*inputs))
    return totals(work), counter.compiled.told()


@pytest.mark.parametrize("made_inside", [True, False])
def test_a_mask_in_compiled_attention_closes_the_pairs_that_it_closes(watch, made_inside):
    query = torch.randn(1, HEADS, TOKENS, 8)
    triangle = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()
    lengths = torch.tensor([TOKENS - 3])

    def attend(q, m, n):
        if made_inside:
            m = m & (torch.arange(q.shape[-2]) < n[:, None])[:, None, None]
        return functional.scaled_dot_product_attention(q, q, q, attn_mask=m)

    found, told = attended(watch, attend, query, triangle, lengths)
    open_pairs = int(triangle.sum()) - (6 if made_inside else 0)  # of the last three keys
    per_pair = 2 * 2 * HEADS * 8
    assert found == (per_pair * open_pairs, per_pair * TOKENS * TOKENS)
    assert told == ()


class Dropping(torch.nn.Module):
    """Attention that no kernel on a CPU computes, so that it is taken apart."""

    def __init__(self):
        super().__init__()
        self.pair = torch.nn.Linear(WIDTH, 2 * WIDTH)

    def forward(self, x, mask=None):
        def heads(y):
            return y.unflatten(-1, (HEADS, -1)).transpose(1, 2)

        key, value = map(heads, self.pair(x).chunk(2, -1))
        return functional.scaled_dot_product_attention(
            heads(x), key, value, attn_mask=mask, dropout_p=0.1, is_causal=mask is None
        )


@pytest.mark.slow
@pytest.mark.parametrize("masked", [True, False])
def test_attention_that_is_taken_apart_needs_its_open_pairs_forward_and_backward(watch, masked):
    lengths = torch.tensor([TOKENS, TOKENS - 5])
    mask = (torch.arange(TOKENS) < lengths[:, None])[:, None, None] if masked else None
    model, x = Dropping(), rows().requires_grad_()
    eager, _ = counted(watch, lambda: model(x, mask).square().mean().backward())
    compiled = torch.compile(model)

    def step():
        compiled(x, mask).square().mean().backward()

    step()
    step()
    found, counter = counted(watch, step)
    for phase in ("forward", "backward"):
        assert totals(found, phase) == totals(eager, phase)
        assert totals(found, phase)[0] < totals(found, phase)[1]  # pairs are closed
    assert counter.compiled.told() == ()


@pytest.mark.parametrize("kind", [mlp, pytest.param(Block, marks=pytest.mark.slow)])
def test_padded_tokens_are_told_in_compiled_code_too(watch, kind):
    model, lengths = kind(), ((TOKENS, TOKENS), (TOKENS - 5, TOKENS), (3, TOKENS - 5))
    masks = [torch.arange(TOKENS) < torch.tensor(each)[:, None] for each in lengths]

    def step(called):
        # Equal shapes, but padding of their own: forward all, then backward all.
        losses = []
        for mask in masks:
            goodput.useful_tokens(mask)
            losses.append(called(rows()).square().mean())
        sum(losses).backward()

    def sums(work):
        told = sum(entry.told_flops for entry in work.entries)
        return totals(work, "forward"), totals(work, "backward"), told

    compiled = torch.compile(model)
    with listening():
        eager, _ = counted(watch, lambda: step(model))
        step(compiled)
        found, counter = counted(watch, lambda: step(compiled))
    assert sums(found) == sums(eager)
    assert sums(found)[2] > 0
    assert found.told == eager.told
    assert counter.compiled.told() == ()


def test_a_mask_that_hangs_on_a_product_is_told_and_counted_dense(watch):
    query, weight = torch.randn(1, HEADS, TOKENS, 8), torch.randn(8, TOKENS)

    def attend(q, w):
        return functional.scaled_dot_product_attention(q, q, q, attn_mask=(q @ w) > 0)

    (useful_flops, dense), (told,) = attended(watch, attend, query, weight)
    products = 2 * HEADS * TOKENS * TOKENS * 8
    assert useful_flops == dense == 3 * products
    assert "mask" in told
