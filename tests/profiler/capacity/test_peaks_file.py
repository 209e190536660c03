"""Peaks files: exact round trip, and a clear error for everything else."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput.capacity import peaks_file
from goodput.capacity.measurement import (
    STATUSES,
    UNITS,
    Check,
    Curve,
    Measurement,
    Peaks,
    Surroundings,
)
from goodput.capacity.profile import BandwidthPoint, Capacity, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.errors import NotMeasuredError, SchemaVersionError, UsageError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=15)
RATE = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
COUNT = st.integers(0, 2**60)
NUMBERS = st.lists(RATE, max_size=3).map(tuple)
PEAK = st.builds(Peak, RATE, st.builds(Provenance, TEXT, TEXT, TEXT, TEXT, NUMBERS, TEXT))
DEVICE = st.builds(DeviceIdentity, TEXT, TEXT, COUNT, COUNT, COUNT)
POINTS = st.lists(st.builds(BandwidthPoint, COUNT, PEAK), max_size=2).map(tuple)
CAPACITY = st.builds(
    Capacity,
    DEVICE,
    st.dictionaries(TEXT, PEAK, max_size=2),
    vector=st.none() | PEAK,
    bandwidth=st.dictionaries(TEXT, POINTS, max_size=2),
)
MEASUREMENT = st.builds(
    Measurement,
    st.sampled_from(UNITS),
    TEXT,
    TEXT,
    st.none() | RATE,
    TEXT,
    st.sampled_from(STATUSES),
    kernel=TEXT,
    shape=st.lists(COUNT, max_size=4).map(tuple),
    size=COUNT,
    bouts=st.lists(NUMBERS, max_size=3).map(tuple),
    spread=RATE,
    clock_hz=st.none() | RATE,
    checks=st.lists(st.builds(Check, TEXT, st.booleans(), st.none() | RATE, TEXT), max_size=2).map(
        tuple
    ),
    detail=TEXT,
    measured_at=TEXT,
)
SURROUNDINGS = st.builds(
    Surroundings,
    COUNT,
    st.lists(COUNT, max_size=3).map(tuple),
    st.lists(TEXT, max_size=2).map(tuple),
    st.dictionaries(TEXT, TEXT, max_size=2),
    TEXT,
    st.none() | RATE,
    st.none() | RATE,
    st.lists(TEXT, max_size=2).map(tuple),
)
PEAKS = st.builds(
    Peaks,
    DEVICE,
    CAPACITY,
    TEXT,
    st.lists(MEASUREMENT, max_size=3).map(tuple),
    st.lists(st.builds(Curve, TEXT, TEXT, RATE, RATE, RATE), max_size=2).map(tuple),
    st.dictionaries(TEXT, RATE, max_size=2),
    st.dictionaries(TEXT, RATE, max_size=2),
    SURROUNDINGS,
    COUNT,
    RATE,
    TEXT,
    TEXT,
    st.lists(TEXT, max_size=2).map(tuple),
)


@settings(deadline=None)
@given(PEAKS)
def test_round_trip(peaks: Peaks) -> None:
    assert peaks_file.from_json(peaks_file.to_json(peaks)) == peaks


def test_round_trip_through_a_file(gpu_peaks: Peaks, cpu_peaks: Peaks, tmp_path: Path) -> None:
    for peaks in (gpu_peaks, cpu_peaks):
        peaks_file.save(tmp_path / "peaks.json", peaks)
        assert peaks_file.load(tmp_path / "peaks.json") == peaks


def test_the_schema_and_the_fields_stand_side_by_side(gpu_peaks: Peaks) -> None:
    keys = msgspec.json.decode(peaks_file.to_json(gpu_peaks))
    assert keys["schema"] == "goodput.peaks/1"
    assert keys["level"] == "full"
    assert keys["measurements"][0]["unit"] == "matmul"
    assert keys["measurements"][0]["bouts"]


def test_a_missing_rate_is_null(cpu_peaks: Peaks) -> None:
    keys = msgspec.json.decode(peaks_file.to_json(cpu_peaks))
    rates = {one["subject"]: one["rate"] for one in keys["measurements"]}
    assert rates["float16"] is None
    assert keys["capacity"]["datasheet"] is None


def test_keys_of_later_goodputs_are_left_aside(gpu_peaks: Peaks) -> None:
    text = peaks_file.to_json(gpu_peaks).replace("{", '{"added": [1],', 1)
    assert peaks_file.from_json(text) == gpu_peaks


def test_a_newer_schema_says_what_to_type(gpu_peaks: Peaks) -> None:
    newer = peaks_file.to_json(gpu_peaks).replace("goodput.peaks/1", "goodput.peaks/2")
    with pytest.raises(SchemaVersionError, match=r"a\.json.*goodput.peaks/2.*pip install --up"):
        peaks_file.from_json(newer, "a.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\xff",
        b"[]",
        b"{}",
        b'{"schema": "goodput.capacity/1"}',
        b'{"schema": "goodput.peaks/x"}',
        b'{"schema": "goodput.peaks/1"}',
        b'{"schema": "goodput.peaks/1", "device": 3}',
    ],
)
def test_any_other_file_is_a_usage_error(content: bytes) -> None:
    with pytest.raises(UsageError, match=r"a\.json"):
        peaks_file.from_json(content, "a.json")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_named(gpu_peaks: Peaks, tmp_path: Path, part: float) -> None:
    text = peaks_file.to_json(gpu_peaks)
    path = tmp_path / "cut.json"
    path.write_text(text[: int(part * len(text))])
    with pytest.raises(UsageError, match=r"cut\.json is not a file of goodput peak"):
        peaks_file.load(path)


def test_places_that_cannot_be_read_or_written(gpu_peaks: Peaks, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        peaks_file.load(tmp_path / "none.json")
    with pytest.raises(NotMeasuredError, match="cannot write"):
        peaks_file.save(tmp_path / "no" / "peaks.json", gpu_peaks)
