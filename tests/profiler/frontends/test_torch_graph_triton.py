"""Triton kernels in compiled graphs: inductor makes none for a CPU, so graphs are counted alone."""

from types import SimpleNamespace

import pytest

triton = pytest.importorskip("triton", reason="Triton is not installed (Linux only)")
torch = pytest.importorskip("torch", reason="the graphs are torch's")

import triton.language as tl  # noqa: E402 - skips
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402 - the same
from torch.library import wrap_triton  # noqa: E402 - the same

from goodput.frontends.torch_counter import WorkCounter  # noqa: E402 - the same
from goodput.frontends.torch_graph_attention import AttentionParts  # noqa: E402 - the same
from goodput.frontends.torch_graph_bodies import with_launched  # noqa: E402 - the same
from goodput.frontends.torch_graph_count import GraphCount  # noqa: E402 - the same
from goodput.frontends.torch_graph_nodes import Sizes  # noqa: E402 - the same
from goodput.frontends.torch_inductor import CompiledGraph, Kernel  # noqa: E402 - the same
from goodput.frontends.torch_places import Surroundings  # noqa: E402 - the same
from goodput.trace.recording import WorkEntry  # noqa: E402 - the same
from goodput.trace.table import Phase  # noqa: E402 - the same
from goodput.work import Work  # noqa: E402 - the same


def say(_grid, _metadata, args):
    return {"flops32": 2 * args["size"], "bytes": 8 * args["size"]}


@triton.jit(launch_metadata=say)
def doubling_kernel(x, y, size, block: tl.constexpr):
    at = tl.program_id(0) * block + tl.arange(0, block)
    tl.store(y + at, tl.load(x + at, mask=at < size) * 2.0 + 1.0, mask=at < size)


configurations = [triton.Config({"block": block}, num_warps=2) for block in (64, 256)]
tuned_kernel = triton.autotune(configurations, key=["size"])(triton.jit(doubling_kernel.fn))


def doubled(x):
    result = torch.empty_like(x)
    size = x.numel()
    wrap_triton(doubling_kernel)[(triton.cdiv(size, 128),)](x, result, size, block=128)
    return result


def tuned(x):
    result = torch.empty_like(x)
    size = x.numel()
    wrap_triton(tuned_kernel)[lambda meta: (triton.cdiv(size, meta["block"]),)](x, result, size)
    return result


def count(function, elements, *, kernel="doubling_kernel_0", scope=None, traced_with=200):
    """Counts the graph of a function, traced with symbols for sizes, in a call with `elements`."""
    nodes = tuple(make_fx(function, tracing_mode="symbolic")(torch.ones(traced_with)).graph.nodes)
    (launch,) = [node for node in nodes if "triton_kernel_wrapper" in str(node.target)]
    kernels = (Kernel(kernel, (launch,)),)
    graph = CompiledGraph(0, kernels, nodes, is_backward=False, scope=scope or {})
    inputs = [torch.ones(elements)]
    counter = WorkCounter(Surroundings(lambda: "", lambda: None))
    sizes = Sizes(nodes, inputs)
    module = lambda _: "layer"  # noqa: E731 - one line
    one = GraphCount(graph, sizes, inputs, counter, module, Phase.FORWARD, AttentionParts())
    (found,) = [entry for _, entry in one.entries()]
    return found, one.doubts


def test_a_kernel_is_counted_by_its_ttir_with_the_sizes_of_the_call():
    for elements in (200, 1000):
        found, doubts = count(doubled, elements)
        tiles = -(-elements // 128) * 128
        assert found.operator == "triton::doubling_kernel"
        assert found.kernel == "doubling_kernel_0"
        assert found.work.vector_flops == 2 * tiles
        assert found.work.bytes_read == found.work.bytes_written == 4 * elements
        assert (found.stated_flops, found.stated_bytes) == (2 * elements, 8 * elements)
        assert found.module == "layer"
        assert found.compiled
        assert [doubt for doubt in doubts if "says" not in doubt] == []


def test_a_tuned_kernel_is_counted_as_inductor_launches_it_or_by_its_first_configuration():
    found, doubts = count(tuned, 1000)
    assert found.work.vector_flops == 2 * 1024
    assert any("first of its 2 configurations" in doubt for doubt in doubts)
    chosen = SimpleNamespace(kwargs={"block": 256}, num_warps=2)
    launcher = SimpleNamespace(launchers=[SimpleNamespace(config=chosen)])
    found, doubts = count(tuned, 1100, scope={"doubling_kernel_0": launcher})
    assert found.work.vector_flops == 2 * 5 * 256
    assert doubts == []


def test_kernels_that_an_operator_of_the_program_s_own_launches_are_counted():
    def entry(operator, work=None):
        return WorkEntry(operator, "forward", "", "", "", work)

    product, kernel = entry("aten::mm", Work(flops=8)), entry("triton::scale", Work(vector_flops=3))
    known = [product, entry("mine::scaled"), entry("mine::odd")]
    # The dispatcher saw the kernel in the place of the operator; of the other only its name.
    seen = [product, kernel, entry("mine::odd")]
    assert with_launched(known, seen) == [product, entry("mine::odd"), kernel]
    assert with_launched(known, [product]) == known
