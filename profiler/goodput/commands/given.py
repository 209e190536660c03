"""The roofs that the user gives, in a file of one of three kinds; numpy is not needed for it."""

from __future__ import annotations

import os
from pathlib import Path

from goodput.capacity import peaks_file, store
from goodput.capacity.profile import Capacity
from goodput.capacity.store import check_device
from goodput.device import DeviceIdentity
from goodput.errors import UsageError
from goodput.readers.recording_head import capacity_in, is_recording


def capacity_for(
    device: DeviceIdentity | None, given: Capacity | str | os.PathLike[str]
) -> Capacity:
    """The capacity that the user gave, checked to be of `device` where that is known.

    Raises:
        UsageError: the file holds no capacity, or one of another device.
    """
    capacity = given if isinstance(given, Capacity) else read_capacity(Path(given))
    if device is not None and device.name:
        check_device(capacity, device)
    return capacity


def read_capacity(path: Path) -> Capacity:
    """The capacity in a capacity file or in one of `goodput peak --json`, or that of a recording.

    Raises:
        UsageError: the file holds none.
    """
    if not (path.is_file() and is_recording(path)):
        content = store.read(path, "the capacity file")
        if peaks_file.is_peaks(content):
            return peaks_file.from_json(content, str(path)).capacity
        return store.from_json(content, str(path))
    capacity = capacity_in(path)
    if capacity is None:
        raise UsageError(f"the recording {path} holds no capacity; give one of goodput run")
    return capacity
