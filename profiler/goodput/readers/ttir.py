"""What a Triton kernel does, counted from the text of its intermediate representation (TTIR).

Nothing runs and nothing is compiled: whole numbers (program numbers, addresses, masks, bounds of
loops) are worked out for all programs at once, and floating-point numbers are only counted. A
kernel that does something unknown, or whose loops depend on data, is refused by the operation's
name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from goodput.errors import UsageError
from goodput.readers import ttir_arithmetic, ttir_floats, ttir_memory, ttir_shapes
from goodput.readers.ttir_control import CONTROL
from goodput.readers.ttir_index import Index, constant, truth
from goodput.readers.ttir_machine import Descriptor, Machine, Tally, UncountableError, Value
from goodput.readers.ttir_memory import descriptor_type
from goodput.readers.ttir_products import Data
from goodput.readers.ttir_text import Module, Type, item_bits, parse
from goodput.readers.ttir_traffic import Traffic
from goodput.readers.ttir_values import Memory
from goodput.work import Work

__all__ = ["Argument", "KernelCount", "TensorBlock", "UncountableError", "count_kernel", "parse"]

_PART = 2**16
"""Programs that are looked at together."""

_HANDLERS = (
    ttir_floats.HANDLERS | ttir_arithmetic.HANDLERS | ttir_shapes.HANDLERS | ttir_memory.HANDLERS
)


@dataclass(frozen=True, slots=True)
class TensorBlock:
    """A tensor descriptor that the host made.

    Attributes:
        address: of the tensor's first element.
        sizes, strides: of each dimension, in elements.
    """

    address: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


Argument: TypeAlias = int | float | bool | TensorBlock | None
"""A pointer's address, a number, a descriptor; None for a number that nobody knows."""


@dataclass(frozen=True, slots=True)
class KernelCount:
    """What all programs of a launch do.

    Attributes:
        issued_flops: of matrix products as the tiles are, padding too.
        useful_flops: of those on data, for results that are needed.
        vector_flops, special: as in `Work`, on every element of a tile.
        loaded_bytes, stored_bytes, atomic_bytes: as issued, element by element where no mask
            closes it.
        read_bytes, written_bytes: touched at least once.
        mode: the math mode of most of its matrix products, as in `goodput.formulas.modes`.
        notes: sentences on what of this is a bound, and of what.
    """

    issued_flops: int = 0
    useful_flops: int = 0
    vector_flops: int = 0
    special: int = 0
    loaded_bytes: int = 0
    stored_bytes: int = 0
    atomic_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    mode: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def work(self) -> Work:
        """The same in the columns of `Work`: what is issued beyond the useful is padding."""
        return Work(
            flops=self.useful_flops,
            dense_flops=self.useful_flops,
            padding_flops=self.issued_flops - self.useful_flops,
            vector_flops=self.vector_flops,
            special=self.special,
            bytes_read=self.read_bytes,
            bytes_written=self.written_bytes,
        )


def count_kernel(
    module: Module | str,
    grid: Sequence[int],
    arguments: Sequence[Argument],
    memory: Memory | None = None,
) -> KernelCount:
    """What a launch of a kernel over `grid` does.

    Args:
        module: the kernel, parsed or as text.
        grid: programs along x, y and z; what is missing is 1.
        arguments: a value for each argument of the kernel in the text, in order; the sizes and
            strides that follow a descriptor there are taken from the descriptor.
        memory: whole numbers in memory that are known, and told afterwards whether they were used.

    Raises:
        UncountableError: the kernel does something that cannot be counted.
        GrammarError: the text is no TTIR.
        UsageError: the arguments are not the kernel's.
    """
    kernel = parse(module) if isinstance(module, str) else module
    whole = (*grid, 1, 1)[:3]
    traffic = Traffic(), Traffic()
    total, known = KernelCount(), memory or Memory({})
    for first in range(0, math.prod(whole), _PART):
        numbers = np.arange(first, min(first + _PART, math.prod(whole)), dtype=np.int64)
        across, deep = whole[0], whole[0] * whole[1]
        places = (numbers % across, numbers // across % whole[1], numbers // deep)
        machine = Machine(kernel, (_HANDLERS, CONTROL), places, whole, traffic, known)
        machine.run(kernel.kernel, _values(kernel, arguments))
        total = _added(total, machine)
    return _with_traffic(total, *traffic)


def _values(module: Module, arguments: Sequence[Argument]) -> list[Value]:
    """The kernel's arguments as the machine takes them."""
    types = module.kernel.types
    found: list[Value] = []
    for argument in arguments:
        if len(found) >= len(types):
            break
        kind = types[len(found)]
        found += _value(kind, argument)
    if len(found) != len(types):
        raise UsageError(
            f"the kernel {module.kernel.name} takes {len(types)} arguments, and {len(arguments)} "
            "were given"
        )
    return found


def _value(kind: Type, argument: Argument) -> list[Value]:
    if isinstance(argument, TensorBlock):
        tile = descriptor_type(kind)
        sizes = tuple(constant(size) for size in argument.sizes)
        strides = tuple(constant(stride) for stride in argument.strides)
        item = max(1, item_bits(tile.element) // 8)
        block = Descriptor(constant(argument.address), sizes, strides, tile.shape, item)
        return [block, *sizes, *strides]
    if argument is None:
        return [Data("an argument")]
    if kind.is_float:
        return [Data("an argument", constant=float(argument))]
    return [truth(bool(argument)) if kind.element == "i1" else _number(argument)]


def _number(argument: float) -> Index:
    return constant(int(argument))


def _added(total: KernelCount, machine: Machine) -> KernelCount:
    tally: Tally = machine.tally
    hidden = (
        f"a matrix product is of data that a mask made of data ({cause}) lets through: its tiles "
        "are taken as useful there"
        for cause in machine.products.hidden
    )
    return KernelCount(
        issued_flops=total.issued_flops + machine.products.issued_flops,
        useful_flops=total.useful_flops + machine.products.useful_flops(),
        vector_flops=total.vector_flops + tally.vector_flops,
        special=total.special + tally.special,
        loaded_bytes=total.loaded_bytes + tally.loaded,
        stored_bytes=total.stored_bytes + tally.stored,
        atomic_bytes=total.atomic_bytes + tally.atomic,
        read_bytes=total.read_bytes + tally.unplaced_read,
        written_bytes=total.written_bytes + tally.unplaced_written,
        mode=total.mode or machine.products.mode,
        notes=tuple(sorted({*total.notes, *tally.notes, *hidden})),
    )


def _with_traffic(total: KernelCount, reads: Traffic, writes: Traffic) -> KernelCount:
    notes = total.notes
    if not (reads.is_whole and writes.is_whole):
        notes += ("its addresses are too scattered to tell how many bytes it touches at least",)
    return replace(
        total,
        read_bytes=total.read_bytes + reads.bytes,
        written_bytes=total.written_bytes + writes.bytes,
        notes=notes,
    )
