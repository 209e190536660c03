"""Memory traffic that is not one long stream: strides, rows by index, transposes, row reductions.

Useful bytes are what the operation needs: each float32 value and each index that it reads or writes
once. What else the memory has to transfer for it (whole sectors and lines) is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from goodput_kernels.candidate import Candidate
from goodput_kernels.operands import PERIOD, SEED, random_tensor, repeated, small_integers
from goodput_kernels.threads import one_thread
from goodput_kernels.verification import MOST_VALUES, ROUNDOFF, Kernel, verify

if TYPE_CHECKING:
    import torch

_ITEM = 4
_INDEX = 8
_ROUNDOFF = ROUNDOFF["float32"]

_ROWS = (64, 256, 1024, 4096)
_LONG_ROWS = (1 << 12, 1 << 16, 1 << 19)

OPERATIONS = {
    "strided": (8, 16, 32, 64, 128),
    "gather": (4, *_ROWS),
    "scatter": _ROWS,
    "scatter-add": _ROWS,
    "embedding": _ROWS,
    "transpose": (4,),
    "sum": _LONG_ROWS,
    "softmax": _LONG_ROWS,
    "layer-norm": _LONG_ROWS,
}
"""The bytes of what lies together, by operation: a row, or the step of a strided copy."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """How many rows of how many bytes, and where."""

    rows: int
    row_bytes: int
    device: str

    @property
    def columns(self) -> int:
        return self.row_bytes // _ITEM

    def table(self, first: int = 0) -> torch.Tensor:
        """`[rows, columns]`."""
        values = small_integers(self.rows * self.columns, self.device, first)
        return values.reshape(self.rows, self.columns)

    def normals(self) -> torch.Tensor:
        """`[rows, columns]` of standard-normal values."""
        values = repeated(
            random_tensor((PERIOD,), "float32", self.device), self.rows * self.columns
        )
        return values.reshape(self.rows, self.columns)

    def order(self) -> torch.Tensor:
        """Every row's number once, in random order."""
        import torch

        generator = torch.Generator(device=self.device).manual_seed(SEED)
        return torch.randperm(self.rows, generator=generator, device=self.device)


@dataclass(frozen=True, slots=True)
class _Way:
    """One operation.

    Attributes:
        name: its operator.
        make: prepares it.
        passes: times that the rows are read or written.
        indexed: whether an index is read for each row.
        tensors: that hold the rows.
    """

    name: str
    make: Callable[[_Shape], Kernel]
    passes: int = 2
    indexed: bool = False
    tensors: int = 2


