"""Operators of compiled code that take functions, and Triton kernels that torch was told of."""

from __future__ import annotations

import importlib
import shutil
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
if shutil.which("g++") is None and shutil.which("clang++") is None:
    pytest.skip("inductor needs a C++ compiler", allow_module_level=True)

importlib.import_module("torch._inductor.compile_fx")
from torch._higher_order_ops.while_loop import while_loop  # noqa: E402 - after the skip
from torch.nn.attention.flex_attention import create_block_mask, flex_attention  # noqa: E402

from goodput.frontends.torch_graph_bodies import (  # noqa: E402
    as_often,
    counted_bodies,
    with_measured,
    with_missing,
)
from goodput.frontends.torch_inductor import CompiledGraph, InductorWatch  # noqa: E402
from goodput.frontends.torch_passes import TorchCounter  # noqa: E402
from goodput.trace.recording import WorkEntry  # noqa: E402
from goodput.work import Work  # noqa: E402

ROWS, WIDTH = 8, 64
PRODUCT = 2 * ROWS * WIDTH * WIDTH


@pytest.fixture(autouse=True)
def forgotten_compilers(monkeypatch):
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


def counted(watch, step):
    """What one call of `step` is counted as, and what is told of it."""
    step()
    counter = TorchCounter(lambda: None, lambda: False, watch)
    assert counter.start() or counter.start()
    step()
    work = counter.stop()
    assert not work.failure
    return work, counter.compiled.told()


def flops(work):
    return sum(entry.work.flops for entry in work.entries if entry.work)


@pytest.mark.parametrize("trips", [0, 1, 7])
def test_a_loop_is_counted_as_often_as_it_ran(watch, trips):
    weight = torch.randn(WIDTH, WIDTH)

    def repeated(x, times):
        def goes_on(i, _):
            return i < times

        def body(i, y):
            return i + 1, y @ weight

        return while_loop(goes_on, body, (torch.zeros((), dtype=torch.int64), x))[1]

    compiled, x = torch.compile(repeated), torch.randn(ROWS, WIDTH)
    compiled(x, torch.tensor(3))  # another number of trips than is counted
    work, told = counted(watch, lambda: compiled(x, torch.tensor(trips)))
    assert flops(work) == trips * PRODUCT
    assert sum(entry.operator == "aten::mm" for entry in work.entries) == trips
    assert told == ()


@pytest.mark.parametrize("taken", [True, False])
def test_only_the_branch_that_is_taken_counts(watch, taken):
    weight = torch.randn(WIDTH, WIDTH)

    def branching(x, chosen):
        return torch.cond(chosen, lambda y: y @ weight, lambda y: (y @ weight) @ weight, (x,))

    compiled, x = torch.compile(branching), torch.randn(ROWS, WIDTH)
    compiled(x, torch.tensor(not taken))
    work, told = counted(watch, lambda: compiled(x, torch.tensor(taken)))
    assert flops(work) == (1 if taken else 2) * PRODUCT
    assert told == ()


@pytest.mark.slow
def test_attention_by_a_mask_function_needs_its_open_pairs(watch):
    heads, tokens, width = 2, 256, 32
    documents = torch.arange(tokens) // 100

    def is_open(_batch, _head, query, key):
        return (documents[query] == documents[key]) & (query >= key)

    mask = create_block_mask(is_open, None, None, tokens, tokens, device="cpu", BLOCK_SIZE=64)
    compiled = torch.compile(lambda q, m: flex_attention(q, q, q, block_mask=m))
    query = torch.randn(1, heads, tokens, width)
    work, told = counted(watch, lambda: compiled(query, mask))
    pairs = heads * sum(n * (n + 1) // 2 for n in (100, 100, 56))
    (entry,) = [e for e in work.entries if e.work and e.work.flops]
    assert entry.operator == "higher_order::flex_attention"
    assert entry.work.flops == 4 * width * pairs
    blocks = heads * int((mask.kv_num_blocks + mask.full_kv_num_blocks).sum())
    assert entry.work.executed_flops == 4 * width * blocks * 64 * 64
    assert entry.work.dense_flops == 4 * width * heads * tokens**2
    assert told == ()


def entry(name, flops=10):
    return WorkEntry(name, "forward", "", "", "", Work(flops=flops))


def test_what_does_not_run_by_its_name_is_not_counted_and_told():
    found = [("", entry("aten::mm")), ("body", entry("aten::bmm"))]
    entries, told = as_often(found, {"body": 2})
    assert [e.operator for e in entries] == ["aten::mm", "aten::bmm", "aten::bmm"]
    assert told == ""
    for trips in ({}, {"body": 0}):  # inlined; replayed by a CUDA graph
        entries, told = as_often(found, trips)
        assert [e.work and e.work.flops for e in entries] == [10, None]
        assert "body" in told


def test_bodies_are_the_compiled_code_s_own_again_even_after_an_error():
    def body(items):
        return items

    bodies = {"body": (), "inlined": ()}
    graph = CompiledGraph(0, (), (), is_backward=False, scope={"body": body}, bodies=bodies)
    seen = []

    def interrupted():
        with counted_bodies(graph) as trips:
            seen.append(trips)
            assert graph.scope["body"]([1]) == [1]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert seen == [{"body": 1}]
    assert graph.scope == {"body": body}


def test_sizes_that_depend_on_data_are_those_of_the_run():
    unknown, product = replace(entry("aten::mm"), work=None), entry("aten::mm")
    measured = replace(entry("aten::mm", flops=6), shapes="f32[3,1] f32[1,1]")
    found = with_measured([product, unknown], [product, measured])
    assert found == [product, measured]
    assert with_measured([product, unknown], [measured]) == [product, unknown]  # which is it?
    assert with_measured([replace(unknown, operator="mine::odd")], []) != []


def test_a_product_that_ran_and_that_no_graph_knows_is_counted():
    product, packed = entry("aten::mm"), entry("mkl::_mkl_linear")
    moved = replace(entry("aten::copy_"), work=Work(bytes_read=4))
    assert with_missing([product], [product, packed, moved]) == [product, packed]
    renamed = replace(entry("aten::addmm"), kernel="mkl::_mkl_linear")
    assert with_missing([renamed], [packed]) == [renamed]


@pytest.mark.slow
def test_weights_that_are_folded_into_constants_still_multiply(watch):
    layer = torch.nn.Linear(WIDTH, WIDTH).eval()
    with torch.no_grad(), torch._inductor.config.patch(freezing=True):
        compiled, x = torch.compile(layer), torch.randn(ROWS, WIDTH)
        compiled(x)
        work, told = counted(watch, lambda: compiled(x))
    assert flops(work) == PRODUCT
    assert told == ()


@pytest.mark.slow
def test_rows_that_a_mask_picks_are_counted_as_they_are(watch, monkeypatch):
    monkeypatch.setattr(torch._dynamo.config, "capture_dynamic_output_shape_ops", True)
    weight = torch.randn(WIDTH, WIDTH)
    compiled = torch.compile(lambda x, chosen: x[chosen] @ weight)
    x, chosen = torch.randn(ROWS, WIDTH), torch.arange(ROWS) % 2 == 0
    compiled(x, chosen)
    work, _ = counted(watch, lambda: compiled(x, torch.arange(ROWS) < 3))
    assert flops(work) == 3 * PRODUCT // ROWS
