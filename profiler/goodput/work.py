"""What an operator needs: plain types for shapes, calls and work. Never touches a framework.

Units: FLOP (a fused multiply-add is 2, a complex one 8) and byte. All counts are exact integers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeAlias

ITEM_BYTES: Mapping[str, int] = {
    "float64": 8,
    "float32": 4,
    "bfloat16": 2,
    "float16": 2,
    "float8_e4m3": 1,
    "float8_e5m2": 1,
    "complex128": 16,
    "complex64": 8,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of one element, by neutral dtype name."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A dense tensor: its shape and its neutral dtype name (a key of `ITEM_BYTES`, or unknown).

    `strides` is in elements, empty where it is not known.
    """

    shape: tuple[int, ...]
    dtype: str
    strides: tuple[int, ...] = ()

    @property
    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def item_bytes(self) -> int:
        """Bytes of one element; 4 for a dtype that goodput does not know."""
        return ITEM_BYTES.get(self.dtype, 4)

    @property
    def bytes(self) -> int:
        """Bytes of distinct memory: a broadcast (stride 0) dimension is stored once."""
        if len(self.strides) != len(self.shape):
            return self.numel * self.item_bytes
        stored = math.prod(
            size
            for size, stride in zip(self.shape, self.strides, strict=True)
            if stride or not size
        )
        return stored * self.item_bytes


Argument: TypeAlias = (
    "TensorSpec | tuple[Argument, ...] | int | float | complex | bool | str | None"
)
"""One argument of a call: a tensor, a scalar, a (nested) tuple of them, or None."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operator call in the framework's own words, e.g. `aten::addmm`.

    Args:
        name: qualified operator name without overload, e.g. `aten::add_`.
        inputs: every argument of the operator's schema in schema order, defaults included, as far
            as they are known; a trailing argument may be missing.
        outputs: the tensors it returned; empty where unknown (a trace file does not have them).
        attributes: anything else a formula may use: `overload` (str), `tf32` (bool),
            `unmasked_pairs` (int: live, the mask's True entries were counted, over batch and query
            heads), `dense_pairs` (int: all pairs of packed sequences, which shapes do not show).
    """

    name: str
    inputs: tuple[Argument, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """All input tensors, lists flattened, in order."""
        found: list[TensorSpec] = []
        stack: list[Argument] = list(reversed(self.inputs))
        while stack:
            item = stack.pop()
            if isinstance(item, TensorSpec):
                found.append(item)
            elif isinstance(item, tuple):
                stack.extend(reversed(item))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Work:
    """What one operator call does, each kind in its own column; columns are never mixed.

    Attributes:
        flops: useful FLOPs `U` under the `exact` convention: products with a reduction, unmasked
            attention pairs only, attention backward twice its forward.
        dense_flops: `U` under `dense-attention`: as `flops`, but every attention pair.
        recompute_flops: contractions a backward kernel does beyond its needed gradients, such as
            the fifth product of flash backward. Executed, not useful.
        padding_flops: masked pairs that the kernel really computes. Executed, not useful.
        vector_flops: elementwise, reduction, normalisation and optimizer arithmetic.
        special: calls of special functions (exp, tanh, erf, rsqrt...).
        bytes_read: least bytes read, each input once.
        bytes_written: least bytes written, each output once.
    """

    flops: int = 0
    dense_flops: int = 0
    recompute_flops: int = 0
    padding_flops: int = 0
    vector_flops: int = 0
    special: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    @classmethod
    def of_products(cls, flops: int, call: Call) -> Work:
        """`flops` useful FLOPs, and the bytes of the call's tensors, each moved once."""
        return cls(
            flops=flops,
            dense_flops=flops,
            bytes_read=sum(tensor.bytes for tensor in call.tensors),
            bytes_written=sum(tensor.bytes for tensor in call.outputs),
        )

    @property
    def bytes(self) -> int:
        """Least memory traffic."""
        return self.bytes_read + self.bytes_written

    @property
    def executed_flops(self) -> int:
        """`F = U + recompute + padding`."""
        return self.flops + self.recompute_flops + self.padding_flops

    def __add__(self, other: Work) -> Work:
        """The work of both."""
        return Work(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Work)))

    def __mul__(self, times: int) -> Work:
        """The work of `times` such calls."""
        return Work(*(getattr(self, f.name) * times for f in fields(Work)))


@dataclass(frozen=True, slots=True)
class Contraction:
    """A batch of matrix products `[batch, m, k] x [batch, k, n]` in one math mode."""

    batch: int
    m: int
    n: int
    k: int
    mode: str

    @property
    def flops(self) -> int:
        """`2 batch m n k`."""
        return 2 * self.batch * self.m * self.n * self.k
