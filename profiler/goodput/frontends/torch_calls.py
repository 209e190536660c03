"""Translates one torch operator call into goodput's neutral `Call`. Counts nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch._subclasses import FakeTensor

from goodput.formulas.aten_attention import Row, opening, packed_sizes, row_of
from goodput.formulas.attention import fullest_packing
from goodput.frontends.torch_count_masks import spans_of
from goodput.frontends.torch_private import (
    arguments_of,
    facts_of,
    gradients_needed,
    is_meta,
    is_sparse,
    is_zero,
    name_of,
    nonzero,
    overload_of,
    version_of,
)
from goodput.work import Argument, Call, TensorSpec

_MASKS = ("attn_mask", "attn_bias")
_DTYPES = {"float8_e4m3fn": "float8_e4m3", "float8_e4m3fnuz": "float8_e4m3"}
_DTYPES |= {"float8_e5m2fnuz": "float8_e5m2"}
_NUMBERS = frozenset({bool, int, float, complex})
_WORDS = frozenset({str, torch.dtype, torch.device, torch.layout, torch.memory_format})
_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})
_CONVOLUTIONS = ("convolution", "conv")
_LAYER_BACKWARD = "aten::mkldnn_rnn_layer_backward"


class CallTranslator:
    """Makes the `Call` of each operator call; masks are read once each and kept until then."""

    def __init__(self) -> None:
        self.unread_masks = 0
        self.bounded_packings = 0
        self.mask: torch.Tensor | None = None
        self._pairs: dict[tuple[Any, ...], tuple[torch.Tensor, int]] = {}

    def call(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> Call:
        """The call of `func` with its schema's defaults filled in.

        Reading a mask waits for the device: only the counted step may do so.
        """
        values = self._bound(func, args, kwargs)
        name = name_of(func)
        call = Call(
            name=name,
            inputs=tuple([argument(value) for value in values.values()]),
            outputs=tuple([spec(tensor) for tensor in tensors_in((out,))]),
            attributes=self._attributes(func, name, values, out),
        )
        row = row_of(name)
        packed = row is not None and self._packed_pairs(call, row, tuple(values.values()))
        return replace(call, attributes={**call.attributes, **packed}) if packed else call

    def _packed_pairs(self, call: Call, row: Row, values: tuple[Any, ...]) -> dict[str, object]:
        """The pairs of attention over packed sequences, by their cumulative lengths.

        Where those have no values, the most pairs that sequences of the stated longest can make.
        """
        packed = packed_sizes(call, row)
        opened = opening(call, row) if packed is not None else None
        if packed is None or opened is None:
            return {}
        ends = values[row.cumulative : row.cumulative + 2]
        queries, keys = (
            _lengths(one) for one in (ends[0], ends[0] if ends[1] is None else ends[1])
        )
        if queries is None or keys is None:
            self.bounded_packings += 1
            queries = fullest_packing(packed.queries, packed.longest, packed.sequences)
            keys = fullest_packing(packed.keys, packed.longest_keys, packed.sequences)
        pairs = list(zip(queries, keys, strict=False))
        return {
            "unmasked_pairs": packed.heads * sum(opened.pairs(*pair) for pair in pairs),
            "dense_pairs": packed.heads * sum(one * other for one, other in pairs),
        }

    def _bound(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: args[place] if place < len(args) else kwargs.get(name, default)
            for place, (name, default) in enumerate(arguments_of(func))
        }

    def _attributes(
        self, func: Any, name: str, values: Mapping[str, Any], out: Any
    ) -> dict[str, object]:
        self.mask = None
        attributes: dict[str, object] = {}
        if overload_of(func):
            attributes["overload"] = overload_of(func)
        first = next(tensors_in(values.values()), None)
        if first is None:
            return attributes
        attributes |= _of_sparse(values) if not _is_dense(values) else {}
        if isinstance(out, torch.Tensor) and is_sparse(out):
            attributes["nnz"] = nonzero(out)
        if name == _LAYER_BACKWARD:
            # One kernel makes them all, whichever are used.
            attributes["needed"] = gradients_needed("MkldnnRnnLayerBackward", (0, 5))
        if first.is_cuda and first.dtype is torch.float32 and _allows_tf32(name):
            attributes["tf32"] = True
        mask = next((m for key in _MASKS if (m := values.get(key)) is not None), None)
        self.mask = mask if isinstance(mask, torch.Tensor) and mask.dim() else None
        if isinstance(mask, torch.Tensor) and "attention" in name:
            pairs = self._unmasked_pairs(mask, values)
            if pairs is not None:
                attributes["unmasked_pairs"] = pairs
        return attributes

    def _unmasked_pairs(self, mask: torch.Tensor, values: Mapping[str, Any]) -> int | None:
        """Pairs of queries and keys that `mask` leaves, over all of the batch and the heads."""
        query, key = values.get("query"), values.get("key")
        if not isinstance(query, torch.Tensor) or not isinstance(key, torch.Tensor):
            return None
        if not mask.numel():
            return None
        # The mask's last dimension is the keys in every layout; key itself may be [B, S, H, D].
        keys = mask.shape[-1] if mask.shape[-1] > 1 else key.shape[-2]
        whole = query.numel() // query.shape[-1] * keys if query.numel() else 0
        entries = self.open_entries(mask)
        return None if entries is None else entries * whole // mask.numel()

    def open_entries(self, mask: torch.Tensor, *, again: bool = False) -> int | None:
        """Entries of `mask` that let a pair through; each mask is counted once.

        None where it has no values: then every pair counts as open, and `unread_masks` tells.
        `again` is whether the attention call at hand was asked for already.
        """
        if is_meta(mask) or isinstance(mask, FakeTensor):
            spans = spans_of(mask)
            if spans is not None:
                return spans.open_entries(mask)
            self.unread_masks += not again
            return None
        identity = (mask.data_ptr(), version_of(mask), mask.shape, mask.stride(), mask.dtype)
        known = self._pairs.get(identity)
        if known is None:
            known = self._pairs[identity] = (mask, _open_entries(mask))
        return known[1]


def signature(value: Any) -> Any:
    """What a formula can know of a value, to look calls up by; calls of equal ones do equal work.

    Raises:
        TypeError: the value says more than its shape: it is sparse, or no plain value at all.
    """
    kind = type(value)
    if kind in _PLAIN:
        if value.layout is not torch.strided or value.is_nested:
            raise TypeError("what a sparse or nested tensor holds is no part of its shape")
        return value.shape, value.stride(), value.dtype, is_zero(value), value.is_cuda
    if kind is list or kind is tuple:
        return tuple([signature(item) for item in value])
    if value is None or kind in _WORDS:
        return value
    if kind in _NUMBERS:
        return kind, value  # 1, 1.0 and True are equal, and no formula's same
    raise TypeError(f"a {kind.__name__} is no part of a signature")


def reads_values(name: str) -> bool:
    """Whether the work of operator `name` depends on more than shapes: masks, lengths, a graph."""
    return "attention" in name or name == _LAYER_BACKWARD or row_of(name) is not None


def call_key(func: Any, args: tuple[Any, ...], kwargs: Any, result: Any) -> Any:
    """What equal calls are looked up by; None where shapes do not say all."""
    if reads_values(facts_of(func).name):
        return None
    try:
        named = signature((*kwargs, *kwargs.values())) if kwargs else ()
        return id(func), signature(args), named, signature(result)
    except TypeError:
        return None


def part_of(value: Any, place: int) -> Any:
    """A part of a nested tensor, as a batch of one, without memory, as other tensors are then."""
    if isinstance(value, list | tuple):
        return type(value)(part_of(item, place) for item in value)
    if not isinstance(value, torch.Tensor):
        return value
    return value[place].to("meta").unsqueeze(0) if value.is_nested else value.to("meta")


def on_a_part(func: Any) -> Any:
    """What does to a part of a nested tensor as `func` does to the whole."""
    return _ON_PARTS.get(name_of(func), func)


def _matmul_backward(
    gradient: torch.Tensor, left: torch.Tensor, right: torch.Tensor, wanted: Sequence[bool]
) -> None:
    if wanted[0]:
        gradient @ right.mT
    if wanted[1]:
        left.mT @ gradient


def _linear_backward(
    inputs: torch.Tensor, gradient: torch.Tensor, weight: torch.Tensor, wanted: Sequence[bool]
) -> None:
    if wanted[0]:
        gradient @ weight
    if wanted[1]:
        gradient.mT @ inputs
    if wanted[2]:
        gradient.sum(1)


_ON_PARTS = {
    "aten::matmul_backward": _matmul_backward,
    "aten::linear_backward": _linear_backward,
}
"""What torch has only for nested tensors, on a part."""


def argument(value: Any) -> Argument:
    """A torch argument in neutral terms; what a formula cannot use becomes its text."""
    if isinstance(value, torch.Tensor):
        return spec(value)
    if value is None or isinstance(value, bool | int | float | complex | str):
        return value
    if isinstance(value, list | tuple):
        return tuple(argument(item) for item in value)
    return str(value)


def spec(tensor: torch.Tensor) -> TensorSpec:
    """Shape, dtype and strides of a tensor; no strides where its layout has none.

    The parts of a nested tensor have shapes of their own: it is told as its elements in a row.
    """
    if tensor.is_nested:
        return TensorSpec((tensor.numel(),), dtype_name(tensor.dtype))
    strides = tuple(tensor.stride()) if tensor.layout is torch.strided else ()
    return TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype), strides)


def dtype_name(dtype: torch.dtype) -> str:
    """The neutral name of a dtype, e.g. `bfloat16`."""
    name = str(dtype).removeprefix("torch.")
    return _DTYPES.get(name, name)


def tensors_in(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    """The tensors among `values`, lists opened."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)


