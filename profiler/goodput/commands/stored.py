"""A file on disk and its report: what `goodput show` and `goodput.load` share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from goodput.capacity.datasheet import capacity_from_datasheet, row_of
from goodput.capacity.profile import Capacity
from goodput.commands.given import capacity_for
from goodput.device import DeviceIdentity
from goodput.errors import UsageError
from goodput.readers import profiles, recording_file
from goodput.readers.profiles import XSPACE
from goodput.readers.recording_head import is_recording
from goodput.report.build import build
from goodput.report.model import Report
from goodput.trace.recording import Recording
from goodput.trace.table import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A recording that was loaded, with the capacity that it was held against.

    Attributes:
        recording: the run, or a foreign trace as one.
        capacity: the roofs saved with it; for a foreign trace those of its device's datasheet row;
            None where neither is known.
    """

    recording: Recording
    capacity: Capacity | None

    def report(
        self,
        convention: str = "exact",
        capacity: Capacity | str | os.PathLike[str] | None = None,
        by: str = "operator",
    ) -> Report:
        """The report of the recording.

        Args:
            convention: which FLOPs are useful, `exact` or `dense-attention`.
            capacity: other roofs to hold it against, or the file that has them.
            by: what `operators` groups by: `operator`, `module`, `phase` or `kernel`.

        Raises:
            UsageError: the capacity is of another device, or there is no such view.
            NotMeasuredError: the recording holds no whole step.
        """
        chosen = self.capacity
        if capacity is not None:
            chosen = capacity_for(self.recording.trace.device, capacity)
        return build(self.recording, chosen, convention, by)


def load(path: str | os.PathLike[str]) -> Stored:
    """The recording, the torch.profiler trace (gzipped or not) or the JAX profile at `path`.

    Needs no framework. Raises:
        UsageError: there is no such file, or it is neither.
        SchemaVersionError: a newer goodput wrote it.
    """
    file = _file_in(Path(path))
    if is_recording(file):
        recording, capacity = recording_file.load(file)
        return Stored(recording, capacity or datasheet_of(recording.trace.device))
    trace = profiles.read(file)
    return Stored(recording_of(trace, file), datasheet_of(trace.device))


def _file_in(place: Path) -> Path:
    """The file at `place`; in a directory, the newest profile of JAX.

    Raises:
        UsageError: there is none.
    """
    if not place.exists():
        raise UsageError(
            f"there is no file {place}; give a recording, a trace.json[.gz] or an xplane.pb"
        )
    if not place.is_dir():
        return place
    profiles = sorted(place.rglob(f"*{XSPACE}"), key=lambda file: file.stat().st_mtime)
    if not profiles:
        raise UsageError(
            f"{place} is a directory without an xplane.pb; name the recording or trace inside it"
        )
    return profiles[-1]


def datasheet_of(device: DeviceIdentity | None) -> Capacity | None:
    """What the device's datasheet row promises; None for a device without one: never a guess."""
    if device is None or row_of(device.name) is None:
        return None
    return capacity_from_datasheet(device)


def recording_of(trace: Trace, file: Path) -> Recording:
    """A foreign trace as a recording: its step times are those under its profiler."""
    return Recording(
        program=file.name,
        created=datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds"),
        trace=trace,
        wall_seconds=tuple(step.wall_seconds for step in trace.steps),
        basis="trace",
        steps_seen=len(trace.steps),
    )
