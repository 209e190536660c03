"""Capacity files: exact round trip, and a clear error for everything else."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.capacity import store
from goodput.capacity.profile import BandwidthPoint, Capacity, Datasheet, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError, SchemaVersionError, UsageError, WrongDeviceError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
RATE = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
COUNT = st.integers(0, 2**60)
DEVICE = st.builds(DeviceIdentity, TEXT, TEXT, COUNT, COUNT, COUNT)
PROVENANCE = st.builds(
    Provenance, TEXT, TEXT, TEXT, TEXT, st.lists(RATE, max_size=3).map(tuple), TEXT
)
PEAK = st.builds(Peak, RATE, PROVENANCE)
POINTS = st.lists(st.builds(BandwidthPoint, COUNT, PEAK), max_size=3).map(tuple)
CAPACITY = st.builds(
    Capacity,
    device=DEVICE,
    flops_per_s=st.dictionaries(TEXT, PEAK, max_size=3),
    sustained_flops_per_s=st.dictionaries(TEXT, PEAK, max_size=1),
    vector=st.none() | PEAK,
    special=st.none() | PEAK,
    bandwidth=st.dictionaries(TEXT, POINTS, max_size=3),
    floor_seconds=RATE,
    datasheet=st.none()
    | st.builds(
        Datasheet,
        TEXT,
        st.dictionaries(TEXT, RATE, max_size=3),
        st.none() | RATE,
        COUNT,
        TEXT,
        TEXT,
    ),
    software=st.dictionaries(TEXT, TEXT, max_size=2),
    measured_at=TEXT,
    warnings=st.lists(TEXT, max_size=2).map(tuple),
)
SMALL = Capacity(DeviceIdentity("cpu", "Some CPU, 2 cores"))


@given(CAPACITY)
def test_round_trip(capacity):
    assert store.from_json(store.to_json(capacity)) == capacity


def test_round_trip_through_a_file(tmp_path):
    store.save(tmp_path / "roofs.json", SMALL)
    assert store.load(tmp_path / "roofs.json") == SMALL


def test_the_schema_stands_in_the_file():
    assert msgspec.json.decode(store.to_json(SMALL))["schema"] == "goodput.capacity/1"


def test_a_newer_schema_says_what_to_type():
    newer = store.to_json(SMALL).replace(b"goodput.capacity/1", b"goodput.capacity/2")
    with pytest.raises(SchemaVersionError, match=r"goodput.capacity/2.*pip install --upgrade"):
        store.from_json(newer, "roofs.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\xff",
        b"[]",
        b"{}",
        b'{"schema": "goodput.report/1"}',
        b'{"schema": "goodput.capacity/x"}',
        b'{"schema": "goodput.capacity/1"}',
        b'{"schema": "goodput.capacity/1", "capacity": {"device": 3}}',
    ],
)
def test_any_other_file_is_a_usage_error(content):
    with pytest.raises(UsageError, match=r"roofs\.json"):
        store.from_json(content, "roofs.json")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        store.load(tmp_path / "none.json")


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(NotMeasuredError, match="cannot write"):
        store.save(tmp_path / "no" / "roofs.json", SMALL)


def test_another_device_is_refused_by_both_names():
    store.check_device(SMALL, DeviceIdentity("cpu", "Some CPU, 2 cores", units=2))
    with pytest.raises(WrongDeviceError, match=r"Some CPU, 2 cores.*NVIDIA H200.*--capacity"):
        store.check_device(SMALL, DeviceIdentity("cuda", "NVIDIA H200"))
