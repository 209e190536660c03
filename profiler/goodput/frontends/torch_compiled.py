"""Counts what compiled code does: each kernel of each graph that runs, by the graph's nodes.

The counted step runs the compiled code as it is; nothing of it is traced or executed for counting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch.fx import Node

from goodput.errors import typed_line
from goodput.formulas.fusion import fused_name, fused_work, module_around
from goodput.formulas.modes import mode_of
from goodput.frontends.torch_calls import dtype_name
from goodput.frontends.torch_counter import WorkCounter
from goodput.frontends.torch_graph_nodes import (
    NodeCall,
    Sizes,
    UnknownSizeError,
    call_of,
    hidden_operator,
    is_taken_apart,
    module_of,
    operator_of,
    recomputes,
    written_as,
)
from goodput.frontends.torch_inductor import Buffer, CompiledGraph, InductorWatch, Kernel
from goodput.frontends.torch_private import no_modes, range_of
from goodput.trace.recording import WorkEntry
from goodput.trace.table import Phase
from goodput.trace.words import shapes_text
from goodput.work import Argument, Call, TensorSpec, Work

_WRITTEN_IN_CPP = "cpp_"
# Where a reshape needs a copy, the kernels around it make that copy.
_NO_KERNEL = frozenset({"aten::reshape"})
_SHAPES_TOLD = 6
_AGREE = 1e-3


@dataclass(frozen=True, slots=True)
class _Part:
    """A node of a kernel, counted."""

    node: Node
    entry: WorkEntry


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
        self._known: dict[Any, list[WorkEntry]] = {}
        self._marked: list[tuple[dict[str, Any], str, Any]] = []
        self._counter: WorkCounter | None = None
        self.unseen = 0
        self.doubts: dict[str, None] = {}

    def start(self, counter: WorkCounter) -> None:
        """From now on calls of compiled graphs are counted into `counter`."""
        self._known.clear()
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
            "looked, or that came out of a cache which the program turned on: their fused kernels "
            "are not counted"
        )
        masked = (
            "attention in compiled code has a mask whose values its graph does not hold: every "
            "pair is counted as useful even where the mask closes it"
        )
        unread = self._counter is not None and self._counter.unread_masks
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
                if name.startswith(_WRITTEN_IN_CPP) and callable(original):
                    graph.scope[name] = _shown(original, _mark_of(graph, name))
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
        entries: list[WorkEntry] = []
        try:
            with no_modes():
                entries = self._entries(graph, inputs, counter)
        except Exception as error:  # noqa: BLE001 - a formula may be the user's own code
            counter.failure = f"counting a compiled graph failed: {typed_line(error)}"
        with counter.set_aside() as seen:
            result = run()
        counter.add(entries)
        self._compare(entries, seen)
        return result

    def _entries(
        self, graph: CompiledGraph, inputs: Sequence[Any], counter: WorkCounter
    ) -> list[WorkEntry]:
        sizes = Sizes(graph.nodes, inputs)
        phase, base = counter.place()
        key = graph.number, sizes.key, phase, base
        if key not in self._known:
            one = _GraphCount(graph, sizes, counter, partial(self._module, base), phase)
            self._known[key] = one.entries()
            self.doubts.update(dict.fromkeys(one.doubts))
        return self._known[key]

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


def _telling(parts: Sequence[_Part]) -> list[str]:
    """The operators of a kernel that do something, as the program wrote them."""
    doing = [part for part in parts if part.entry.work != Work()]
    return [written_as(part.node) for part in doing or parts]


def _phase_of(phases: Iterable[Phase]) -> Phase:
    """The phase of a kernel with parts of several: recomputed parts serve the backward ones."""
    found = set(phases)
    if found == {Phase.RECOMPUTE, Phase.BACKWARD}:
        return Phase.BACKWARD
    return found.pop() if len(found) == 1 else Phase.OTHER


def _mark_of(graph: CompiledGraph, name: str) -> str:
    """How a kernel in C++ is named in a profile: each graph has kernels of its own."""
    return f"inductor::g{graph.number}_{name}"


def _shown(kernel: Callable[..., Any], name: str) -> Callable[..., Any]:
    def shown(*args: Any) -> Any:
        with range_of(name):
            return kernel(*args)

    return shown


class _GraphCount:
    """Counts one graph with one set of sizes."""

    def __init__(
        self,
        graph: CompiledGraph,
        sizes: Sizes,
        counter: WorkCounter,
        module: Callable[[Node], str],
        phase: Phase,
    ) -> None:
        self._graph = graph
        self._sizes = sizes
        self._counter = counter
        self._module = module
        self._phase = phase
        self._place = {node: place for place, node in enumerate(graph.nodes)}
        self._owned: set[Node] = set()
        self._called: set[Node] = set()
        self._unknown: dict[str, None] = {}
        self.doubts: list[str] = []

    def entries(self) -> list[WorkEntry]:
        """One entry for each kernel call, in order, then what no kernel stands for."""
        self._called = {
            node
            for kernel in self._graph.kernels
            if kernel.operator and (node := self._node_of(kernel)) is not None
        }
        found = [self._kernel(kernel) for kernel in self._graph.kernels]
        entries = [entry for entry in found if entry is not None] + list(self._left())
        if self._unknown:
            self.doubts.append(
                f"compiled kernels hold {', '.join(self._unknown)}, which have no formula: what "
                "those compute is not counted"
            )
        return entries

    def _kernel(self, kernel: Kernel) -> WorkEntry | None:
        if kernel.operator:
            return self._library_call(kernel)
        nodes = [node for node in self._sorted(kernel.nodes) if node not in self._called]
        parts = [part for node in nodes if (part := self._part(node)) is not None]
        self._owned.update(nodes)
        return self._fused(kernel, parts)

    def _library_call(self, kernel: Kernel) -> WorkEntry | None:
        node = self._node_of(kernel)
        part = None if node is None else self._part(node)
        if node is None or part is None:
            return None
        self._owned.add(node)
        other = kernel.operator if kernel.operator != part.entry.operator else ""
        return replace(part.entry, kernel=other)

    def _node_of(self, kernel: Kernel) -> Node | None:
        """The node that a library's kernel computes, among those that only prepare its inputs."""
        nodes = self._sorted(kernel.nodes)
        same = [node for node in nodes if operator_of(node) == kernel.operator]
        return next(reversed(same or nodes), None)

    def _sorted(self, nodes: Iterable[Node]) -> list[Node]:
        """Nodes in the order of the graph."""
        return sorted(nodes, key=lambda node: self._place.get(node, len(self._place)))

    def _fused(self, kernel: Kernel, parts: list[_Part]) -> WorkEntry:
        reads, writes = self._specs(kernel.reads), self._specs(kernel.writes)
        in_memory = (
            sum(self._bytes(buffer) for buffer in kernel.reads),
            sum(self._bytes(buffer) for buffer in kernel.writes),
        )
        work = fused_work([part.entry.work for part in parts], *in_memory)
        if work is not None:
            self._unknown.update(
                dict.fromkeys(p.entry.operator for p in parts if p.entry.work is None)
            )
        products = [part.entry for part in parts if part.entry.work and part.entry.work.flops]
        inputs: tuple[Argument, ...] = reads if len(reads) <= _SHAPES_TOLD else (reads,)
        tensors = Call("", inputs=(*reads, *writes))
        on_host = kernel.name.startswith(_WRITTEN_IN_CPP) and kernel.name in self._graph.scope
        return WorkEntry(
            operator=fused_name(_telling(parts)) if parts else kernel.name,
            phase=_phase_of(self._phase_of(part.node) for part in parts).name.lower(),
            module=module_around(part.entry.module for part in parts),
            shapes=shapes_text(inputs),
            mode=products[0].mode if products else mode_of(tensors),
            work=work,
            product=products[0].product if products else None,
            convolution=products[0].convolution if products else None,
            kernel=_mark_of(self._graph, kernel.name) if on_host else kernel.name,
            compiled=True,
        )

    def _left(self) -> Iterator[WorkEntry]:
        """Products and convolutions that no kernel was seen for: counted all the same."""
        for node in self._graph.nodes:
            if node in self._owned:
                continue
            part = self._part(node)
            if part is not None and part.entry.work is not None and part.entry.work.flops:
                yield part.entry

    def _part(self, node: Node) -> _Part | None:
        hidden = hidden_operator(node)
        try:
            call = call_of(node, self._sizes)
        except UnknownSizeError:
            return _Part(node, self._entry(node, WorkEntry(written_as(node), "", "", "", "", None)))
        if call is None:
            unknown = WorkEntry(hidden, "", "", "", "", None)
            return _Part(node, self._entry(node, unknown)) if hidden else None
        return _Part(node, self._entry(node, self._count(node, call)))

    def _count(self, node: Node, call: NodeCall) -> WorkEntry:
        entry = self._counter.entry_of(call.func, call.args, call.kwargs, call.result)
        if entry.operator in _NO_KERNEL:
            entry = replace(entry, work=Work())
        if node in self._owned and entry.work is not None:
            # Computed once more in another kernel: cheap operators are, products never.
            work = replace(entry.work, flops=0, dense_flops=0, recompute_flops=0, padding_flops=0)
            return replace(entry, work=work)
        if is_taken_apart(node) and entry.work is not None:
            # A multiplication and an addition for each pair of factors.
            flops = 2 * call.result.numel()
            return replace(entry, work=Work(flops=flops, dense_flops=flops))
        return entry

    def _entry(self, node: Node, entry: WorkEntry) -> WorkEntry:
        phase = self._phase_of(node).name.lower()
        return replace(entry, phase=phase, module=self._module(node), compiled=True)

    def _phase_of(self, node: Node) -> Phase:
        if self._graph.is_backward and self._phase is Phase.BACKWARD and recomputes(node):
            return Phase.RECOMPUTE
        return self._phase

    def _specs(self, buffers: Sequence[Buffer]) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(tuple(map(self._number, buffer.shape)), dtype_name(buffer.dtype))
            for buffer in buffers
        )

    def _bytes(self, buffer: Buffer) -> int:
        """Bytes of a buffer that are accessed: each element once."""
        whole = TensorSpec(tuple(map(self._number, buffer.shape)), dtype_name(buffer.dtype))
        if not buffer.touched:
            return whole.bytes
        touched = sum(map(self._number, buffer.touched))
        return min(whole.numel, touched) * whole.item_bytes

    def _number(self, size: Any) -> int:
        try:
            return self._sizes.number(size)
        except UnknownSizeError:
            self.doubts.append(
                "a compiled kernel has sizes that depend on data: its bytes are not counted"
            )
            return 0
