"""Sees what inductor, torch's own compiler, compiles: graphs, their kernels, and when they run.

The adapter to inductor's private names, tried on torch 2.13. It only looks: the code that is
compiled is the code that would be compiled without it. Torch's caches of whole graphs hold code
without the graph behind it, so nothing is found in them while it looks, whatever the program turns
on; they are filled as ever, and compiled kernels stay cached.
"""

# ruff: noqa: SLF001 - this is the one place for inductor's private names

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, TypeAlias

import torch
from torch.fx import Node

MODULE = "torch._inductor.compile_fx"
"""The module that inductor is ready to be watched with, once it is imported."""

_NOTED = "set_kernel_post_grad_provenance_tracing"
_KERNELS, _BODIES = "_goodput_kernels", "_goodput_bodies"
# What looks whole graphs up: (module, class, method, what it gives where nothing is found).
_LOOKUPS: tuple[tuple[str, str, str, Any], ...] = (
    ("torch._inductor.codecache", "FxGraphCache", "_lookup_graph", (None, {})),
    ("torch._functorch._aot_autograd.autograd_cache", "AOTAutogradCache", "_lookup", None),
)

Size: TypeAlias = Any
"""An integer, or an expression in the symbols of a graph."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A tensor in memory that a kernel reads or writes.

    Attributes:
        shape: its sizes.
        dtype: of its elements.
        touched: the elements of each access to it; none where all of it is accessed.
    """

    shape: tuple[Size, ...]
    dtype: torch.dtype
    touched: tuple[Size, ...] = ()


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel call in the compiled code.

    Attributes:
        name: of the kernel, as the compiled code has it.
        nodes: the nodes of the graph that it computes.
        operator: the operator that it calls; "" where inductor wrote the kernel itself.
        reads, writes: what it moves, where inductor wrote it.
        body: the function of the compiled code that calls it: a branch or the body of a loop; ""
            for the graph itself.
        is_template: whether inductor made it from a text of its own for that operator, and not from
            the operator's parts.
    """

    name: str
    nodes: tuple[Node, ...]
    operator: str = ""
    reads: tuple[Buffer, ...] = ()
    writes: tuple[Buffer, ...] = ()
    body: str = ""
    is_template: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CompiledGraph:
    """What inductor made of one graph.

    Attributes:
        number: how many were compiled before it.
        kernels: its kernel calls, in the order in which they run.
        nodes: all of its nodes, in order, as they were when kernels were made of them.
        is_backward: whether it is the backward half of a graph.
        scope: the names of its compiled code.
        bodies: the nodes of each function of that code that is a branch or the body of a loop.
    """

    number: int
    kernels: tuple[Kernel, ...]
    nodes: tuple[Node, ...]
    is_backward: bool
    scope: dict[str, Any] = field(default_factory=dict)
    bodies: dict[str, tuple[Node, ...]] = field(default_factory=dict)


Around: TypeAlias = "Callable[[CompiledGraph | None, Sequence[Any], Callable[[], Any]], Any]"
"""Runs a call of a compiled graph: gets the graph (None where its compilation was not seen), the
inputs and the call."""


class InductorWatch:
    """Keeps a `CompiledGraph` of everything that inductor compiles from `install` on.

    Attributes:
        graphs: those still alive, by the id of what torch calls.
        compiled: how many were compiled.
        fault: why looking failed; "" where it did not.
    """

    def __init__(self) -> None:
        self.graphs: dict[int, tuple[Any, CompiledGraph]] = {}
        self.compiled = 0
        self.fault = ""
        self._undo: list[Callable[[], None]] = []
        self._call: Any = None

    @property
    def installed(self) -> bool:
        """Whether it looks."""
        return bool(self._undo)

    def install(self) -> None:
        """Begins to look; inductor must be imported.

        Raises:
            AttributeError: this torch's inductor is not the one that goodput knows.
        """
        if self._undo:
            return
        graph_class = import_module("torch._inductor.output_code").CompiledFxGraph
        noted = getattr(import_module("torch._inductor.debug"), _NOTED)
        self._replace_everywhere(noted, self._noting(noted))
        self._set(graph_class, "__init__", value=self._making(graph_class.__init__))
        for module, owner, method, nothing in _LOOKUPS:
            cache = getattr(import_module(module), owner)
            original = staticmethod(getattr(cache, method))
            self._set(cache, method, value=_finding(nothing), original=original)

    def remove(self) -> None:
        """Puts everything back as it was."""
        self.stop_calls()
        while self._undo:
            self._undo.pop()()

    def watch_calls(self, around: Around) -> None:
        """From now on every call of a compiled graph runs inside `around`."""
        cls = import_module("torch._inductor.output_code").CompiledFxGraph
        original = self._call = cls.__call__
        graph_of = self._graph_of

        def __call__(compiled: Any, inputs: Sequence[Any]) -> Any:  # noqa: N807 - it is one
            return around(graph_of(compiled), inputs, lambda: original(compiled, inputs))

        cls.__call__ = __call__

    def stop_calls(self) -> None:
        """Calls are the program's own again."""
        if self._call is not None:
            import_module("torch._inductor.output_code").CompiledFxGraph.__call__ = self._call
            self._call = None

    def living(self) -> list[CompiledGraph]:
        """The graphs that can still be called."""
        return [graph for reference, graph in self.graphs.values() if reference() is not None]

    def _graph_of(self, compiled: Any) -> CompiledGraph | None:
        reference, graph = self.graphs.get(id(compiled), (None, None))
        return graph if reference is not None and reference() is compiled else None

    def _set(self, owner: Any, name: str, *, value: Any, original: Any = None) -> None:
        original = original or getattr(owner, name)
        setattr(owner, name, value)
        self._undo.append(lambda: setattr(owner, name, original))

    def _replace_everywhere(self, original: Any, replacement: Any) -> None:
        """Inductor's modules import the function by name, some of them later than now."""

        def replace(old: Any, new: Any) -> None:
            for name, module in tuple(sys.modules.items()):
                is_inductor = name.startswith("torch._inductor") and module is not None
                if is_inductor and module.__dict__.get(_NOTED) is old:
                    setattr(module, _NOTED, new)

        replace(original, replacement)
        self._undo.append(lambda: replace(replacement, original))

    def _noting(self, original: Any) -> Any:
        def set_kernel_post_grad_provenance_tracing(
            schedule: Any, kernel_name: str, *args: Any, **kwargs: Any
        ) -> Any:
            handle = original(schedule, kernel_name, *args, **kwargs)
            try:
                _keep(_kernel(schedule, kernel_name))
            except Exception as error:  # noqa: BLE001 - the border with the program's compilation
                self.fault = f"the kernel {kernel_name} was not understood: {error!r}"
            return handle

        return set_kernel_post_grad_provenance_tracing

    def _making(self, original: Any) -> Any:
        def __init__(  # noqa: N807 - it is one
            compiled: Any, call: Any, graph: Any, module: Any, *args: Any, **kwargs: Any
        ) -> None:
            original(compiled, call, graph, module, *args, **kwargs)
            self.compiled += 1
            try:
                made = CompiledGraph(
                    number=self.compiled - 1,
                    kernels=tuple(getattr(graph, _KERNELS, ())),
                    nodes=tuple(module.graph.nodes),
                    is_backward=bool(graph.is_backward),
                    scope=getattr(call, "__globals__", {}),
                    bodies=getattr(graph, _BODIES, {}),
                )
            except AttributeError as error:
                self.fault = f"a compiled graph was not understood: {error}"
                return
            self.graphs[id(compiled)] = (weakref.ref(compiled), made)

        return __init__