def candidates(
    operation: str, footprint_bytes: int, together_bytes: int, device: str = "cpu"
) -> tuple[Candidate, ...]:
    """`operation` over about a footprint; on a CPU on one thread as well.

    Args:
        operation: one of `OPERATIONS`.
        footprint_bytes: distinct memory.
        together_bytes: bytes of a row, or the step of a strided copy.
        device: torch's name.
    """
    way = _WAYS[operation]
    index = _INDEX * way.indexed
    if operation == "strided":
        each = together_bytes + _ITEM  # the step that is read from, and the value written
        useful = 2 * _ITEM
    elif operation == "transpose":
        each = useful = 2 * _ITEM
    else:
        each = way.tensors * together_bytes + index
        useful = way.passes * together_bytes + index
    rows = max(footprint_bytes // each, 1)
    if operation == "transpose":
        rows = math.isqrt(rows) ** 2
    make = partial(way.make, _Shape(rows, together_bytes, device))
    found = Candidate(
        name=f"{way.name} {together_bytes} bytes of {footprint_bytes} bytes",
        library="torch",
        unit="bytes",
        amount=rows * useful,
        prepare=lambda: make().call,
        working_set_bytes=rows * each,
        verify=lambda: verify(make()),
    )
    return (found, one_thread(found)) if device == "cpu" else (found,)


def _strided(shape: _Shape) -> Kernel:
    import torch

    source = shape.table()[:, 0]
    target = torch.empty(shape.rows, device=shape.device)
    return Kernel(
        partial(target.copy_, source),
        shape.rows,
        lambda rows: source[rows].double(),
        limit=0.0,
        target=target,
        sampled=MOST_VALUES,
    )


def _transpose(shape: _Shape) -> Kernel:
    import torch

    edge = math.isqrt(shape.rows)
    source = small_integers(edge**2, shape.device).reshape(edge, edge)
    target = torch.empty_like(source)
    return Kernel(
        partial(target.copy_, source.t()),
        edge,
        lambda rows: source[:, rows].t().double(),
        limit=0.0,
        target=target,
    )


def _gather(shape: _Shape) -> Kernel:
    import torch

    table, order = shape.table(), shape.order()
    target = torch.empty_like(table)
    return Kernel(
        partial(torch.index_select, table, 0, order, out=target),
        shape.rows,
        lambda rows: table[order[rows]].double(),
        limit=0.0,
        target=target,
    )


def _embedding(shape: _Shape) -> Kernel:
    from torch.nn.functional import embedding

    table, order = shape.table(), shape.order()
    return Kernel(
        partial(embedding, order, table),
        shape.rows,
        lambda rows: table[order[rows]].double(),
        limit=0.0,
        allocates=(tuple(table.shape), table.dtype, shape.device),
    )


def _scatter(shape: _Shape) -> Kernel:
    import torch

    source, order = shape.table(), shape.order()
    target = torch.empty_like(source)
    return Kernel(
        partial(target.index_copy_, 0, order, source),
        shape.rows,
        lambda rows: source[order.argsort()[rows]].double(),
        limit=0.0,
        target=target,
    )


def _scatter_add(shape: _Shape) -> Kernel:
    source, target, order = shape.table(), shape.table(first=1), shape.order()
    return Kernel(
        partial(target.index_add_, 0, order, source),
        shape.rows,
        lambda rows: target[rows].double() + source[order.argsort()[rows]].double(),
        limit=0.0,
    )


def _sum(shape: _Shape) -> Kernel:
    import torch

    table = shape.table()
    target = torch.empty(shape.rows, device=shape.device)
    return Kernel(
        partial(torch.sum, table, 1, out=target),
        shape.rows,
        lambda rows: table[rows].double().sum(1),
        limit=_row_limit(shape),
        target=target,
    )


def _softmax(shape: _Shape) -> Kernel:
    import torch

    table = shape.normals()
    target = torch.empty_like(table)
    return Kernel(
        partial(torch.softmax, table, 1, out=target),
        shape.rows,
        lambda rows: table[rows].double().softmax(1),
        limit=_row_limit(shape),
        target=target,
    )


def _layer_norm(shape: _Shape) -> Kernel:
    from torch.nn.functional import layer_norm

    table = shape.normals()
    size = [shape.columns]
    return Kernel(
        partial(layer_norm, table, size),
        shape.rows,
        lambda rows: layer_norm(table[rows].double(), size),
        limit=_row_limit(shape),
        allocates=(tuple(table.shape), table.dtype, shape.device),
    )


def _row_limit(shape: _Shape) -> float:
    # A sum along the row, as in `verification`, and a few operations and functions on each value.
    return _ROUNDOFF * (math.sqrt(shape.columns) + 16)


_WAYS = {
    "strided": _Way("copy_ of every", _strided),
    "gather": _Way("index_select of rows of", _gather, indexed=True),
    "scatter": _Way("index_copy_ of rows of", _scatter, indexed=True),
    "scatter-add": _Way("index_add_ of rows of", _scatter_add, passes=3, indexed=True),
    "embedding": _Way("embedding of rows of", _embedding, indexed=True),
    "transpose": _Way("transpose of items of", _transpose),
    "sum": _Way("sum over rows of", _sum, passes=1, tensors=1),
    "softmax": _Way("softmax over rows of", _softmax),
    "layer-norm": _Way("layer_norm over rows of", _layer_norm),
}
