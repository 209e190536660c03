"""Masks and numbers that a compiled graph makes of what it is called with: worked out once more.

Which pairs attention computes is decided by values, which a graph's nodes do not hold. What a mask
is made of is little: it is computed a second time, aside, from the inputs of the counted call.
Never computes products, random numbers, or anything that writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch._ops import OpOverload
from torch.fx import Node

from goodput.frontends.torch_graph_nodes import PRODUCTS, Sizes, UnknownSizeError
from goodput.frontends.torch_private import name_of

_MOST_NODES = 256
"""Nodes behind a mask beyond which it is left unknown."""

_MOST_ELEMENTS = 2**26
"""Elements of a tensor beyond which it is not computed."""

_WRITES = "triton_kernel_wrapper_mutation"

_HEAVY = PRODUCTS | {"aten::convolution", "aten::_scaled_mm", "aten::_grouped_mm"}
_UNSET = ("aten::empty", "aten::new_empty")


class GraphValues:
    """The values of some nodes of a graph in one call.

    Args:
        nodes: of the graph.
        inputs: what it is called with.
        sizes: the numbers of its symbols.

    Attributes:
        used: whether any value was worked out.
    """

    def __init__(self, nodes: Sequence[Node], inputs: Sequence[Any], sizes: Sizes) -> None:
        places = [node for node in nodes if node.op == "placeholder"]
        self._known: dict[Node, Any] = dict(zip(places, inputs, strict=False))
        self._sizes = sizes
        self._left = _MOST_NODES
        self.used = False

    def of(self, value: Any) -> Any:
        """The tensor or number that a node stands for, or a value that is none; None if unknown."""
        self.used = True
        if not isinstance(value, Node):
            return self._sizes.number(value) if isinstance(value, torch.SymInt) else value
        self._left = _MOST_NODES
        try:
            with torch.no_grad():
                return self._node(value)
        except (UnknownSizeError, _UnknownError, RuntimeError, TypeError):
            return None

    def _node(self, node: Node) -> Any:
        if _is_written(node):
            raise _UnknownError  # which value is meant hangs on when it is read
        if node in self._known:
            return self._known[node]
        self._left -= 1
        target: Any = node.target
        if node.op == "get_attr":
            found = attribute(node)
        elif node.op != "call_function" or self._left < 0:
            raise _UnknownError
        elif isinstance(target, OpOverload):
            found = self._called(node, target)
        elif getattr(target, "__module__", "") in {"_operator", "math"}:
            found = target(*map(self._argument, node.args))
        else:
            raise _UnknownError
        self._known[node] = found
        return found

    def _called(self, node: Node, target: OpOverload) -> Any:
        made: Any = node.meta.get("val")
        large = isinstance(made, torch.Tensor) and self._elements(made) > _MOST_ELEMENTS
        random = torch.Tag.nondeterministic_seeded in target.tags
        name = name_of(target)
        if large or random or name in _HEAVY or name.startswith(_UNSET):
            raise _UnknownError
        kwargs = {key: self._argument(value) for key, value in node.kwargs.items()}
        return target(*map(self._argument, node.args), **kwargs)

    def _elements(self, tensor: torch.Tensor) -> int:
        elements = 1
        for size in tensor.shape:
            elements *= self._sizes.number(size)
        return elements

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Node):
            return self._node(value)
        if isinstance(value, torch.SymInt):
            return self._sizes.number(value)
        if isinstance(value, list | tuple):
            return [self._argument(item) for item in value]
        return value


def _is_written(node: Node) -> bool:
    """Whether the graph writes into a tensor, or into what looks at it."""
    for user in node.users:
        target: Any = user.target
        if isinstance(target, OpOverload):
            if target._schema.is_mutable or (target.is_view and _is_written(user)):  # noqa: SLF001
                return True
        elif str(target) == _WRITES:
            return True
    return False


class _UnknownError(Exception):
    """A value is not to be worked out."""


def attribute(node: Node) -> Any:
    """What a graph's module has under a name."""
    found: Any = node.graph.owning_module
    for word in str(node.target).split("."):
        found = getattr(found, word)
    return found
