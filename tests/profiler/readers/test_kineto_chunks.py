"""A trace file is read in any layout, at any chunk size, or refused in one sentence."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodput.errors import TraceFormatError, UsageError
from goodput.readers.kineto import read
from goodput.readers.kineto_chunks import TraceFile, arguments


def event(index, **more):
    return {
        "ph": "X",
        "cat": "cpu_op",
        "name": f"aten::op{index}",
        "pid": 1,
        "tid": "t",
        "ts": float(index),
        "dur": 1.0,
        "args": {"External id": index},
        **more,
    }


EVENTS = [event(index) for index in range(1, 40)]


def batches(path, chunk_bytes=2**20):
    file = TraceFile(path)
    found = [each for batch in file.batches(chunk_bytes) for each in batch]
    return found, file.head


def names(path, chunk_bytes=2**20):
    return [each.name for each in batches(path, chunk_bytes)[0]]


def write(tmp_path, text, name="trace.json"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def whole(events=EVENTS, **layout):
    tail = {"traceName": "x", "deviceProperties": [{"id": 0, "name": "a"}, {"name": "b", "id": 1}]}
    return json.dumps({"schemaVersion": 1, "traceEvents": events, **tail}, **layout)


LAYOUTS = {
    "compact": whole(separators=(",", ":")),
    "kineto": whole(indent=4),
    "one line": whole(),
    "list only": json.dumps(EVENTS, indent=1),
    "list first": json.dumps({"traceEvents": EVENTS}),
    "byte order mark": "\ufeff" + whole(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("chunk_bytes", [64, 300, 1000, 2**20])
def test_every_layout_at_every_chunk_size(tmp_path, layout, chunk_bytes):
    path = write(tmp_path, LAYOUTS[layout])
    assert names(path, chunk_bytes) == [each["name"] for each in EVENTS]


def test_keys_before_and_behind_the_events_are_kept(tmp_path):
    _, head = batches(write(tmp_path, whole()), 100)
    assert head["schemaVersion"] == 1
    assert [each["name"] for each in head["deviceProperties"]] == ["a", "b"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.text(max_size=12), min_size=1, max_size=12),
    st.integers(40, 700),
    st.sampled_from([None, 0, 2]),
)
def test_any_names_survive_any_cut(tmp_path, texts, chunk_bytes, indent):
    nested = {"args": {"list": [{"name": "inner", "ts": 1}, {"ph": "inner"}], "External id": 3}}
    events = [event(i, name=text, **nested) for i, text in enumerate(texts)]
    found, _ = batches(write(tmp_path, whole(events, indent=indent)), chunk_bytes)
    assert [each.name for each in found] == texts
    assert {arguments(each).external for each in found} == {3}


def test_gzip_is_known_by_its_content(tmp_path):
    assert len(names(write(tmp_path, gzip.compress(whole().encode()), "trace.json"))) == len(EVENTS)
    assert len(names(write(tmp_path, whole(), "trace.json.gz"))) == len(EVENTS)


def test_an_empty_event_and_a_comma_at_the_end(tmp_path):
    text = '{"traceEvents": [' + json.dumps(EVENTS[0]) + ", {}]}"
    assert names(write(tmp_path, text)) == ["aten::op1", ""]
    text = '{"traceEvents": [' + json.dumps(EVENTS[0]) + ",\n]}"
    assert names(write(tmp_path, text)) == ["aten::op1"]


@pytest.mark.parametrize("chunk_bytes", [200, 2**20])
@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"aten::op7", b"aten::\x01\x1fp7"),
        (b"aten::op7", b"aten::\xff\xfep7"),
        (b"aten::op7", b"aten::\nop7"),
        (b'"ts": 7.0', b'"ts": "7.0"'),
        (b'"External id": 7', b'"External id": "7"'),
        (b'"External id": 7', b'"External id": null'),
        (b'"External id": 7', b'"memory bandwidth (GB/s)": inf, "External id": 7'),
        (b'"External id": 7', b'"External id": 7, "rate": -nan'),
        (b'"External id": 7', b'"External id": 7, "rate": NaN'),
        (b'"pid": 1', b'"pid": "Spans"'),
        (b'"pid": 1', b'"pid": null'),
        (b'{"External id": 7}', b"null"),
    ],
)
def test_what_other_writers_put_where_json_has_it_not(tmp_path, good, bad, chunk_bytes):
    text = whole().encode()
    assert good in text
    found, _ = batches(write(tmp_path, text.replace(good, bad)), chunk_bytes)
    assert len(found) == len(EVENTS)
    assert found[6].ts == 7.0
    assert arguments(found[6]).external in (7, -1)
    assert found[7].name == "aten::op8"


@pytest.mark.parametrize("text", [whole(indent=1), whole(), json.dumps(EVENTS)])
def test_a_file_cut_off_anywhere_says_so(tmp_path, text):
    for length in range(1, len(text) - 1, 37):
        path = write(tmp_path, text[:length])
        with pytest.raises(TraceFormatError, match=r"cut off|is not a trace"):
            names(path, 500)


def test_damage_in_the_middle_names_the_event(tmp_path):
    text = whole().replace('"aten::op20"', "aten::op20")
    with pytest.raises(TraceFormatError, match="event 20 is not whole JSON"):
        names(write(tmp_path, text))
    with pytest.raises(TraceFormatError, match="is not whole JSON"):
        names(write(tmp_path, text), 300)


def test_cut_off_gzip(tmp_path):
    whole_file = gzip.compress(whole().encode())
    for length in (3, len(whole_file) // 2, len(whole_file) - 3):
        path = write(tmp_path, whole_file[:length])
        with pytest.raises(TraceFormatError, match="gzip data ends early or is damaged"):
            names(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "is empty"),
        (b"  \n ", "is empty"),
        (b"\x0a\x0b\x00xplane", "is not JSON"),
        (b"hello", "is not JSON"),
        (b'{"a": 1}', "it has no traceEvents list"),
        (b'{"a": 1, "traceEve', "cut off before its events"),
        (b'{"traceEvents": {}}', "it has no traceEvents list"),
        (b'{"traceEvents": []}', "no torch operator and no kernel"),
        (b'[{"ph": "X", "cat": "function", "name": "main", "ts": 1, "dur": 2}]', "another tool"),
        (b"[1, 2, 3]", "no torch operator"),
    ],
)
def test_what_is_no_trace_is_refused_in_one_sentence(tmp_path, text, sentence):
    with pytest.raises(TraceFormatError, match=sentence) as refusal:
        read(write(tmp_path, text))
    assert "\n" not in str(refusal.value)


def test_an_operator_that_is_none_is_refused(tmp_path):
    with pytest.raises(TraceFormatError, match="no profiler event"):
        read(write(tmp_path, json.dumps([event(1, ts="soon")])))
    with pytest.raises(TraceFormatError, match=r"none that torch.profiler writes"):
        read(write(tmp_path, json.dumps([event(1, args={"External id": "x"})])))
    with pytest.raises(TraceFormatError, match=r"none that torch.profiler writes"):
        read(write(tmp_path, json.dumps([event(1, args=[1])])))


def test_no_such_file_and_a_directory(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "absent.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path)
