from pathlib import Path

import pytest

import goodput
from goodput.capacity import store
from goodput.capacity.profile import Capacity
from goodput.errors import UsageError, WrongDeviceError
from goodput.readers.recording_file import save
from goodput.trace.recording import Recording


def test_load_and_report(recording_file: Path, capacity: Capacity) -> None:
    stored = goodput.load(recording_file)
    assert stored.capacity == capacity
    assert stored.recording.program == "train.py --lr 1"
    report = stored.report()
    assert report.totals.program_goodput == pytest.approx(2 * 256**3 / 60e9 / 0.0014)
    assert report == goodput.load(str(recording_file)).report(convention="exact", by="operator")


def test_another_capacity_as_object_or_file(
    recording_file: Path, low_capacity: Capacity, tmp_path: Path
) -> None:
    stored = goodput.load(recording_file)
    place = tmp_path / "capacity.json"
    store.save(place, low_capacity)
    assert stored.report(capacity=low_capacity) == stored.report(capacity=place)
    assert stored.report(capacity=low_capacity).errors


def test_the_capacity_of_another_device_is_refused(
    recording_file: Path, other_capacity: Capacity
) -> None:
    with pytest.raises(WrongDeviceError):
        goodput.load(recording_file).report(capacity=other_capacity)


def test_the_capacity_of_another_recording(
    recording_file: Path, recording: Recording, tmp_path: Path, capacity: Capacity
) -> None:
    bare = tmp_path / "bare.goodput"
    save(recording, bare)
    stored = goodput.load(bare)
    assert stored.capacity is None
    assert stored.report().totals.program_goodput is None
    assert stored.report(capacity=recording_file).capacity == capacity
    with pytest.raises(UsageError, match="holds no capacity"):
        stored.report(capacity=bare)


def test_an_unknown_view_is_refused(recording_file: Path) -> None:
    with pytest.raises(UsageError, match="no view"):
        goodput.load(recording_file).report(by="colour")


def test_no_such_file() -> None:
    with pytest.raises(UsageError, match="there is no file"):
        goodput.load("no-such-file")
