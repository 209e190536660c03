"""What a node of a compiled graph is: an operator call, its module, and whether it recomputes.

Runs no operator: everything is read off the fake tensors that the graph was traced with. Sizes that
were symbols to the compiler are numbers here, those of the call at hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch._ops import HigherOrderOperator, OpOverload, OpOverloadPacket
from torch.fx import Node

from goodput.frontends.torch_private import name_of, packet_of

_PATH = re.compile(r"^[LG]\[[^\]]*\](?:\.|$)")
_RECOMPUTED = "is_forward"

# Operators that only call the one that they are given, and the place of that one's arguments.
_WRAPPERS = {
    "run_and_save_rng_state": 1,
    "run_with_rng_state": 2,
    "graphsafe_run_with_rng_state": 1,
    "auto_functionalized": 1,
    "auto_functionalized_v2": 1,
}
_SAVED_STATE = frozenset({"run_and_save_rng_state"})
_OWN_KEYWORDS = frozenset({"rng_state"})

PRODUCTS = frozenset(
    {"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::mv", "aten::dot"}
)
"""Products that the compiler may take apart: factors are multiplied, then summed."""


class UnknownSizeError(Exception):
    """A size depends on data, so that no shape tells it."""


@dataclass(frozen=True, slots=True)
class NodeCall:
    """The operator call that a node stands for.

    Attributes:
        func: the operator.
        args, kwargs: its arguments, tensors as fake ones with numbers for sizes.
        result: what it gives.
    """

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any


class Sizes:
    """The numbers that a graph's symbols stand for in one call of it.

    Args:
        nodes: the graph's nodes.
        inputs: what it is called with.
    """

    def __init__(self, nodes: Sequence[Node], inputs: Sequence[Any]) -> None:
        self._numbers: dict[Any, int] = {}
        given = (node.meta.get("val") for node in nodes if node.op == "placeholder")
        for value, actual in zip(given, inputs, strict=False):
            self._bind(value, actual)

    @property
    def key(self) -> tuple[tuple[str, int], ...]:
        """What calls with equal sizes have in common."""
        return tuple(sorted((str(symbol), number) for symbol, number in self._numbers.items()))

    def number(self, size: Any) -> int:
        """The number that an integer, a symbol or an expression of symbols is.

        Raises:
            UnknownSizeError: no input of the graph tells.
        """
        if isinstance(size, int):
            return size
        found = _expression(size).xreplace(self._numbers)
        try:
            return int(found)
        except TypeError as error:  # a symbol is left
            raise UnknownSizeError(str(size)) from error

    def value(self, value: Any) -> Any:
        """An argument with numbers for its symbols."""
        if isinstance(value, Node):
            return self.value(value.meta.get("val"))
        if isinstance(value, torch.SymInt):
            return self.number(value)
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, list | tuple):
            return tuple(self.value(item) for item in value)
        return value

    def _tensor(self, tensor: Any) -> Any:
        sizes = (*tensor.shape, *(tensor.stride() if tensor.layout is torch.strided else ()))
        if all(isinstance(size, int) for size in sizes):
            return tensor
        shape = [self.number(size) for size in tensor.shape]
        stride = [self.number(size) for size in tensor.stride()]
        with torch._C._DisableTorchDispatch():  # noqa: SLF001 - no mode may see this
            hollow = torch.empty_strided(shape, stride, dtype=tensor.dtype, device="meta")
        mode = getattr(tensor, "fake_mode", None)
        return hollow if mode is None else type(tensor)(mode, hollow, tensor.fake_device)

    def _bind(self, value: Any, actual: Any) -> None:
        if isinstance(value, torch.SymInt):
            self._bind_one(value, actual)
        elif isinstance(value, torch.Tensor) and isinstance(actual, torch.Tensor):
            pairs = (
                *zip(value.shape, actual.shape, strict=False),
                *zip(value.stride(), actual.stride(), strict=False),
            )
            for size, number in pairs:
                self._bind_one(size, number)

    def _bind_one(self, size: Any, number: Any) -> None:
        if isinstance(size, torch.SymInt) and isinstance(number, int):
            expression = _expression(size)
            if expression.is_Symbol:
                self._numbers.setdefault(expression, number)


def _expression(size: Any) -> Any:
    """The expression of symbols behind a size."""
    return size.node.expr if isinstance(size, torch.SymInt) else size


def target_of(node: Node) -> Any:
    """What a node calls; of an operator that is named without its overload, the default one."""
    target: Any = node.target
    return target.default if isinstance(target, OpOverloadPacket) else target


def call_of(node: Node, sizes: Sizes) -> NodeCall | None:
    """The operator call of `node`, wrappers opened; None for a node that is none.

    Raises:
        UnknownSizeError: a size depends on data.
    """
    target = target_of(node)
    if node.op != "call_function":
        return None
    args, kwargs, result = node.args, dict(node.kwargs), node.meta.get("val")
    name = _wrapper_name(target)
    if name in _WRAPPERS:
        target, args, kwargs, result = _opened(name, args, kwargs, result)
    if not isinstance(target, OpOverload):
        return None
    return NodeCall(
        func=target,
        args=tuple(sizes.value(arg) for arg in args),
        kwargs={key: sizes.value(value) for key, value in kwargs.items()},
        result=sizes.value(result),
    )


def given_to(node: Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the operator that a node calls as the graph has them, wrappers opened."""
    name = _wrapper_name(node.target)
    if name in _WRAPPERS:
        _, args, kwargs, _ = _opened(name, node.args, node.kwargs, None)
        return args, kwargs
    return node.args, dict(node.kwargs)


