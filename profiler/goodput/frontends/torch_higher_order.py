"""Operators that take functions: loops run body by body, and flexible attention by its mask.

Each is counted by what really happens: as many bodies as there are trips, the branch that is taken,
the pairs that `mask_mod` leaves open.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from goodput.formulas.attention import Pairs, attention, attention_backward
from goodput.frontends.torch_calls import spec
from goodput.frontends.torch_private import loops
from goodput.work import Call, Work

_EVALUATED = 2**26
"""Pairs up to which `mask_mod` is asked for each; beyond, its partial blocks count as open."""

_BLOCK_SIZES = -3
"""Place of the two block sizes in a block mask, before `mask_mod`."""


def body_by_body(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function that runs a loop or a branch as ordinary operators; None for other operators."""
    if name == "cond":
        predicate, on_true, on_false, operands = args
        return lambda: (on_true if bool(predicate) else on_false)(*operands)
    loop: Callable[..., Any] | None = loops().get(name)
    return None if loop is None else lambda: loop(*args, **kwargs)


def flex_call(name: str, args: tuple[Any, ...]) -> tuple[Call, Work] | None:
    """A call of flexible attention and its work; None for any other operator."""
    if name not in {"flex_attention", "flex_attention_backward"}:
        return None
    backward = name.endswith("backward")
    query, key, value = args[:3]
    block_mask, mask_buffers = (args[9], args[13]) if backward else (args[4], args[8])
    pairs = _pairs(query, key, block_mask, mask_buffers)
    count = attention_backward if backward else attention
    work = count(pairs, query.shape[-1], value.shape[-1])
    tensors = tuple(spec(tensor) for tensor in (query, key, value))
    call = Call(f"higher_order::{name}", tensors)
    read = sum(tensor.bytes for tensor in tensors)
    written = query.numel() // query.shape[-1] * value.shape[-1] * query.element_size()
    moved = Work(bytes_read=read, bytes_written=read if backward else written)
    return call, work + moved


def _pairs(
    query: torch.Tensor, key: torch.Tensor, block_mask: tuple[Any, ...], buffers: tuple[Any, ...]
) -> Pairs:
    batch, heads, queries, _ = query.shape
    keys = key.shape[-2]
    rows, dense = batch * heads * queries, batch * heads * queries * keys
    computed = _in_blocks(block_mask, batch * heads, dense)
    unmasked = computed
    if dense <= _EVALUATED and block_mask[-1] is not None:
        unmasked = _open((batch, heads, queries, keys), block_mask[-1], buffers)
    return Pairs(rows, dense, unmasked, max(computed, unmasked))


def _in_blocks(block_mask: tuple[Any, ...], heads: int, dense: int) -> int:
    """Pairs in the blocks that a kernel works on, for all heads; all where nobody knows them."""
    partial, full = block_mask[2], block_mask[4]
    if partial is None:
        return dense
    blocks = int(partial.sum()) + (0 if full is None else int(full.sum()))
    copies = heads // math.prod(map(int, partial.shape[:-1]))
    rows, columns = int(block_mask[_BLOCK_SIZES]), int(block_mask[_BLOCK_SIZES + 1])
    return min(blocks * copies * rows * columns, dense)


def _open(shape: tuple[int, ...], mask_mod: Any, buffers: tuple[Any, ...]) -> int:
    """Pairs of `shape`, [batch, heads, queries, keys], that `mask_mod` leaves open."""
    places = [
        torch.arange(size).reshape([-1 if axis == own else 1 for axis in range(len(shape))])
        for own, size in enumerate(shape)
    ]
    return int(mask_mod(*places, *buffers).expand(shape).sum())