def _finding(nothing: Any) -> Any:
    """A method that finds nothing in a cache."""

    def find(*_args: Any, **_kwargs: Any) -> Any:
        return nothing

    return staticmethod(find)


def _keep(kernel: Kernel | None) -> None:
    """Keeps a kernel with the graph that is being compiled, the outermost one."""
    if kernel is None:
        return
    graph: Any = import_module("torch._inductor.virtualized").V.graph
    body, nodes = "", ()
    if hasattr(graph, "parent"):
        body, nodes = str(graph.name), tuple(graph.module.graph.nodes)
        kernel = replace(kernel, body=body)
    while hasattr(graph, "parent"):
        graph = graph.parent
    if body:
        graph.__dict__.setdefault(_BODIES, {})[body] = nodes
    graph.__dict__.setdefault(_KERNELS, []).append(kernel)


def _kernel(schedule: Any, name: str) -> Kernel | None:
    """The kernel that is made of scheduled nodes, or of a single call of a library's."""
    if not isinstance(schedule, list | tuple):
        origin = schedule.get_origin_node()
        nodes = (origin,) if origin is not None else tuple(schedule.origins)
        return Kernel(name, nodes, _operator(schedule))
    # A kernel over lists of tensors is scheduled as one node that holds others.
    inner = (part for one in schedule if hasattr(one, "get_nodes") for part in one.get_nodes())
    parts = [part for part in inner if getattr(part, "node", None) is not None]
    found: dict[Node, None] = {}
    for part in parts:
        found.update(dict.fromkeys(part.node.origins))
    reads, writes = _moved(parts)
    template = any(part.is_template() for part in parts)
    return Kernel(name, tuple(found), "", reads, writes, is_template=template)


