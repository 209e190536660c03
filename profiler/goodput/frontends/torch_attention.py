"""Which products belong to an attention that torch takes apart (its `math` kernel).

Such attention reaches the counter as plain batched products over all pairs, forward and backward.
The call above them knows the mask: its open pairs are useful, the rest are computed as padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import mul
from typing import Any

import torch
from torch._ops import HigherOrderOperator
from torch.overrides import TorchFunctionMode

from goodput.formulas.attention import causal_pairs
from goodput.frontends.torch_higher_order import body_by_body
from goodput.frontends.torch_told import Reading
from goodput.work import Work


@dataclass(frozen=True, slots=True)
class Attended:
    """One attention call: how many pairs a head has, and what says which of them are open.

    `mask` is the call's mask tensor, None without one; `is_causal` is the top-left triangle.
    """

    queries: int
    keys: int
    is_causal: bool
    mask: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Share:
    """`unmasked` of `pairs` pairs are open: exact, as both are whole numbers of the same mask.

    `useful` of the unmasked ones are of tokens that are no padding; None where all are.
    """

    unmasked: int
    pairs: int
    useful: int | None = None

    def of(self, work: Work) -> Work:
        """The work of one product over all pairs, its masked pairs told as padding."""
        kept = self.unmasked if self.useful is None else self.useful
        useful = work.flops * kept // self.pairs
        return replace(work, flops=useful, padding_flops=work.flops - useful)

    def told_of(self, work: Work) -> int:
        """FLOPs of one product over all pairs that are open, but for padded tokens."""
        kept = self.unmasked if self.useful is None else self.useful
        return work.flops * self.unmasked // self.pairs - work.flops * kept // self.pairs


class AttentionWatch(TorchFunctionMode):
    """Knows the attention call that runs now; `current` is None outside one.

    Args:
        opens_loops: whether loops and branches that are operators run as Python would run them,
            forward and backward. Torch traces their bodies for the gradients, and only its compiler
            hands these the tensors that they close over.
    """

    def __init__(self, *, opens_loops: bool = False) -> None:
        super().__init__()
        self.current: Attended | None = None
        self._opens_loops = opens_loops

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Runs `func`, remembering an attention call while it runs."""
        kwargs = kwargs or {}
        if func is not torch.nn.functional.scaled_dot_product_attention:
            opened = None
            if self._opens_loops and isinstance(func, HigherOrderOperator):
                opened = body_by_body(str(func), args, kwargs)
            if opened is None:
                return func(*args, **kwargs)
            with self:
                return opened()
        with self._during(*args, **kwargs):
            return func(*args, **kwargs)

    @contextmanager
    def _during(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **_: Any,
    ) -> Iterator[None]:
        del value, dropout_p
        if not query.is_nested:
            self.current = Attended(query.shape[-2], key.shape[-2], is_causal, attn_mask)
        try:
            yield
        finally:
            self.current = None


def share_of(
    attended: Attended, open_entries: int | None, reading: Reading | None = None
) -> Share | None:
    """The open share of the pairs; None where every pair is.

    Args:
        attended: the call.
        open_entries: entries of its mask that let a pair through, None without a mask.
        reading: what is told of padded tokens.
    """
    share = _masked_share(attended, open_entries)
    tokens = reading.tokens if reading is not None else None
    if reading is None or tokens is None:
        return share
    if not attended.queries == attended.keys == tokens.longest:
        return share
    batch, one = len(tokens.lengths), attended.queries * attended.keys
    useful = reading.open_pairs(attended.mask, 1)
    if useful is None:
        count = causal_pairs if attended.is_causal else mul
        useful = sum(count(length, length) for length in tokens.lengths)
    unmasked = batch * one if share is None else share.unmasked * batch * one // share.pairs
    return Share(unmasked, batch * one, min(useful, unmasked))


def _masked_share(attended: Attended, open_entries: int | None) -> Share | None:
    if attended.mask is not None and open_entries is not None and attended.mask.numel():
        return Share(open_entries, attended.mask.numel())
    pairs = attended.queries * attended.keys
    if not attended.is_causal or not pairs:
        return None
    return Share(causal_pairs(attended.queries, attended.keys), pairs)
