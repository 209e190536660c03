"""A recording survives its file, and a file that is not one is refused in one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError, SchemaVersionError, TraceFormatError
from goodput.readers.recording_file import decode, encode, load, save
from goodput.trace.recording import Recording, WorkEntry, WorkPass
from goodput.trace.table import Invocations, StepTime, Trace
from goodput.work import Contraction, Work

DEVICE = DeviceIdentity("cpu", "test", 2)


def recording_of(rows=((1, 0.25, True),), wall=(0.5, 0.6)):
    table = Invocations.of(
        {
            "operator": [r[0] for r in rows],
            "device_seconds": [r[1] for r in rows],
            "modelled": [r[2] for r in rows],
        }
    )
    trace = Trace(
        DEVICE,
        "torch",
        (StepTime(3, 0.5, 0.25, 0.1, 0.15, 7),),
        table,
        ("", "aten::mm"),
        warnings=("w",),
        environment={"torch": "2"},
    )
    work = WorkPass(
        (
            WorkEntry("aten::mm", "forward", "", "f32[2,2]", "float32", Work(flops=2**60)),
            WorkEntry("x::y", "forward", "", "", "", None),
        ),
        (Contraction(1, 2, 3, 4, "float32"),),
    )
    return Recording(
        "train.py", "2026-11-24", trace, tuple(wall), "event", work=work, tokens_per_step=128.0
    )


def capacity():
    peak = Peak(1e12, Provenance("measured", "mm", samples=(1e12, 9e11)))
    return Capacity(DEVICE, {"float32": peak}, bandwidth={"copy": (BandwidthPoint(64, peak),)})


def same(left, right):
    assert left.trace.steps == right.trace.steps
    assert left.trace.strings == right.trace.strings
    assert (left.wall_seconds, left.work, left.trace.device) == (
        right.wall_seconds,
        right.work,
        right.trace.device,
    )
    for name, kind in Invocations.column_types().items():
        column = getattr(right.trace.invocations, name)
        assert column.dtype == kind
        assert np.array_equal(getattr(left.trace.invocations, name), column)


@given(
    rows=st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1e6), st.booleans()), max_size=20),
    wall=st.lists(st.floats(1e-9, 1e6), max_size=5),
)
def test_round_trip(rows, wall):
    recording = recording_of(rows, wall)
    again, roofs = decode(encode(recording, capacity()))
    same(recording, again)
    assert roofs == capacity()


def test_file_round_trip(tmp_path):
    path = tmp_path / "a.goodput"
    save(recording_of(), path)
    again, roofs = load(path)
    same(recording_of(), again)
    assert roofs is None
    assert list(tmp_path.iterdir()) == [path]


def test_a_newer_schema_says_so():
    document = json.loads(encode(recording_of()))
    document["schema"] = "goodput.recording/99"
    with pytest.raises(SchemaVersionError, match="newer goodput"):
        decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1,2]", b'{"schema": "other/1"}', b'{"schema":"goodput.recording/1"}']
)
def test_what_is_not_a_recording_is_refused(content):
    with pytest.raises(TraceFormatError):
        decode(content)


def test_a_cut_off_file_says_so(tmp_path):
    path = tmp_path / "cut.goodput"
    save(recording_of(), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TraceFormatError, match="cut off"):
        load(path)


def test_a_string_index_outside_its_table_is_refused():
    document = json.loads(encode(recording_of()))
    document["trace"]["columns"]["operator"] = [17]
    with pytest.raises(TraceFormatError, match="string table"):
        decode(json.dumps(document).encode())


def test_a_place_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(NotMeasuredError, match="name another place"):
        save(recording_of(), tmp_path / "missing" / "a.goodput")


def test_a_full_disk_says_so_and_the_device_stays(tmp_path):
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("there is no /dev/full here")
    with pytest.raises(NotMeasuredError, match="No space left"):
        save(recording_of(), full)
    assert full.is_char_device()
    # A link to it stands for a disk that fills up while the file is written.
    path = tmp_path / "a.goodput"
    save(recording_of(), path)
    (tmp_path / "a.goodput.part").symlink_to(full)
    with pytest.raises(NotMeasuredError, match="No space left"):
        save(recording_of(wall=(9.0,)), path)
    same(recording_of(), load(path)[0])