def _is_dense(values: Mapping[str, Any]) -> bool:
    return not any(isinstance(one, torch.Tensor) and is_sparse(one) for one in values.values())


def _of_sparse(values: Mapping[str, Any]) -> dict[str, object]:
    """The stored elements and the place of the sparse operand; no elements where there are more."""
    found = [
        (place, one)
        for place, one in enumerate(values.values())
        if isinstance(one, torch.Tensor) and is_sparse(one)
    ]
    place, operand = found[0]
    return {"nnz": nonzero(operand) if len(found) == 1 else None, "sparse": place}


def _lengths(ends: Any) -> tuple[int, ...] | None:
    """The lengths between cumulative ones; None where those have no values."""
    if not isinstance(ends, torch.Tensor) or is_meta(ends):
        return None
    return tuple(int(length) for length in ends.diff().tolist())


def _open_entries(mask: torch.Tensor) -> int:
    """Entries that let a pair through: True, or a bias above the dtype's lowest number."""
    if mask.dtype is torch.bool:
        return int(mask.sum().item())
    return int((mask > torch.finfo(mask.dtype).min).sum().item())


def _allows_tf32(name: str) -> bool:
    if any(word in name for word in _CONVOLUTIONS):
        return bool(torch.backends.cudnn.allow_tf32)
    return torch.get_float32_matmul_precision() != "highest"
