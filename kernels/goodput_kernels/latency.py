"""The shortest calls: nothing but launching and dispatching takes time.

On a device also a kernel that does nothing: on a stream, as a node of a graph, and waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from goodput_kernels.candidate import Candidate
from goodput_kernels.verification import Kernel, verify

OPERATORS = ("zero_", "neg_")

NODES = 100
"""Nodes of a graph: enough that launching it is a small part of what a node takes."""


def candidates(device: str = "cpu") -> tuple[Candidate, ...]:
    """Each of `OPERATORS` on one float32 value."""
    return tuple(
        _calls(f"{name} of one value", partial(_operator, name, device)) for name in OPERATORS
    )


def eager_candidates(device: str = "cpu") -> tuple[Candidate, ...]:
    """An ordinary operator on one value, which allocates its result."""
    return (_calls("add of one value, allocating", partial(_eager, device)),)


def stream_candidates(device: str = "cpu") -> tuple[Candidate, ...]:
    """An empty kernel on a stream, back to back; none on a CPU."""
    if device == "cpu":
        return ()
    return (_unchecked("empty kernel", _empty),)


def graph_candidates(device: str = "cpu", nodes: int = NODES) -> tuple[Candidate, ...]:
    """A graph of `nodes` kernels replayed, each node a call: empty ones, and ones that add 1."""
    if device == "cpu":
        return ()
    adding = partial(_adding_graph, device, nodes)
    return (
        _unchecked(f"graph of {nodes} empty kernels", partial(_empty_graph, nodes), nodes),
        _calls(f"graph of {nodes} add_ of one value", adding, nodes),
    )


def round_trip_candidates(device: str = "cpu") -> tuple[Candidate, ...]:
    """An empty kernel launched and waited for by the host; none on a CPU."""
    if device == "cpu":
        return ()
    return (_unchecked("empty kernel, synchronised", _round_trip),)


def _calls(name: str, make: Callable[[], Kernel], calls: int = 1) -> Candidate:
    return Candidate(
        name=name,
        library="torch",
        unit="calls",
        amount=calls,
        prepare=lambda: make().call,
        working_set_bytes=4,
        verify=lambda: verify(make(), "values"),
    )


def _unchecked(name: str, prepare: Callable[[], Callable[[], object]], calls: int = 1) -> Candidate:
    return Candidate(name=name, library="torch", unit="calls", amount=calls, prepare=prepare)


def _operator(name: str, device: str) -> Kernel:
    import torch

    value = torch.ones(1, device=device)
    factor = {"zero_": 0, "neg_": -1}[name]
    return Kernel(getattr(value, name), 1, lambda _: factor * value.double(), limit=0.0)


def _eager(device: str) -> Kernel:
    import torch

    value = torch.ones(1, device=device)
    return Kernel(
        partial(torch.add, value, value),
        1,
        lambda _: 2 * value.double(),
        limit=0.0,
        allocates=((1,), value.dtype, device),
    )


def _empty() -> Callable[[], object]:
    import torch

    # torch's spinning kernel, one thread that spins for no cycles at all
    return partial(torch.cuda._sleep, 0)  # noqa: SLF001 - torch has no public empty kernel


def _round_trip() -> Callable[[], object]:
    import torch

    launch = _empty()

    def round_trip() -> object:
        launch()
        torch.cuda.synchronize()
        return None

    return round_trip


def _empty_graph(nodes: int) -> Callable[[], object]:
    return _graph(_empty(), nodes)


def _adding_graph(device: str, nodes: int) -> Kernel:
    import torch

    value = torch.ones(1, device=device)
    replay = _graph(partial(value.add_, 1), nodes)

    def call() -> object:
        replay()
        return value

    return Kernel(call, 1, lambda _: value.double() + nodes, limit=0.0)


def _graph(launch: Callable[[], object], nodes: int) -> Callable[[], object]:
    """The replay of a graph of `nodes` launches, one after another."""
    import torch

    launch()  # what is compiled or loaded at the first launch cannot be captured
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(nodes):
            launch()
    return graph.replay