def _operator(extern: Any) -> str:
    """The operator that a library's kernel is called as, e.g. `aten::addmm`; "" if unknown."""
    overload = getattr(extern, "op_overload", None)
    if isinstance(overload, torch._ops.OpOverload):
        return str(overload._schema.name)
    name = str(getattr(extern, "python_kernel_name", None) or "")
    if name.startswith("extern_kernels."):
        return f"aten::{name.removeprefix('extern_kernels.')}"
    words = name.removeprefix("torch.ops.").split(".")
    return "::".join(words[:2]) if len(words) > 1 else ""


def _moved(parts: list[Any]) -> tuple[tuple[Buffer, ...], tuple[Buffer, ...]]:
    """What a kernel reads that it did not write, and what it writes that others need."""
    reads: dict[str, list[Any]] = {}
    writes: dict[str, list[Any]] = {}
    for part in parts:
        for found, accesses in ((reads, part.read_writes.reads), (writes, part.read_writes.writes)):
            for access in accesses:
                if not _only_orders(access, part):
                    found.setdefault(access.name, []).append(access)
    inside = set(parts)
    needed = [name for name in writes if _is_needed(parts[0].scheduler, name, inside)]
    read = [name for name in reads if name not in writes]
    return _buffers(read, reads), _buffers(needed, writes)


def _is_needed(scheduler: Any, name: str, inside: set[Any]) -> bool:
    """Whether something outside of a kernel uses a buffer that the kernel writes."""
    buffer = scheduler.name_to_buf.get(name)
    if buffer is None:
        return True
    users = {
        part
        for user in buffer.users
        for part in (user.node.get_nodes() if hasattr(user.node, "get_nodes") else (user.node,))
    }
    return not users or bool(users - inside)


def _buffers(names: list[str], accesses: dict[str, list[Any]]) -> tuple[Buffer, ...]:
    graph: Any = import_module("torch._inductor.virtualized").V.graph
    found = []
    for name in names:
        touching = accesses[name]
        buffer = graph.try_get_buffer(name)
        # What stands for a call that writes into others, or gives several, is no tensor itself.
        size = None if buffer is None else buffer.maybe_get_size()
        if size is None:
            continue
        touched = tuple(_elements(access) for access in touching if hasattr(access, "size"))
        whole = len(touched) < len(touching)
        found.append(Buffer(tuple(size), buffer.get_dtype(), () if whole else touched))
    return tuple(found)


def _elements(access: Any) -> Size:
    """The elements of an access; where data says which they are, one for each turn of its loops."""
    return math.prod(access.size) if access.is_indirect() else access.get_numel()


def _only_orders(access: Any, part: Any) -> bool:
    """Whether a dependency only says what comes first.

    What writes into a part of an older tensor depends on all of it, and reads nothing for that.
    """
    kind = type(access).__name__
    if kind != "StarDep" or part.is_template():
        return kind == "WeakDep"
    real: dict[str, str] = part.scheduler.mutation_real_name
    written = {
        real.get(name, name) for output in part.get_outputs() for name in output.get_mutations()
    }
    return real.get(access.name, access.name) in written
