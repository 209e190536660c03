"""What torch.compile did, told in sentences."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from goodput.frontends.torch_compile_events import CompileEvents  # noqa: E402
from goodput.frontends.torch_roots import RootCalls  # noqa: E402


@pytest.fixture(autouse=True)
def forgotten_compilers(monkeypatch):
    torch._dynamo.reset()
    monkeypatch.setattr(torch._dynamo.eval_frame, "cached_backends", {})
    yield
    torch._dynamo.reset()


def test_a_program_without_compiled_code_has_nothing_to_tell():
    events = CompileEvents()
    torch.ones(2).add(1)
    assert events.told() == ()


def test_graph_breaks_are_told_with_their_cause_and_place():
    events = CompileEvents()

    @torch.compile(backend="eager")
    def broken(x):
        y = x + 1
        torch._dynamo.graph_break()
        return y * 2 if y.sum() > 0 else y

    broken(torch.ones(3))
    (told,) = events.told()
    assert told.startswith("torch.compile broke the graph at 2 places")
    assert "User-inserted graph break (test_torch_compile_events.py:" in told
    assert "a branch depends on a tensor's value (test_torch_compile_events.py:" in told
    assert CompileEvents().told() == ()  # not of what happened before


def test_recompilations_are_told_with_what_had_changed():
    events = CompileEvents()

    @torch.compile(backend="eager", dynamic=False)
    def scaled(x, factor):
        return x * factor

    scaled(torch.ones(3), 2)
    scaled(torch.ones(5), 2)
    scaled(torch.ones(5), 3)
    (told,) = events.told()
    assert told.startswith("code was compiled again 2 times")
    assert "scaled (test_torch_compile_events.py:" in told
    assert "size mismatch at index 0. expected 3, actual 5" in told
    assert "factor == 2 no longer held" in told


def test_many_causes_are_cut_short():
    events = CompileEvents()

    @torch.compile(backend="eager", dynamic=False)
    def longer(x):
        return x + 1

    for size in range(3, 10):
        longer(torch.ones(size))
    (told,) = events.told()
    assert "6 times" in told
    assert told.endswith("and 2 more")


class Doubled(torch.nn.Module):
    def forward(self, x):
        return x * 2


def test_a_module_that_is_compiled_through_our_wrapper_is_told_without_it():
    events = CompileEvents()
    roots = RootCalls(lambda *_: None, lambda: None)
    roots._wrap(Doubled)
    try:
        compiled = torch.compile(Doubled(), backend="eager", dynamic=False)
        for rows in (2, 3):
            compiled(torch.ones(rows, 4))
    finally:
        roots.remove()
    (told,) = events.told()
    assert "torch_roots" not in told
    assert "a module's call because tensor 'args[0]' size mismatch at index 0" in told
