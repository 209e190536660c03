"""Counts one compiled graph: each of its kernels by the nodes of the graph that it computes.

Runs nothing. Branches and bodies of loops are counted once; how often they run is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.fx import Node

from goodput.formulas.fusion import fused_name, fused_work, module_around
from goodput.formulas.modes import mode_of
from goodput.frontends.torch_calls import dtype_name
from goodput.frontends.torch_counter import WorkCounter
from goodput.frontends.torch_graph_attention import AttentionParts
from goodput.frontends.torch_graph_nodes import (
    NodeCall,
    Sizes,
    UnknownSizeError,
    call_of,
    given_to,
    hidden_operator,
    is_taken_apart,
    only_views,
    operator_of,
    recomputes,
    written_as,
)
from goodput.frontends.torch_graph_operators import GraphOperators, computes
from goodput.frontends.torch_graph_values import GraphValues
from goodput.frontends.torch_inductor import Buffer, CompiledGraph, Kernel
from goodput.frontends.torch_private import arguments_of
from goodput.frontends.torch_told import Reading
from goodput.trace.recording import WorkEntry
from goodput.trace.table import Phase
from goodput.trace.words import shapes_text
from goodput.work import Argument, Call, TensorSpec, Work

WRITTEN_IN_CPP = "cpp_"
"""What the names of kernels in C++ begin with."""

# Where a reshape needs a copy, the kernels around it make that copy.
_NO_KERNEL = frozenset({"aten::reshape"})
_SHAPES_TOLD = 6
_OWN_NAMES = ("aten::", "prims::", "higher_order::")
_MASKS = frozenset({"attn_mask", "attn_bias"})


@dataclass(frozen=True, slots=True)
class _Part:
    """A node of a kernel, counted."""

    node: Node
    entry: WorkEntry


def mark_of(graph: CompiledGraph, name: str) -> str:
    """How a kernel in C++ is named in a profile: each graph has kernels of its own."""
    return f"inductor::g{graph.number}_{name}"


def _telling(parts: Sequence[_Part]) -> list[str]:
    """The operators of a kernel that do something, as the program wrote them."""
    doing = [part for part in parts if part.entry.work != Work()]
    return [
        part.entry.operator if hidden_operator(part.node) else written_as(part.node)
        for part in doing or parts
    ]


def _phase_of(phases: Iterable[Phase]) -> Phase:
    """The phase of a kernel with parts of several: recomputed parts serve the backward ones."""
    found = set(phases)
    if found == {Phase.RECOMPUTE, Phase.BACKWARD}:
        return Phase.BACKWARD
    return found.pop() if len(found) == 1 else Phase.OTHER


class GraphCount:
    """Counts one graph with one set of sizes.

    Args:
        graph: with its kernels.
        sizes: the numbers of its symbols.
        inputs: what it is called with, looked at only for masks.
        counter: knows what an ordinary call does.
        module: the module that a node ran in.
        phase: the phase that the graph runs in.
        attention: knows the masks of attention that is taken apart.
        reading: what the program told of its padding.

    Attributes:
        doubts: sentences for the report.
    """

    def __init__(
        self,
        graph: CompiledGraph,
        sizes: Sizes,
        inputs: Sequence[Any],
        counter: WorkCounter,
        module: Callable[[Node], str],
        phase: Phase,
        attention: AttentionParts,
        reading: Reading | None = None,
    ) -> None:
        self._graph = graph
        self._sizes = sizes
        self._counter = counter
        self._module = module
        self._phase = phase
        self._attention = attention
        self._reading = reading
        every = (*graph.nodes, *(node for body in graph.bodies.values() for node in body))
        self._place = {node: place for place, node in enumerate(every)}
        self._owned: set[Node] = set()
        self._called: set[Node] = set()
        self._unknown: dict[str, None] = {}
        self._unsized: set[str] = set()
        self._values = GraphValues(graph.nodes, inputs, sizes)
        self._operators = GraphOperators(sizes, self._values, self._work, graph.scope)
        self.doubts = self._operators.doubts

    @property
    def depends_on_values(self) -> bool:
        """Whether another call with the same sizes may do something else."""
        return self._values.used

    def entries(self) -> list[tuple[str, WorkEntry]]:
        """One entry for each kernel call, in order, then what no kernel stands for.

        Each with the body that it stands in, "" for the graph itself.
        """
        self._called = {
            node
            for kernel in self._graph.kernels
            if kernel.operator and (node := self._node_of(kernel)) is not None
        }
        found = [(kernel.body, self._kernel(kernel)) for kernel in self._graph.kernels]
        entries = [(body, entry) for body, entry in found if entry is not None]
        entries += self._left("", self._graph.nodes)
        for body, nodes in self._graph.bodies.items():
            entries += self._left(body, nodes)
        if self._unknown:
            self.doubts.append(
                f"compiled kernels hold {', '.join(self._unknown)}, which have no formula: what "
                "those compute is not counted"
            )
        return entries

    def _kernel(self, kernel: Kernel) -> WorkEntry | None:
        if kernel.operator:
            return self._library_call(kernel)
        nodes = [node for node in self._own_nodes(kernel) if node not in self._called]
        parts = [part for node in nodes if (part := self._part(node, kernel)) is not None]
        self._owned.update(node for node in nodes if computes(kernel, node))
        if len(parts) == 1 and parts[0].entry.operator.startswith("triton::"):
            return replace(parts[0].entry, kernel=kernel.name)  # the program's own, whole
        return self._fused(kernel, parts)

    def _library_call(self, kernel: Kernel) -> WorkEntry | None:
        node = self._node_of(kernel)
        part = None if node is None else self._part(node, kernel)
        if node is None or part is None:
            return None
        self._owned.add(node)
        other = kernel.operator if kernel.operator != part.entry.operator else ""
        return replace(part.entry, kernel=other)

    def _node_of(self, kernel: Kernel) -> Node | None:
        """The node that a library's kernel computes, among those that only prepare its inputs."""
        nodes = self._own_nodes(kernel)
        same = [node for node in nodes if operator_of(node) == kernel.operator]
        return next(reversed(same or nodes), None)

    def _own_nodes(self, kernel: Kernel) -> list[Node]:
        """The nodes of a kernel in the order of the graph; in a body, only those that are its."""
        nodes: Iterable[Node] = kernel.nodes
        if kernel.body:
            inside = set(self._graph.bodies.get(kernel.body, ()))
            nodes = (node for node in nodes if node in inside)
        return sorted(nodes, key=lambda node: self._place.get(node, len(self._place)))

    def _fused(self, kernel: Kernel, parts: list[_Part]) -> WorkEntry:
        reads, writes = self._specs(kernel.reads), self._specs(kernel.writes)
        in_memory = (
            sum(self._bytes(buffer) for buffer in kernel.reads),
            sum(self._bytes(buffer) for buffer in kernel.writes),
        )
        work = fused_work([part.entry.work for part in parts], *in_memory)
        if work is not None:
            self._tell_unknown({part.entry.operator for part in parts if part.entry.work is None})
        products = [part.entry for part in parts if part.entry.work and part.entry.work.flops]
        inputs: tuple[Argument, ...] = reads if len(reads) <= _SHAPES_TOLD else (reads,)
        tensors = Call("", inputs=(*reads, *writes))
        on_host = kernel.name.startswith(WRITTEN_IN_CPP) and kernel.name in self._graph.scope
        return WorkEntry(
            operator=fused_name(_telling(parts)) if parts else kernel.name,
            phase=_phase_of(self._phase_of(part.node) for part in parts).name.lower(),
            module=module_around(part.entry.module for part in parts),
            shapes=shapes_text(inputs),
            mode=products[0].mode if products else mode_of(tensors),
            work=work,
            product=products[0].product if products else None,
            convolution=products[0].convolution if products else None,
            told_flops=sum(part.entry.told_flops for part in parts),
            kernel=mark_of(self._graph, kernel.name) if on_host else kernel.name,
            compiled=True,
        )

    def _tell_unknown(self, operators: set[str]) -> None:
        """Parts of a kernel whose work is missing in its sum."""
        self._unknown.update(dict.fromkeys(sorted(operators - self._unsized)))
        if operators & self._unsized:
            self.doubts.append(
                f"a compiled kernel holds {', '.join(sorted(operators & self._unsized))} of sizes "
                "that depend on data: what it computes of these is not counted"
            )

    def _left(self, body: str, nodes: Iterable[Node]) -> Iterator[tuple[str, WorkEntry]]:
        """Products, and what libraries do, that no kernel was seen for: told all the same."""
        for node in nodes:
            if node in self._owned:
                continue
            part = self._part(node, None)
            if part is None:
                continue
            work, operator = part.entry.work, part.entry.operator
            if work.flops if work is not None else not operator.startswith(_OWN_NAMES):
                yield body, part.entry

    def _part(self, node: Node, kernel: Kernel | None) -> _Part | None:
        try:
            call = call_of(node, self._sizes)
            found = self._operators.entry(node, kernel) if call is None else None
        except UnknownSizeError:
            nothing = Work() if only_views(node) else None
            self._unsized.update([] if nothing else [written_as(node)])
            unknown = WorkEntry(written_as(node), "", "", "", "", nothing)
            return _Part(node, self._entry(node, unknown))
        if call is not None:
            return _Part(node, self._entry(node, self._count(node, self._masked(node, call))))
        if found is None:
            return None
        if node in self._owned and found.work is not None:
            found = replace(found, work=Work(), told_flops=0)
        return _Part(node, self._entry(node, found))

    def _masked(self, node: Node, call: NodeCall) -> NodeCall:
        """The call with the values of its mask, where it is attention under one."""
        args, kwargs = given_to(node)
        for place, (name, _) in enumerate(arguments_of(call.func)):
            if name not in _MASKS or not (name in kwargs or place < len(args)):
                continue
            mask = self._values.of(kwargs.get(name, args[place] if place < len(args) else None))
            if isinstance(mask, torch.Tensor):
                if name in kwargs:
                    return replace(call, kwargs={**call.kwargs, name: mask})
                return replace(call, args=(*call.args[:place], mask, *call.args[place + 1 :]))
        return call

    def _work(self, call: NodeCall) -> Work | None:
        return self._counter.entry_of(call.func, call.args, call.kwargs, call.result).work

    def _count(self, node: Node, call: NodeCall) -> WorkEntry:
        entry = self._counter.entry_of(call.func, call.args, call.kwargs, call.result)
        if entry.operator in _NO_KERNEL:
            entry = replace(entry, work=Work())
        if node in self._owned and entry.work is not None:
            # Computed once more in another kernel: cheap operators are, products never.
            work = replace(entry.work, flops=0, dense_flops=0, recompute_flops=0, padding_flops=0)
            return replace(entry, work=work, told_flops=0)
        if is_taken_apart(node) and entry.work is not None:
            # A multiplication and an addition for each pair of factors.
            flops = 2 * call.result.numel()
            return replace(entry, work=Work(flops=flops, dense_flops=flops))
        if entry.work is not None and entry.work.flops:
            return self._padded(node, entry, entry.work)
        return entry

    def _padded(self, node: Node, entry: WorkEntry, work: Work) -> WorkEntry:
        """A product, with what a mask closes or the program told to be useless as padding."""
        module, nodes, reading = self._module(node), self._graph.nodes, self._reading
        share = self._attention.share(node, module, nodes, self._values, reading)
        if share is not None:
            return replace(entry, work=share.of(work), told_flops=share.told_of(work))
        if reading is None:
            return entry
        backward = self._phase_of(node) is Phase.BACKWARD
        kept = reading.of(work, entry.product, backward=backward)
        return replace(entry, work=kept, told_flops=entry.told_flops + work.flops - kept.flops)

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
