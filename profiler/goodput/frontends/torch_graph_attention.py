"""Attention that the compiler took apart: which pairs of its products its mask leaves open.

Where no kernel of its own computes attention (with dropout on a CPU, say), its products stand in
the graph as products of all pairs. The mask is what is added to the scores or put in their place
before the softmax; it is worked out from what the graph is called with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.fx import Node

from goodput.frontends.torch_attention import Share
from goodput.frontends.torch_graph_nodes import PRODUCTS, operator_of
from goodput.frontends.torch_graph_values import GraphValues
from goodput.frontends.torch_told import Reading

_NAME = "scaled_dot_product_attention"
_LOWEST = -1e4
"""What masks add to scores or put in their place, so that nothing is left of them."""

_SCALED = frozenset(
    f"aten::{name}"
    for name in ("view", "reshape", "_unsafe_view", "expand", "mul", "div", "_to_copy", "unsqueeze")
) | {"prims::convert_element_type"}
_ENDS = frozenset({"aten::amax", "aten::_softmax", "aten::_safe_softmax", "aten::exp"}) | {
    "prims::prepare_softmax_online"
}
_BATCHED = 4
_ADDED, _CHOSEN = "aten::add", "aten::where"


class AttentionParts:
    """The masks of attention calls in the graphs of a program; a backward graph has its forward's.

    Attributes:
        unread: whether some mask could not be worked out, so that every pair counts as open.
    """

    def __init__(self) -> None:
        self._shares: dict[tuple[str, str], Share | None] = {}
        self.unread = False

    def share(
        self,
        node: Node,
        module: str,
        nodes: Sequence[Node],
        values: GraphValues,
        reading: Reading | None = None,
    ) -> Share | None:
        """The open share of the pairs of a product; None where all are, or it is no attention's.

        Args:
            node: of the graph.
            module: it runs in.
            nodes: all of the graph.
            values: what these stand for in this call.
            reading: what the program told of its padding.
        """
        forward = _call_of(node, "source_fn_stack")
        name = forward or _call_of(node, "fwd_source_fn_stack")
        if not name or operator_of(node) not in PRODUCTS:
            return None
        if forward:
            self._shares[module, name] = self._masked(name, nodes, values, reading)
        elif (module, name) not in self._shares:
            self.unread = True
        return self._shares.get((module, name))

    def _masked(
        self, name: str, nodes: Sequence[Node], values: GraphValues, reading: Reading | None
    ) -> Share | None:
        is_open: torch.Tensor | None = None
        for node in nodes:
            if _call_of(node, "source_fn_stack") != name or operator_of(node) not in PRODUCTS:
                continue
            for mask in self._masks(node, values):
                is_open = mask if is_open is None else is_open & mask
        if is_open is None or bool(is_open.all()):
            return None
        return _share_of(is_open, reading)

    def _masks(self, product: Node, values: GraphValues) -> list[torch.Tensor]:
        """Where each mask between a product and a softmax lets pairs through."""
        found: list[torch.Tensor] = []
        ends, waiting = False, [product]
        while waiting:
            node = waiting.pop()
            for user in node.users:
                operator = operator_of(user)
                ends = ends or operator in _ENDS
                if operator == _ADDED:
                    found += self._added(node, user, values)
                elif operator == _CHOSEN:
                    found += self._chosen(node, user, values)
                elif operator not in _SCALED:
                    continue
                waiting.append(user)
        return found if ends else []

    def _added(self, scores: Node, sum_: Node, values: GraphValues) -> Iterator[torch.Tensor]:
        (addend,) = [arg for arg in sum_.args[:2] if arg is not scores] or [None]
        value = values.of(addend)
        if isinstance(value, torch.Tensor):
            if value.dim() and bool((value <= _LOWEST).any()):
                yield value > _LOWEST
        elif value is None:
            self.unread = True

    def _chosen(self, scores: Node, choice: Node, values: GraphValues) -> Iterator[torch.Tensor]:
        condition, one, other = choice.args[:3]
        filler: Any = values.of(other if one is scores else one)
        value = values.of(condition)
        if isinstance(filler, torch.Tensor) and bool((filler > _LOWEST).any()):
            return  # something else than nothing stands there
        if not isinstance(value, torch.Tensor):
            self.unread = True
            return
        yield value.bool() if one is scores else ~value.bool()


def _share_of(is_open: torch.Tensor, reading: Reading | None) -> Share:
    """The share that a mask leaves, and what of it is of tokens that are no padding."""
    unmasked, pairs = int(is_open.sum()), is_open.numel()
    tokens = reading.tokens if reading is not None else None
    if reading is None or tokens is None:
        return Share(unmasked, pairs)
    heads = is_open.shape[1] if is_open.dim() == _BATCHED else 1
    whole = (len(tokens.lengths), heads, tokens.longest, tokens.longest)
    fits = all(
        size in {1, other}
        for size, other in zip(reversed(is_open.shape), reversed(whole), strict=False)
    )
    useful = reading.open_pairs(is_open, heads) if fits else None
    if useful is None:
        return Share(unmasked, pairs)
    every = heads * tokens.whole * tokens.longest
    return Share(unmasked * every // pairs, every, useful)  # it may stand for several rows


def _call_of(node: Node, key: str) -> str:
    """The name of the attention call that a node is a part of; "" where it is of none."""
    stack: Any = node.meta.get(key) or ()
    name = str(stack[-1][0]) if stack else ""
    return name if name.startswith(_NAME) else ""
