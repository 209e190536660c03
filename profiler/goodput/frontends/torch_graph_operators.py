"""What the operators of a compiled graph do that take functions or stand for a Triton kernel.

Attention by a mask function is counted by the mask that the graph is called with, a kernel in
Triton by its intermediate representation, an associative scan by the function that it combines
with. Runs no operator of the graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import torch
from torch.fx import Node

from goodput.formulas.modes import mode_of
from goodput.formulas.registry import has_formula, work_of
from goodput.frontends.torch_calls import spec
from goodput.frontends.torch_graph_nodes import (
    NodeCall,
    Sizes,
    UnknownSizeError,
    call_of,
    hidden_operator,
)
from goodput.frontends.torch_graph_values import GraphValues, attribute
from goodput.frontends.torch_higher_order import flex_call
from goodput.frontends.torch_inductor import Kernel
from goodput.frontends.torch_private import storage_of
from goodput.trace.recording import WorkEntry
from goodput.trace.words import shapes_text
from goodput.work import Call, Work

_FLEX = {"flex_attention": (4, 8), "flex_attention_backward": (9, 13)}
"""Where its block mask and the tensors of its mask function stand among the arguments."""

_COUNTS, _FULL_COUNTS, _MASK = 2, 4, -1
"""Places in a block mask: blocks of each row that the mask cuts, whole ones, and its function."""

_TRITON = frozenset({"triton_kernel_wrapper_mutation", "triton_kernel_wrapper_functional"})

_UNREAD = "flex_attention in compiled code has a mask that is made in the graph itself: {}"


@dataclass(slots=True)
class GraphOperators:
    """Counts those operators of one graph in one call.

    Args:
        sizes: the numbers of its symbols.
        values: what its nodes stand for in this call.
        count: the work of an ordinary call.
        scope: the names of the compiled code.

    Attributes:
        doubts: sentences for the report.
    """

    sizes: Sizes
    values: GraphValues
    count: Callable[[NodeCall], Work | None]
    scope: Mapping[str, Any]
    doubts: list[str] = field(default_factory=list)

    def entry(self, node: Node, kernel: Kernel | None) -> WorkEntry | None:
        """What a node does that calls one of these; None for any other node.

        Args:
            node: of the graph.
            kernel: that it became; None where it is not known.
        """
        hidden, name = hidden_operator(node), _name_of(node)
        if name in _FLEX:
            if kernel is not None and not computes(kernel, node):
                return WorkEntry(hidden, "", "", "", "", Work())
            return self._flex(node, name)
        if name in _TRITON:
            return self._triton(node, "" if kernel is None else kernel.name)
        if name == "associative_scan":
            return self._associative_scan(node, hidden)
        return WorkEntry(hidden, "", "", "", "", None) if hidden else None

    # Attention by a mask function.

    def _flex(self, node: Node, name: str) -> WorkEntry:
        mask_place, buffers_place = _FLEX[name]
        args: list[Any] = list(node.args) + [()] * (buffers_place + 1 - len(node.args))
        block_mask = [self._real(item) for item in args[mask_place]]
        buffers = tuple(self._real(item) for item in args[buffers_place])
        if any(buffer is None for buffer in buffers):
            block_mask[_MASK] = None
        if block_mask[_COUNTS] is None:
            block_mask[_FULL_COUNTS] = None
        args[:3] = [self.sizes.value(arg) for arg in args[:3]]
        args[mask_place], args[buffers_place] = tuple(block_mask), buffers
        if block_mask[_MASK] is None:
            self.doubts.append(_UNREAD.format("every pair of its blocks is counted as open"))
        elif block_mask[_COUNTS] is None:
            self.doubts.append(_UNREAD.format("which blocks it skips is not known"))
        found = flex_call(name, tuple(args))
        assert found is not None  # noqa: S101 - it is that operator
        call, work = found
        return _entry(call, work)

    def _real(self, value: Any) -> Any:
        """A tensor on the host, a function of the graph's own, or a number; None if unknown."""
        found = self.values.of(value)
        return found.detach().cpu() if isinstance(found, torch.Tensor) else found

    # Kernels in Triton.

    def _triton(self, node: Node, kernel: str) -> WorkEntry:
        # Triton is there, or the graph could hold no kernel in it.
        from goodput.frontends.triton_kernels import launched

        table: Any = import_module("torch._higher_order_ops.triton_kernel_wrap").kernel_side_table
        told = node.kwargs
        function = table.get_kernel(told["kernel_idx"])
        given: Any = told["kwargs"]
        storages: dict[int, Any] = {}
        values = {name: self._argument(value, storages) for name, value in given.items()}
        values |= dict(table.get_constant_args(told["constant_args_idx"]))
        descriptors: Any = told.get("tma_descriptor_metadata") or {}
        for name, shape in descriptors.items():
            values[name] = _descriptor(values[name], shape)
        function, chosen, grid = self._configured(function, told["grid"], kernel)
        found = launched(function, (), {**values, **chosen}, grid)
        call = Call(f"triton::{found.name}", found.inputs)
        if has_formula(call.name):
            return _entry(call, work_of(call))
        self.doubts += found.warnings
        entry = _entry(call, found.work)
        return replace(
            entry,
            mode=found.mode or entry.mode,
            stated_flops=found.stated.flops,
            stated_bytes=found.stated.bytes,
        )

    def _argument(self, value: Any, storages: dict[int, Any]) -> Any:
        """An argument with the graph's own numbers in it; tensors have no memory."""
        if isinstance(value, list | tuple):
            return tuple(self._argument(item, storages) for item in value)
        found = self.sizes.value(value)
        if not isinstance(found, torch.Tensor):
            return found
        if not (found.is_floating_point() or found.is_complex()):
            number = self.values.of(value)
            if isinstance(number, torch.Tensor):
                return number  # loops and addresses may be made of what it holds
        storage = storages.setdefault(
            storage_of(found), torch.empty(0, dtype=torch.uint8, device="meta").untyped_storage()
        )
        hollow = torch.empty(0, dtype=found.dtype, device="meta")
        return hollow.set_(storage, int(found.storage_offset()), found.shape, found.stride())

    def _configured(
        self, function: Any, grids: Any, kernel: str
    ) -> tuple[Any, dict[str, Any], Any]:
        """A kernel without its tuner, the constants that were chosen for it, and its grid."""
        size = [tuple(self._number(axis) for axis in grid) for grid in grids]
        configurations = getattr(function, "configs", ())
        if not configurations:
            return function, {}, size[0]
        chosen = _tuned(self.scope.get(kernel), configurations)
        if chosen is None:
            chosen = 0
            if len(configurations) > 1:
                self.doubts.append(
                    f"the Triton kernel {function.base_fn.__name__} is tuned when it runs: it is "
                    f"counted with the first of its {len(configurations)} configurations "
                    f"({configurations[0]})"
                )
        place = chosen if len(size) > 1 else 0
        return function.fn, dict(configurations[chosen].all_kwargs()), size[place]

    def _number(self, value: Any) -> int:
        return self.sizes.number(value.meta["val"] if isinstance(value, Node) else value)

    # Scans.

    def _associative_scan(self, node: Node, name: str) -> WorkEntry:
        """So many combinations as a scan one after the other makes, element by element."""
        combine, items = node.args[:2]
        tensors: list[Any] = [self.sizes.value(item) for item in items]  # type: ignore[union-attr]
        call = Call(name, tuple(spec(tensor) for tensor in tensors))
        body = attribute(combine) if isinstance(combine, Node) else combine
        per_element = self._per_element(body)
        if per_element is None:
            return _entry(call, None)
        steps = tensors[0].numel() - tensors[0].numel() // max(tensors[0].shape[0], 1)
        return _entry(call, per_element * steps)

    def _per_element(self, body: Any) -> Work | None:
        """Arithmetic of one combination of two elements; None where something has no formula."""
        vector = special = 0
        for node in body.graph.nodes:
            if node.op != "call_function":
                continue
            try:
                call = call_of(node, self.sizes)
            except UnknownSizeError:
                return None
            work = None if call is None else self.count(call)
            if call is None or work is None:
                return None
            each = max(math.prod(call.result.shape), 1)
            vector += work.vector_flops // each
            special += work.special // each
        return Work(vector_flops=vector, special=special)


