"""A recording is known by its content, and its capacity is read without its columns."""

import gzip
import json

import pytest

from goodput.capacity.profile import Capacity
from goodput.device import DeviceIdentity
from goodput.errors import SchemaVersionError, TraceFormatError
from goodput.readers.recording_file import encode, save
from goodput.readers.recording_head import capacity_in, is_recording
from goodput.trace.recording import Recording
from goodput.trace.table import Invocations, Trace

ROOFS = Capacity(DeviceIdentity("cpu", "test", 2))


@pytest.fixture
def recording():
    trace = Trace(None, "torch", (), Invocations.of({}), ("",))
    return Recording("train.py", "2026-11-24", trace, (), "host")


def test_a_recording_is_known_by_its_content(tmp_path, recording):
    path = tmp_path / "a.goodput"
    save(recording, path)
    assert is_recording(path)
    other = tmp_path / "trace.json.gz"
    other.write_bytes(gzip.compress(b'{"traceEvents": []}'))
    assert not is_recording(other)
    spaced = tmp_path / "spaced.json"
    spaced.write_text(json.dumps(json.loads(encode(recording)), indent=1))
    assert is_recording(spaced)


@pytest.mark.parametrize("capacity", [None, ROOFS])
def test_the_capacity_in_a_recording(tmp_path, recording, capacity):
    path = tmp_path / "a.goodput"
    save(recording, path, capacity)
    assert capacity_in(path) == capacity


def test_the_capacity_of_what_is_no_whole_recording(tmp_path, recording):
    path = tmp_path / "a.goodput"
    path.write_bytes(b'{"schema": "goodput.recording/1"}')
    with pytest.raises(TraceFormatError, match="not a whole"):
        capacity_in(path)
    path.write_bytes(encode(recording).replace(b"recording/1", b"recording/99"))
    with pytest.raises(SchemaVersionError, match="newer goodput"):
        capacity_in(path)
    path.write_bytes(gzip.compress(encode(recording))[:-20])
    with pytest.raises(TraceFormatError, match="cut off"):
        capacity_in(path)
    with pytest.raises(TraceFormatError, match="cannot be read"):
        capacity_in(tmp_path / "none")
