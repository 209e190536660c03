"""Reads what a program tells of its padding: masks passed to its modules or to goodput itself.

Reading a mask waits for the device: only the counted step may do so.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from goodput.formulas.aten_attention import Row, opening, row_of
from goodput.formulas.padding import Tokens, part_of_sizes, part_of_tokens
from goodput.formulas.told import told_now
from goodput.frontends.torch_private import is_meta, plain_functions
from goodput.work import Call, Contraction, TensorSpec, Work

_RANK = 2
_BATCHED_RANK = 4
_IGNORED = -100
"""The label of a token that no loss is taken of, in torch and in Hugging Face's models."""

_MASK, _LABELS = "attention_mask", "labels"


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What is told at one moment, read.

    Attributes:
        tokens: the padded batch; None where no token is padding.
        mask: `[batch, tokens]`, True where a token is useful.
        sizes: how much of a dimension of each size is useful.
        source: who told of the tokens.
    """

    tokens: Tokens | None
    mask: torch.Tensor | None
    sizes: Mapping[int, int]
    source: str

    def of(self, work: Work, product: Contraction | None, *, backward: bool) -> Work:
        """The work of a product, with the FLOPs on what is told to be useless as padding."""
        if product is None:
            return work
        part = self.tokens and part_of_tokens(product, self.tokens, backward=backward)
        work = part.of(work) if part else work
        size = part_of_sizes(product, self.sizes) if self.sizes else None
        return size.of(work) if size else work

    def of_attention(self, work: Work, call: Call, mask: torch.Tensor | None) -> Work:
        """The work of fused attention, with the pairs of padded tokens as padding.

        Args:
            work: all of it.
            call: the operator.
            mask: its mask tensor, where that has values.
        """
        row = row_of(call.name)
        heads = _heads(call, row, self.tokens) if row is not None and self.tokens else 0
        if row is None or self.tokens is None or not heads:
            return work
        pairs = self.open_pairs(mask, heads)
        if pairs is None:
            opened = opening(call, row)
            if opened is None:
                return work
            pairs = heads * sum(opened.pairs(length, length) for length in self.tokens.lengths)
        dense = heads * len(self.tokens.lengths) * self.tokens.longest**2
        useful = min(work.dense_flops // dense * pairs, work.flops)
        rest = work.flops - useful
        return replace(work, flops=useful, padding_flops=work.padding_flops + rest)

    def open_pairs(self, mask: torch.Tensor | None, heads: int) -> int | None:
        """Pairs of useful tokens that a mask leaves, for `heads` heads; None without its values."""
        if mask is None or self.mask is None or is_meta(mask) or mask.dim() > _BATCHED_RANK:
            return None
        is_open = mask if mask.dtype is torch.bool else mask > torch.finfo(mask.dtype).min
        while is_open.dim() < _BATCHED_RANK:
            is_open = is_open.unsqueeze(0)
        total = 0
        for place, keep in enumerate(self.mask):
            rows = is_open[min(place, is_open.shape[0] - 1)]
            rows = rows.expand(rows.shape[0], len(keep), len(keep))
            total += int(rows[:, keep][:, :, keep].sum()) * heads // rows.shape[0]
        return total

    @property
    def sentences(self) -> tuple[str, ...]:
        """Who told what, for the report."""
        return tuple(
            f"of dimensions of {size} only {useful} are useful, as goodput.useful_size told"
            for size, useful in self.sizes.items()
        )


def _heads(call: Call, row: Row, tokens: Tokens) -> int:
    """Query heads of attention over just these tokens; 0 for any other."""
    query, key = (
        call.inputs[place] if place < len(call.inputs) else None
        for place in (row.query, row.query + 1)
    )
    if not isinstance(query, TensorSpec) or not isinstance(key, TensorSpec):
        return 0
    if len(query.shape) != _BATCHED_RANK or query.shape[0] != len(tokens.lengths):
        return 0
    heads, length = (2, 1) if row.heads_last else (1, 2)
    whole = query.shape[length] == key.shape[length] == tokens.longest
    return query.shape[heads] if whole else 0


class ToldReader:
    """Knows what is told of the tokens that run now.

    What `goodput.useful_tokens` told counts before what a module is called with.
    """

    def __init__(self) -> None:
        self._passed: tuple[torch.Tensor | None, str] = (None, "")
        self._read_mask: object = None
        self._read_sizes: Mapping[int, int] | None = None
        self._reading: Reading | None = None
        self._seen: list[Reading] = []

    def called(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """A module that no other contains is called."""
        self._passed = _passed(module, args, kwargs)

    def current(self) -> Reading | None:
        """What holds now; None where nothing is told to be useless."""
        told = told_now()
        mask, source = self._passed if told.mask is None else (told.mask, "goodput.useful_tokens")
        if mask is None and not told.sizes:
            return None
        if mask is not self._read_mask or told.sizes is not self._read_sizes:
            # Kept, so that no other mask can take its place in memory and be taken for it.
            self._read_mask, self._read_sizes = mask, told.sizes
            with plain_functions():
                self._reading = _read(mask, source, told.sizes)
            if self._reading is not None:
                self._seen.append(self._reading)
        return self._reading

    @property
    def has_read(self) -> bool:
        """Whether anything was told until now, of padding or that there is none."""
        return self._read_mask is not None or self._reading is not None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Who told what in the counted step, for the report."""
        whole: dict[str, int] = {}
        useless: dict[str, int] = {}
        for one in self._seen:
            if one.tokens is not None:
                whole[one.source] = whole.get(one.source, 0) + one.tokens.whole
                padded = one.tokens.whole - one.tokens.useful
                useless[one.source] = useless.get(one.source, 0) + padded
        tokens = [
            f"{useless[source]} of {whole[source]} tokens of the counted step are padding, as "
            f"{source} told: what is done for them is executed and not useful"
            for source in whole
        ]
        sizes = [sentence for one in self._seen for sentence in one.sentences]
        return tuple(dict.fromkeys([*tokens, *sizes]))


def _passed(
    module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[torch.Tensor | None, str]:
    """The mask (or the labels) that a module is called with, and its name."""
    named = dict(kwargs)
    for value in args:
        if isinstance(value, Mapping):
            named.update(value)
    if any(isinstance(value, torch.Tensor) and value.dim() == _RANK for value in args):
        code = getattr(inspect.unwrap(module.forward), "__code__", None)
        names = code.co_varnames[1 : code.co_argcount] if code is not None else ()
        named.update(zip(names, args, strict=False))
    for name in (_MASK, _LABELS):
        value = named.get(name)
        if isinstance(value, torch.Tensor) and value.dim() == _RANK and value.numel():
            return value, name
    return None, ""


def _read(mask: Any, source: str, sizes: Mapping[int, int]) -> Reading | None:
    keep = _useful(torch.as_tensor(mask), source) if mask is not None else None
    tokens = None
    if keep is not None and not bool(keep.all()):
        lengths = tuple(int(length) for length in keep.sum(1).tolist())
        tokens = Tokens(lengths, keep.shape[1])
    if tokens is None and not sizes:
        return None
    return Reading(tokens, keep, sizes, source)


def _useful(mask: torch.Tensor, source: str) -> torch.Tensor | None:
    """True where a token is useful; None where the values are not known.

    Labels that are ignored are no padding by themselves (a prompt has such), but nothing after the
    last one that counts can change the loss.
    """
    if is_meta(mask):
        return None
    if source != _LABELS:
        return mask != 0
    counted = (mask != _IGNORED).cpu()
    last = counted.flip(1).cumsum(1).flip(1)
    return last > 0
