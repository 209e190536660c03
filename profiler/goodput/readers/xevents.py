"""The events of an XSpace as numpy columns, from their bytes; no object an event.

The wire format of protobuf, for the messages `XEvent` and `XStat`: the events of a block are read
side by side, the first field of each, then the second of each. Knows no names of stats.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from goodput.errors import TraceFormatError
from goodput.trace.table import Flags, Integers

Words: TypeAlias = NDArray[np.uint64]
Kinds: TypeAlias = NDArray[np.uint8]

# So many at a time stay in a core's cache.
BLOCK_EVENTS = 1 << 15
_PADDING = bytes(24)  # what a read at the last byte may touch

_VARINT, _FIXED64, _SIZED, _FIXED32 = 0, 1, 2, 5  # wire types, the lower three bits of a tag
_WIRE_BITS, _MOST_TAG = 3, (1 << 32) - 1
_METADATA, _OFFSET, _DURATION, _STATS = 0x08, 0x10, 0x18, 0x22  # tags of `XEvent`
_STAT_METADATA = 0x08
ABSENT, EMPTY, DOUBLE, UINT64, INT64, TEXT, BYTES, REF = range(8)
"""Kinds of a stat's value: the numbers of its fields, where it has one."""

_LONGEST_TABLE = 128
_KIND_OF_TAG = np.zeros(_LONGEST_TABLE, np.uint8)
for _tag in (0x11, 0x18, 0x20, 0x2A, 0x32, 0x38):
    _KIND_OF_TAG[_tag] = _tag >> _WIRE_BITS

# Of each byte of eight: its highest bit, which says that more follow, the others, and the lowest.
_MORE, _SEVEN, _ONE = (np.uint64(int.from_bytes(bytes([b]) * 8)) for b in (0x80, 0x7F, 0x01))
# Neighbours of 7, 14 and 28 bits that move together: the lower ones, and the way of the upper ones.
_JOINS = tuple(
    (np.uint64(lower), np.uint64(lower << width), np.uint64(width - bits))
    for lower, width, bits in (
        (0x007F007F007F007F, 8, 7),
        (0x00003FFF00003FFF, 16, 14),
        (0x000000000FFFFFFF, 32, 28),
    )
)
_SHORT_BYTES, _SHORT_BITS, _LAST_BITS = 8, np.uint64(56), np.uint64(63)
_BIT, _LOW = np.uint64(1), np.uint64(0x7F)
_FOUR_BYTES = np.uint64(0xFFFFFFFF)
_HUGE = np.uint64(1 << 40)
_WIDEST_KEY = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class _Fields:
    """One field of each message that has so many.

    Attributes:
        row: index of the message.
        tag: number and wire type.
        value: the number, or the size of what is sized.
        begin: where the content of what is sized stands.
    """

    row: Integers
    tag: Integers
    value: Words
    begin: Integers


