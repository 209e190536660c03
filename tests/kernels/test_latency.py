"""The shortest calls; on a CPU none of those that need a device."""

import pytest

from goodput_kernels import latency

torch = pytest.importorskip("torch", reason="kernels run through torch")


@pytest.mark.parametrize("candidate", latency.candidates() + latency.eager_candidates())
def test_the_shortest_operators_are_right(candidate):
    assert candidate.prepare()().numel() == 1
    assert candidate.verify().passed
    assert (candidate.unit, candidate.amount) == ("calls", 1)


def test_an_operator_that_does_nothing_fails(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "neg_", lambda self: self)
    zero, negate = latency.candidates()
    assert zero.verify().passed
    assert not negate.verify().passed


@pytest.mark.parametrize(
    "candidates",
    [latency.stream_candidates, latency.graph_candidates, latency.round_trip_candidates],
)
def test_a_device_has_what_a_cpu_has_not(candidates):
    assert candidates() == ()
    assert all(candidate.unit == "calls" for candidate in candidates("cuda"))


def test_a_graph_counts_its_nodes():
    assert {c.amount for c in latency.graph_candidates("cuda", nodes=20)} == {20}


class Graph:
    """Stands for a CUDA graph: what is launched while it captures is run by each replay."""

    def __init__(self):
        self.launches = []

    def replay(self):
        for launch in self.launches:
            launch()


def test_a_graph_of_kernels_runs_each_node_once_a_replay(monkeypatch):
    launched = []
    graph = Graph()

    class Capture:
        def __init__(self, captured):
            self.captured = captured

        def __enter__(self):
            launched.clear()

        def __exit__(self, *_):
            self.captured.launches = [lambda: launched.append("replayed")] * len(launched)
            launched.clear()

    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: graph)
    monkeypatch.setattr(torch.cuda, "graph", Capture)
    monkeypatch.setattr(torch.cuda, "_sleep", launched.append, raising=False)
    replay = latency.graph_candidates("cuda", nodes=7)[0].prepare()
    assert launched == []
    replay()
    assert launched == ["replayed"] * 7


@pytest.mark.gpu
def test_calls_on_a_device():
    for candidates in (
        latency.candidates,
        latency.eager_candidates,
        latency.stream_candidates,
        latency.graph_candidates,
        latency.round_trip_candidates,
    ):
        for candidate in candidates("cuda"):
            candidate.prepare()()
            assert candidate.verify is None or candidate.verify().passed