def computes(kernel: Kernel, node: Node) -> bool:
    """Whether a kernel computes a node: attention is a template of inductor's own.

    Others that stand for it prepare what that reads, or put together what it wrote.
    """
    return kernel.is_template or _name_of(node) not in _FLEX


def _name_of(node: Node) -> str:
    return hidden_operator(node).removeprefix("higher_order::")


def _entry(call: Call, work: Work | None) -> WorkEntry:
    return WorkEntry(call.name, "", "", shapes_text(call.inputs), mode_of(call), work)


def _descriptor(tensor: Any, told: Any) -> Any:
    """The descriptor that is made of a tensor before the kernel is launched."""
    api, shape = told
    if api != "stable":
        return tensor
    from triton.tools.tensor_descriptor import TensorDescriptor

    return TensorDescriptor.from_tensor(tensor, list(shape[0]))


def _tuned(launcher: Any, configurations: Sequence[Any]) -> int | None:
    """Which of its configurations inductor's own tuner launches a kernel with; None if unknown."""
    launchers: Sequence[Any] = getattr(launcher, "launchers", ())
    if len(launchers) != 1:
        return None
    chosen = launchers[0].config
    for place, configuration in enumerate(configurations):
        same = all(chosen.kwargs.get(key) == value for key, value in configuration.kwargs.items())
        if same and chosen.num_warps == configuration.num_warps:
            return place
    return None
