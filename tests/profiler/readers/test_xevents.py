"""The columns of events against what protobuf itself decodes."""

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from goodput.errors import TraceFormatError
from goodput.readers.xevents import EMPTY, StatReader, blocks, distinct
from goodput.readers.xspace import message_classes

SIGNED = st.integers(-(2**63), 2**63 - 1)
UNSIGNED = st.integers(0, 2**64 - 1)
IDS = st.integers(0, 3) | SIGNED
NAMES = {0: "zero", 1: "one", 2**64 - 1: "last"}
PLACES = {1: 0, 2: 1, 3: 1}
VALUES = st.one_of(
    st.tuples(st.just("double_value"), st.floats(allow_nan=False)),
    st.tuples(st.just("uint64_value"), UNSIGNED),
    st.tuples(st.just("int64_value"), SIGNED),
    st.tuples(st.just("str_value"), st.text()),
    st.tuples(st.just("bytes_value"), st.binary()),
    st.tuples(st.just("ref_value"), st.sampled_from(list(NAMES)) | UNSIGNED),
)


def varint(number):
    """A number as it stands on the wire."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def unknown_field(number, kind, content):
    """A field that no schema names, of one of the four wire types."""
    body = {0: varint(int.from_bytes(content[:8], "little")), 2: varint(len(content)) + content}
    body |= {1: content[:8].ljust(8, b"\xff"), 5: content[:4].ljust(4, b"\xff")}
    return varint(number << 3 | kind) + body[kind]


UNKNOWN = st.just(b"") | st.builds(
    unknown_field, st.integers(8, 2**29 - 1), st.sampled_from((0, 1, 2, 5)), st.binary(max_size=200)
)


@st.composite
def stat(draw):
    made = message_classes()["XStat"](metadata_id=draw(IDS))
    value = draw(st.none() | VALUES)
    if value:
        setattr(made, *value)
    return draw(UNKNOWN) + made.SerializeToString() + draw(UNKNOWN)


@st.composite
def event(draw):
    made = message_classes()["XEvent"](
        metadata_id=draw(IDS),
        offset_ps=draw(SIGNED),
        duration_ps=draw(SIGNED),
        stats=draw(st.lists(stat(), max_size=4)),
    )
    return draw(UNKNOWN) + made.SerializeToString() + draw(UNKNOWN)


def reader():
    return StatReader(PLACES, NAMES, 2)


def columns_of(contents, most):
    """Metadata, offset, duration and both stats of each event, as they are read here."""
    reading, rows = reader(), []
    for events in blocks(contents, "broken", most):
        stats = [
            [
                (kind != 0, reading.value(kind, number))
                for kind, number in zip(s.kind.tolist(), s.number.tolist(), strict=True)
            ]
            for s in reading.read(events)
        ]
        whole = (events.metadata.tolist(), events.offset.tolist(), events.duration.tolist())
        rows += zip(*whole, *stats, strict=True)
    return rows


def row_of_protobuf(content):
    """The same by protobuf."""
    found = message_classes()["XEvent"].FromString(content)
    stats = [(False, None), (False, None)]
    for each in found.stats:
        decoded = message_classes()["XStat"].FromString(each)
        kind = decoded.WhichOneof("value")
        value = getattr(decoded, kind) if kind else None
        if kind == "ref_value":
            value = NAMES.get(value, "")
        if decoded.metadata_id in PLACES:
            stats[PLACES[decoded.metadata_id]] = (True, value)
    return (found.metadata_id, found.offset_ps, found.duration_ps, *stats)


@given(st.lists(event(), max_size=6), st.integers(1, 7))
def test_columns_are_what_protobuf_decodes(contents, most):
    assert columns_of(contents, most) == [row_of_protobuf(each) for each in contents]


@given(st.lists(event(), min_size=1, max_size=4), st.data())
def test_damaged_bytes_are_refused_or_read_as_protobuf_does(contents, data):
    at = data.draw(st.integers(0, len(contents) - 1))
    whole = contents[at] or b"\x08"
    place = data.draw(st.integers(0, len(whole) - 1))
    cut = whole[:place] + data.draw(st.sampled_from((b"", whole[place + 1 :], b"\xff")))
    contents[at] = cut
    try:
        found = columns_of(contents, 8)
    except TraceFormatError as error:
        assert str(error).startswith("broken (")  # noqa: PT017
        return
    try:
        expected = [row_of_protobuf(each) for each in contents]
    except DecodeError:
        # Texts that are no UTF-8 are read, as only their bytes tell operations apart.
        assert cut.isascii() is False
        return
    assert repr(found) == repr(expected)  # a number may have become NaN


@pytest.mark.parametrize(
    "content",
    [
        b"\x08",  # no value
        b"\x08\x80",  # a number that does not end
        b"\x08" + b"\x80" * 10 + b"\x01",  # one of eleven bytes
        b"\x22\x05\x08\x01",  # stats beyond the end
        b"\x22" + b"\xff" * 9 + b"\x01",  # of a size beyond any file
        b"\x00\x01",  # field 0
        b"\x0f\x01",  # a wire type that does not exist
        b"\x09\x01\x02",  # a double of two bytes
        b"\x22\x02\x08\x80",  # a stat that is broken itself
    ],
)
def test_broken_events_have_an_error_of_one_line(content):
    whole = message_classes()["XEvent"](metadata_id=5, offset_ps=7).SerializeToString()
    with pytest.raises(TraceFormatError, match=r"^broken \([^\n]+\)$"):
        columns_of([whole, content, whole], 8)


def test_selected_events_keep_their_own_stats():
    stat_of, event_of = (message_classes()[name] for name in ("XStat", "XEvent"))
    contents = [
        event_of(
            metadata_id=n,
            stats=[stat_of(metadata_id=1, int64_value=m).SerializeToString() for m in range(n)],
        ).SerializeToString()
        for n in range(6)
    ]
    (events,) = blocks(contents, "broken")
    odd = events.select(events.metadata % 2 == 1)
    first, second = reader().read(odd)
    assert odd.metadata.tolist() == [1, 3, 5]
    assert first.whole().tolist() == [0, 2, 4]
    assert not second.kind.any()
    assert (first.kind > EMPTY).all()


@given(
    st.lists(st.tuples(st.integers(0, 2), SIGNED, SIGNED | st.just(4), st.booleans()), min_size=1)
)
def test_distinct_rows_come_in_the_order_of_the_rows(rows):
    known = list(dict.fromkeys(rows))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    first, place = distinct(columns)
    assert [rows[n] for n in first.tolist()] == known
    assert place.tolist() == [known.index(row) for row in rows]
