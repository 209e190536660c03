"""Masks too large to be computed, by what they leave open of each row: one span of keys.

Causal, sliding and chunked masks, and those of packed sequences, are made of comparisons between
the positions of queries and of keys. Where the keys' are in order, each query's open keys are next
to each other; so are those that two such masks leave both. Counts nothing of a program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from goodput.frontends.torch_private import version_of

_MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq"}
_COMPARISONS = {f"aten::{word}": word for word in _MIRRORED}
_BOTH = frozenset({"aten::bitwise_and", "aten::logical_and"})
_SAME = frozenset({"aten::expand", "aten::alias", "aten::detach", "aten::clone", "aten::_to_copy"})
_MATRIX = 2


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """The keys that each query is let through to: from `first`, before `end`.

    Both are `[..., queries]`, the leading dimensions broadcast to the mask's. A span may be empty:
    its end is then not above its first. `version` is that of the mask that they were read of.
    """

    first: torch.Tensor
    end: torch.Tensor
    keys: int
    version: int = 0

    def open_entries(self, mask: torch.Tensor) -> int:
        """Entries of `mask` that let a pair through."""
        own = (self.end - self.first).clamp(min=0)
        return int(own.sum().item()) * (mask.numel() // (own.numel() * self.keys))


def note_spans(name: str, args: tuple[Any, ...], mask: Any) -> None:
    """Remembers on `mask`, what operator `name` made of `args`, its spans where they are known."""
    if type(mask) is not torch.Tensor or mask.dtype is not torch.bool or mask.dim() < _MATRIX:
        return
    spans = _spans(name, args, mask) if mask.numel() else None
    if spans is not None:
        kept = Spans(spans.first, spans.end, spans.keys, version_of(mask))
        mask.goodput_spans = kept  # type: ignore[attr-defined]  # read by `spans_of`


def spans_of(mask: Any) -> Spans | None:
    """The spans of a mask, where they are known and nothing was written to it since."""
    spans: Spans | None = getattr(mask, "goodput_spans", None)
    return spans if spans is not None and spans.version == version_of(mask) else None


def _spans(name: str, args: tuple[Any, ...], mask: torch.Tensor) -> Spans | None:
    if name in _SAME:
        before = args[0]
        return spans_of(before) if before.shape[-2:] == mask.shape[-2:] else None
    left, right = args[:2] if len(args) >= _MATRIX else (None, None)
    if not (isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor)):
        return None
    if name in _BOTH:
        return _of_both(left, right, mask)
    word = _COMPARISONS.get(name)
    if word is None:
        return None
    return _compared(word, left, right, mask) or _compared(_MIRRORED[word], right, left, mask)


def _of_both(left: torch.Tensor, right: torch.Tensor, mask: torch.Tensor) -> Spans | None:
    """What two masks leave open both; one of them may be a single value."""
    for one, other in ((left, right), (right, left)):
        if not one.dim() and not one.is_meta and one.item():
            return spans_of(other) if other.shape[-2:] == mask.shape[-2:] else None
    first, second = spans_of(left), spans_of(right)
    if first is None or second is None or left.shape[-2:] != right.shape[-2:]:
        return None
    start = torch.maximum(first.first, second.first)
    return Spans(start, torch.minimum(first.end, second.end), first.keys)


def _compared(
    word: str, keys: torch.Tensor, queries: torch.Tensor, mask: torch.Tensor
) -> Spans | None:
    """Where `keys` compare so with `queries`; None where they are not positions in order."""
    if any(side.is_meta or not side.dim() or _is_float(side) for side in (keys, queries)):
        return None
    rows, columns = mask.shape[-2:]
    keys = keys[None] if keys.dim() < _MATRIX else keys
    if keys.shape[-2:] != (1, columns) or queries.shape[-2:] != (rows, 1):
        return None
    places, asked = keys.squeeze(-2), queries.squeeze(-1)
    if not bool((places[..., 1:] >= places[..., :-1]).all()):
        return None
    shapes = places.shape[:-1], asked.shape[:-1]
    lead = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]  # untyped in torch
    places = places.expand(*lead, columns).contiguous()
    asked = asked.expand(*lead, rows).contiguous()
    below = torch.searchsorted(places, asked)
    reached = torch.searchsorted(places, asked, right=True)
    none, all_of_them = torch.zeros_like(below), torch.full_like(below, columns)
    spans = {
        "lt": (none, below),
        "le": (none, reached),
        "gt": (reached, all_of_them),
        "ge": (below, all_of_them),
        "eq": (below, reached),
    }
    return Spans(*spans[word], columns)


def _is_float(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()