def operator_of(node: Node) -> str:
    """The name of the operator that a node calls, wrappers opened; "" where it calls none."""
    target = target_of(node)
    name = _wrapper_name(target)
    if name in _WRAPPERS:
        target = node.args[_WRAPPERS[name] - 1]
    return name_of(target) if isinstance(target, OpOverload) else ""


def hidden_operator(node: Node) -> str:
    """The name of an operator that takes functions, or another that is no plain call; else ""."""
    target = target_of(node)
    if node.op == "call_function" and isinstance(target, HigherOrderOperator):
        name = _wrapper_name(target)
        return "" if name in _WRAPPERS else f"higher_order::{name}"
    return ""


def only_views(node: Node) -> bool:
    """Whether a node only looks at a tensor in another way: nothing is done, whatever its sizes."""
    target = target_of(node)
    return isinstance(target, OpOverload) and target.is_view


def _wrapper_name(target: Any) -> str:
    return str(target) if isinstance(target, HigherOrderOperator) else ""


def _opened(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any
) -> tuple[Any, tuple[Any, ...], dict[str, Any], Any]:
    """The operator inside a wrapper, with its own arguments and result."""
    first = _WRAPPERS[name]
    own = {key: value for key, value in kwargs.items() if key not in _OWN_KEYWORDS}
    if name in _SAVED_STATE and isinstance(result, list | tuple):
        result = result[1]
    return args[first - 1], tuple(args[first:]), own, result


def written_as(node: Node) -> str:
    """The operator that the program's own code called, before the compiler took it apart."""
    original: Any = node.meta.get("original_aten")
    if isinstance(original, OpOverload):
        return name_of(original)
    target = target_of(node)
    return name_of(target) if isinstance(target, OpOverload) else str(target)


def recomputes(node: Node) -> bool:
    """Whether a node of a backward graph does again what the forward pass did."""
    return _told(node).get("partitioner_tag") == _RECOMPUTED


def _told(node: Node) -> Mapping[str, Any]:
    """What is told of a node; of a wrapper, which nothing is told of, what is of its users."""
    if node.meta.get("seq_nr") is None and _wrapper_name(node.target) in _WRAPPERS:
        return next((user.meta for user in node.users if "seq_nr" in user.meta), node.meta)
    return node.meta


def is_taken_apart(node: Node) -> bool:
    """Whether a node multiplies the factors of a matrix product that the compiler took apart."""
    target = target_of(node)
    return (
        isinstance(target, OpOverload)
        and packet_of(target) is torch.ops.aten.mul
        and written_as(node) in PRODUCTS
        and all(isinstance(arg, Node) for arg in node.args[:2])
    )


def module_of(node: Node, names: Callable[[int], str | None], base: str) -> str:
    """The fully qualified name of the module that a node's forward operator ran in.

    Args:
        node: of a forward or a backward graph.
        names: the name of a living module by its id.
        base: the name of the module whose compiled code runs, which may be another one than it was
            compiled for.
    """
    stack = _stack_of(node)
    if not stack and operator_of(node) in PRODUCTS and written_as(node) not in PRODUCTS:
        # The compiler made one of a product and a sum with another gradient, and told of the sum.
        factors = [factor for factor in node.all_input_nodes if _stack_of(factor)]
        stack = _stack_of(factors[-1]) if factors else stack
    found = [(names(number), path) for number, path in _levels(stack)]
    known = [name for name, _ in found if name is not None]
    if not known:
        paths = [_PATH.sub("", path) for _, path in found]
        return ".".join(word for word in (base, paths[-1] if paths else "") if word)
    root, name = known[0], known[-1]
    if _is_inside(root, base) or not _is_inside(name, root):
        return name
    inner = name[len(root) :].lstrip(".")
    return ".".join(word for word in (base, inner) if word)


def _stack_of(node: Node) -> Mapping[str, Any]:
    """The modules around a node; of a backward one, those around the forward operator."""
    told = _told(node)
    stack: Any = told.get("nn_module_stack") or told.get("fwd_nn_module_stack") or {}
    found: Mapping[str, Any] = stack
    return found


def _is_inside(name: str, root: str) -> bool:
    return not root or name == root or name.startswith(f"{root}.")


def _levels(stack: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The ids and the paths of the modules around a node, the outermost first."""
    for key, entry in stack.items():
        number = str(key).partition("@")[0]
        path = entry[0] if isinstance(entry, list | tuple) else str(entry)
        yield (int(number) if number.isdigit() else 0), str(path)
