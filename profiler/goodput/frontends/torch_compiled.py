"""Counts what compiled code does: each kernel of each graph that runs, by the graph's nodes.

The counted step runs the compiled code as it is; nothing of it is traced or executed for counting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch.fx import Node

from goodput.errors import typed_line
from goodput.frontends.torch_counter import WorkCounter
from goodput.frontends.torch_graph_attention import AttentionParts
from goodput.frontends.torch_graph_bodies import (
    as_often,
    counted_bodies,
    with_launched,
    with_measured,
    with_missing,
)
from goodput.frontends.torch_graph_count import WRITTEN_IN_CPP, GraphCount, mark_of
from goodput.frontends.torch_graph_nodes import Sizes, module_of
from goodput.frontends.torch_inductor import CompiledGraph, InductorWatch
from goodput.frontends.torch_private import no_modes, range_of
from goodput.trace.recording import WorkEntry

_AGREE = 1e-3


class CompiledCounter:
    """Puts the kernels of compiled graphs into the counted step, and marks them in profiled ones.

    Args:
        watch: knows the compiled graphs.
        names: the name of a living module by its id.

    Attributes:
        unseen: calls, in the counted step, of graphs whose compilation was not seen.
        doubts: sentences for the report.
    """

    def __init__(self, watch: InductorWatch, names: Callable[[int], str | None]) -> None:
        self._watch = watch
        self._names = names
        self._known: dict[Any, list[tuple[str, WorkEntry]]] = {}
        self._marked: list[tuple[dict[str, Any], str, Any]] = []
        self._counter: WorkCounter | None = None
        self._attention = AttentionParts()
        self.unseen = 0
        self.doubts: dict[str, None] = {}

    def start(self, counter: WorkCounter) -> None:
        """From now on calls of compiled graphs are counted into `counter`."""
        self._known.clear()
        self._attention = AttentionParts()
        self._counter = counter
        self.unseen = 0
        if self._watch.installed:
            self._watch.watch_calls(partial(self._called, counter))

    def stop(self) -> None:
        """Ends counting."""
        self._watch.stop_calls()

    def told(self) -> tuple[str, ...]:
        """Sentences for the report on what was counted."""
        unseen = (
            f"{self.unseen} calls a step are of compiled graphs that were compiled before goodput "
            "looked, or that the program loaded from a file: their fused kernels are not counted"
        )
        masked = (
            "attention in compiled code has a mask that cannot be worked out from what its graph "
            "is called with: every pair is counted as useful even where the mask closes it"
        )
        unread = self._counter is not None and self._counter.unread_masks
        unread = unread or self._attention.unread
        return (
            *self.doubts,
            *((unseen,) if self.unseen else ()),
            *((masked,) if unread else ()),
        )

    def mark(self) -> None:
        """From now on each kernel that inductor wrote in C++ shows in a profile by its name.

        Kernels in Triton show by themselves, and a library's as the operators that they are.
        """
        for graph in self._watch.living():
            for name in {kernel.name for kernel in graph.kernels}:
                original = graph.scope.get(name)
                if name.startswith(WRITTEN_IN_CPP) and callable(original):
                    graph.scope[name] = _shown(original, mark_of(graph, name))
                    self._marked.append((graph.scope, name, original))

    def unmark(self) -> None:
        """Kernels are called as they were."""
        for scope, name, original in self._marked:
            scope[name] = original
        self._marked = []

    def _called(
        self,
        counter: WorkCounter,
        graph: CompiledGraph | None,
        inputs: Sequence[Any],
        run: Callable[[], Any],
    ) -> Any:
        """Runs a compiled graph; what the counter sees inside of it is only held against ours."""
        if not counter.is_counting:
            return run()
        if graph is None:
            self.unseen += 1
            return run()
        found: list[tuple[str, WorkEntry]] = []
        try:
            with no_modes():
                found = self._entries(graph, inputs, counter)
        except Exception as error:  # noqa: BLE001 - a formula may be the user's own code
            counter.failure = f"counting a compiled graph failed: {typed_line(error)}"
        with counter.set_aside() as seen, counted_bodies(graph) as trips:
            result = run()
        entries, hidden = as_often(found, trips)
        if hidden:
            self.doubts[hidden] = None
        entries = with_launched(with_missing(with_measured(entries, seen), seen), seen)
        counter.add(entries)
        self._compare(entries, seen)
        return result

    def _entries(
        self, graph: CompiledGraph, inputs: Sequence[Any], counter: WorkCounter
    ) -> list[tuple[str, WorkEntry]]:
        sizes = Sizes(graph.nodes, inputs)
        phase, base = counter.place()
        reading = counter.reading()
        key = graph.number, sizes.key, phase, base, reading
        found = self._known.get(key)
        if found is None:
            module = partial(self._module, base)
            one = GraphCount(graph, sizes, inputs, counter, module, phase, self._attention, reading)
            found = one.entries()
            self.doubts.update(dict.fromkeys(one.doubts))
            if not one.depends_on_values:
                self._known[key] = found
        return found

    def _module(self, base: str, node: Node) -> str:
        return module_of(node, self._names, base)

    def _compare(self, entries: list[WorkEntry], seen: list[WorkEntry]) -> None:
        """The graph and the dispatcher both saw the library's kernels: do they agree?"""
        for operator in {entry.operator for entry in seen if entry.work is not None}:
            dispatched = sum(e.work.dense_flops for e in seen if e.operator == operator and e.work)
            graph = sum(
                e.work.dense_flops
                for e in entries
                if (e.kernel or e.operator) == operator and e.work
            )
            if dispatched and abs(dispatched - graph) > _AGREE * max(dispatched, graph):
                self.doubts[
                    f"{operator} in compiled code: its graph says {graph} FLOP where the operators "
                    f"that ran say {dispatched}"
                ] = None


def _shown(kernel: Callable[..., Any], name: str) -> Callable[..., Any]:
    def shown(*args: Any) -> Any:
        with range_of(name):
            return kernel(*args)

    return shown
