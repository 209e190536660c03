"""Whole numbers that a kernel reads from memory: lengths, offsets, tables of blocks.

Where the caller knows them, loops, masks and addresses made of them are as exact as those made of
program numbers. What the kernel itself writes is never taken for known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from goodput.readers.ttir_index import Array, Index, Mask, applied
from goodput.readers.ttir_text import Type, item_bits

SPACE = 2**44
"""Bytes between the addresses of two storages: so much that no kernel steps from one to another."""

_FIRST = np.zeros(1, np.intp)


def place_of(address: int) -> int:
    """Which storage an address is in, or near: a tile may begin before its tensor."""
    return (address + SPACE // 2) // SPACE


@dataclass(slots=True)
class Memory:
    """What is known of memory in one launch.

    Attributes:
        storages: the elements of each storage of whole numbers, by its place.
        used: places from which numbers were taken.
        written: places that the kernel writes to.
        is_written_anywhere: whether it writes where nobody knows.
    """

    storages: Mapping[int, Array]
    used: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)
    is_written_anywhere: bool = False

    @property
    def is_stale(self) -> bool:
        """Whether numbers were taken that the kernel itself may have changed."""
        return bool(self.used and (self.is_written_anywhere or self.used & self.written))

    def note_write(self, address: object) -> None:
        """The kernel writes to an address."""
        if not self.storages:
            return
        if isinstance(address, Index):
            self.written.add(_place(address))
        else:
            self.is_written_anywhere = True

    def load(
        self, address: object, mask: Mask, kind: Type, other: Sequence[object]
    ) -> Index | None:
        """The numbers at `address`; None where they are not known.

        Args:
            address: of each element.
            mask: which are loaded.
            kind: the type of the pointers.
            other: what is in the place of those that are not, where the kernel says so.
        """
        if not self.storages or not isinstance(address, Index) or mask.hidden:
            return None
        place = _place(address)
        elements = self.storages.get(place)
        filler = other[0] if other else Index(kind.shape, np.zeros(1, np.int64))
        if elements is None or not isinstance(filler, Index) or not _fits(kind, elements):
            return None
        self.used.add(place)
        first, item = place * SPACE, elements.itemsize

        def looked_up(addresses: Array, is_open: Array, instead: Array) -> Array:
            places = np.clip((addresses - first) // item, 0, len(elements) - 1)
            return np.where(is_open, elements[places].astype(np.int64), instead)

        operands = (address, mask, filler)
        return applied("load", operands, looked_up, kind.shape, parameter=place)


def _place(address: Index) -> int:
    return place_of(int(address.values(_FIRST).flat[0]))


def _fits(kind: Type, elements: Array) -> bool:
    """Whether a pointer's elements are a storage's own, none of them taken for others."""
    return kind.pointee.startswith("i") and item_bits(kind.pointee) == 8 * elements.itemsize