class _Wire:
    """Bytes of messages, read at many places at once."""

    def __init__(self, contents: Sequence[bytes], trouble: str) -> None:
        self.content = b"".join((*contents, _PADDING))
        self._trouble = trouble
        self._bytes = np.frombuffer(self.content, np.uint8)
        self._words: Words = np.ndarray(
            len(self.content) - _SHORT_BYTES + 1, "<u8", self.content, strides=(1,)
        )

    def damaged(self, why: str) -> TraceFormatError:
        """The error of bytes that are no message."""
        return TraceFormatError(f"{self._trouble} ({why})")

    def fields(self, begin: Integers, stop: Integers) -> Iterator[_Fields]:
        """The first field of each of the messages that stand there, the second, and so on."""
        row = np.flatnonzero(begin < stop)
        at, stop = begin[row], stop[row]
        while len(row):
            tag, at = self._tags(at)
            value, content, after = self._values(tag & 7, at)
            if (after > stop).any():
                raise self.damaged("a field is longer than its event")
            yield _Fields(row, tag, value, content)
            more = after < stop
            if more.all():
                at = after
            else:
                row, at, stop = row[more], after[more], stop[more]

    def _tags(self, at: Integers) -> tuple[Integers, Integers]:
        tag = self._bytes[at].astype(np.int64)
        if tag.max() < _LONGEST_TABLE:
            after = at + 1
        else:
            value, after, broken = self._varints(at)
            if broken.any() or (value > _MOST_TAG).any():
                raise self.damaged("a field has an impossible tag")
            tag = value.view(np.int64)
        if tag.min() >> _WIRE_BITS == 0:
            raise self.damaged("a field has the number 0")
        return tag, after

    def _values(self, wire: Integers, at: Integers) -> tuple[Words, Integers, Integers]:
        """The value of each field, where the content of a sized one begins, and all their ends."""
        value, begin, broken = self._varints(at)
        sized, number = wire == _SIZED, wire == _VARINT
        # Sizes beyond any file would overflow.
        after = begin + np.where(sized, np.minimum(value, _HUGE).view(np.int64), 0)
        known = sized | number
        if (broken & known).any():
            raise self.damaged("a number has more than ten bytes")
        if known.all():
            return value, begin, after
        for of, size in ((wire == _FIXED64, 8), (wire == _FIXED32, 4)):
            value[of] = self._words[at[of]] & (_FOUR_BYTES if size == 4 else ~np.uint64(0))
            after[of] = at[of] + size
            known |= of
        if not known.all():
            raise self.damaged("a field has an unknown type")
        return value, begin, after

    def _varints(self, at: Integers) -> tuple[Words, Integers, Flags]:
        """The numbers at `at`, where they end, and which have no end within ten bytes."""
        short = self._bytes[at]
        if short.max() < _LONGEST_TABLE:  # most are sizes and numbers of metadata, of one byte
            return short.astype(np.uint64), at + 1, np.zeros(len(at), np.bool_)
        word = self._words[at]
        last = ~word & _MORE
        last &= -last
        inside = last - _BIT  # up to the last byte; all of them where none is the last
        value = word & inside & _SEVEN
        for lower, upper, way in _JOINS:
            value = (value & lower) | ((value & upper) >> way)
        after = at + (((inside & _ONE) * _ONE) >> _SHORT_BITS).view(np.int64)
        broken = np.zeros(len(at), np.bool_)
        longer = np.flatnonzero(last == 0)
        if len(longer):
            rest = at[longer] + _SHORT_BYTES
            ninth, tenth = (self._bytes[rest + n].astype(np.uint64) for n in (0, 1))
            two = ninth > _LOW
            value[longer] |= ((ninth & _LOW) << _SHORT_BITS) | np.where(two, tenth << _LAST_BITS, 0)
            after[longer] = rest + 1 + two
            broken[longer] = two & (tenth > _LOW)
        return value, after, broken


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Some events of a line.

    Attributes:
        metadata: number of the metadata of each.
        offset, duration: picoseconds.
        wire: the bytes of all.
        owner: the event that each stat is of, ascending for the stats of one event.
        begin, stop: where each stat stands.
    """

    metadata: Integers
    offset: Integers
    duration: Integers
    wire: _Wire
    owner: Integers
    begin: Integers
    stop: Integers

    def select(self, chosen: Flags) -> Events:
        """The events that are `chosen`."""
        if chosen.all():
            return self
        kept, place = chosen[self.owner], np.cumsum(chosen) - 1
        return Events(
            self.metadata[chosen],
            self.offset[chosen],
            self.duration[chosen],
            self.wire,
            place[self.owner[kept]],
            self.begin[kept],
            self.stop[kept],
        )


def blocks(events: Any, trouble: str, most: int = BLOCK_EVENTS) -> Iterator[Events]:
    """The events of a line, `most` at a time.

    Args:
        events: the bytes of each.
        trouble: what an error says first.
        most: events of one block.

    Raises:
        TraceFormatError: they are no events.
    """
    for first in range(0, len(events), most):
        yield _block(events[first : first + most], trouble)


def _block(contents: Sequence[bytes], trouble: str) -> Events:
    wire = _Wire(contents, trouble)
    stop = np.cumsum(np.fromiter(map(len, contents), np.int64, len(contents)))
    begin = np.concatenate([[0], stop[:-1]])
    columns = {t: np.zeros(len(contents), np.int64) for t in (_METADATA, _OFFSET, _DURATION)}
    none = np.zeros(0, np.int64)
    owners, begins, stops = [none], [none], [none]
    for found in wire.fields(begin, stop):
        for tag, column in columns.items():
            mine = found.tag == tag
            if mine.any():
                column[found.row[mine]] = found.value[mine].view(np.int64)
        mine = found.tag == _STATS
        owners.append(found.row[mine])
        begins.append(found.begin[mine])
        stops.append(begins[-1] + found.value[mine].view(np.int64))
    stats = (np.concatenate(each) for each in (owners, begins, stops))
    return Events(columns[_METADATA], columns[_OFFSET], columns[_DURATION], wire, *stats)


@dataclass(frozen=True, slots=True, eq=False)
class Stat:
    """One stat of each event.

    Attributes:
        kind: of its value; `ABSENT` where the event has none, `EMPTY` where the stat has no value.
        number: its bits, or the number of its text.
    """

    kind: Kinds
    number: Integers

    def whole(self) -> Integers:
        """The integers, 0 where there is none."""
        return np.where((self.kind == INT64) | (self.kind == UINT64), self.number, 0)


class StatReader:
    """Reads some stats of events; numbers their texts over all blocks."""

    def __init__(self, places: Mapping[int, int], names: Mapping[int, str], count: int) -> None:
        """Reads the stats of the metadata in `places`, each to its place.

        Args:
            places: by number of metadata; the last of several stats of one place counts.
            names: what references stand for.
            count: how many places there are.
        """
        self._wanted = [[n for n, place in places.items() if place == p] for p in range(count)]
        self._names = names
        self._texts: dict[bytes, int] = {}
        self._values: list[bytes] = []

    def read(self, events: Events) -> list[Stat]:
        """The stat of each place."""
        count = len(events.begin)
        metadata, number, size = (np.zeros(count, np.int64) for _ in range(3))
        kind = np.full(count, EMPTY, np.uint8)
        for found in events.wire.fields(events.begin, events.stop):
            mine = found.tag == _STAT_METADATA
            metadata[found.row[mine]] = found.value[mine].view(np.int64)
            what = _KIND_OF_TAG[np.minimum(found.tag, _LONGEST_TABLE - 1)]
            mine = what != ABSENT
            row, what, value = found.row[mine], what[mine], found.value[mine].view(np.int64)
            sized = (what == TEXT) | (what == BYTES)
            kind[row], size[row] = what, value
            number[row] = np.where(sized, found.begin[mine], value)
        return [
            self._stat(events, np.isin(metadata, ids), kind, number, size) for ids in self._wanted
        ]

    def _stat(
        self, events: Events, mine: Flags, kind: Kinds, number: Integers, size: Integers
    ) -> Stat:
        count = len(events.metadata)
        found = Stat(np.zeros(count, np.uint8), np.zeros(count, np.int64))
        of, kind, number, size = events.owner[mine], kind[mine], number[mine], size[mine]
        sized = np.flatnonzero((kind == TEXT) | (kind == BYTES))
        if len(sized):
            number[sized] = self._numbered(events.wire.content, number[sized], size[sized])
        found.kind[of], found.number[of] = kind, number
        return found

    def _numbered(self, content: bytes, begin: Integers, size: Integers) -> list[int]:
        texts, numbers = self._texts, []
        for start, stop in zip(begin.tolist(), (begin + size).tolist(), strict=True):
            text = content[start:stop]
            number = texts.get(text)
            if number is None:
                number = texts[text] = len(self._values)
                self._values.append(text)
            numbers.append(number)
        return numbers

    def value(self, kind: int, number: int) -> Any:
        """The value of a stat: a number, a text, bytes, None where there is none."""
        if kind in (ABSENT, EMPTY):
            return None
        if kind == BYTES:
            return self._values[number]
        if kind == TEXT:
            return self._values[number].decode(errors="replace")
        if kind == REF:
            return self._names.get(_unsigned(number), "")
        if kind == DOUBLE:
            return cast("float", struct.unpack("<d", struct.pack("<q", number))[0])
        return _unsigned(number) if kind == UINT64 else number


def _unsigned(number: int) -> int:
    return number % (1 << 64)


def distinct(columns: Sequence[NDArray[Any]]) -> tuple[Integers, Integers]:
    """The first of all rows that are the same, in the order of the rows, and the place of each row.

    Args:
        columns: integers, all of one length, of at least one row.
    """
    key, width = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        small, count = _ranked(column.astype(np.int64))
        if width * count > _WIDEST_KEY:
            key, width = _ranked(key, most=0)
        key, width = key * count + small, width * count
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return first[order], rank[place]


def _ranked(column: Integers, most: int = 1 << 16) -> tuple[Integers, int]:
    """The same distinctions with numbers from 0 on, and how many may be in use."""
    least = int(column.min())
    count = int(column.max()) - least + 1
    if count <= most:
        return column - least, count
    known, place = np.unique(column, return_inverse=True)
    return place.astype(np.int64), len(known)
