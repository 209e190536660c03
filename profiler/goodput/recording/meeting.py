"""One gathering of how the ranks of a host ended, and of what they recorded.

They meet in files; nothing of the program's own communication is used. Every rank leaves how it
ended, with a recording or without, so that rank 0 waits for nobody who has nothing to bring. Ranks
of other hosts are never waited for: their recordings stand in files of their own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from goodput.errors import NotMeasuredError, TraceFormatError
from goodput.readers import recording_file
from goodput.recording.ranks import Place, named, path_of_rank
from goodput.trace.recording import Recording

GATHER_SECONDS = 60.0
"""How long rank 0 waits for the other ranks of its host to end."""
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class End:
    """How a rank ended.

    Attributes:
        recording: what it recorded; None where nothing was.
        reason: why nothing was recorded.
        unsaved: why its recording stands in no file of its own; "" where it does.
    """

    recording: Recording | None
    reason: str = ""
    unsaved: str = ""


@dataclass(frozen=True, slots=True)
class Gathering:
    """What rank 0 knows of its job.

    Attributes:
        recordings: those of this host, by rank.
        notes: sentences on the ranks that are not among them, and on those without a file.
        all_saved: whether every rank that came had saved its recording.
    """

    recordings: tuple[Recording, ...]
    notes: tuple[str, ...] = ()
    all_saved: bool = True


class _Marker(msgspec.Struct):
    """The file that says a rank has ended; its recording was put beside it before."""

    reason: str
    unsaved: str


def leave(end: End, place: Place) -> None:
    """Leaves how this rank ended for rank 0, where that is on this host.

    Raises:
        NotMeasuredError: the files that ranks meet in cannot be written.
    """
    if 0 not in place.host_ranks:
        return
    try:
        folder = _meeting_place(place)
        if end.recording is not None:
            recording_file.save(end.recording, _recording_in(folder, place.rank))
        marker = _marker_in(folder, place.rank)
        partial = marker.with_suffix(".part")
        partial.write_bytes(msgspec.json.encode(_Marker(end.reason, end.unsaved)))
        partial.replace(marker)
    except (OSError, NotMeasuredError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise NotMeasuredError(
            f"rank {place.rank} could not hand over to rank 0 what it recorded ({reason}); set "
            "TMPDIR to a directory with room"
        ) from error


def gather(
    own: Recording | None,
    place: Place,
    path: Path,
    *,
    timeout_seconds: float = GATHER_SECONDS,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Gathering:
    """On rank 0, once every rank of this host has ended: their recordings, and who is missing.

    Args:
        own: the recording of this rank.
        place: this rank's.
        path: the recording's file as the user named it, without a rank.
        timeout_seconds: ranks that have not ended by then are left out.
        now: tells the time in seconds.
        sleep: waits for some seconds.
    """
    ends = {place.rank: End(own)}
    try:
        folder = _meeting_place(place) if place.local_world_size > 1 else None
    except OSError as error:
        note = (
            f"the other ranks could not be gathered ({error.strerror}); set TMPDIR to a directory "
            "that every rank can write"
        )
        return Gathering(_recordings(ends), (note, *_elsewhere(ends, place, path)))
    if folder is not None:
        deadline = now() + timeout_seconds
        while not _all_ended(folder, place, ends) and now() < deadline:
            sleep(_POLL_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
    notes = (
        *_without_recording(ends, place),
        *_late(ends, place, path, timeout_seconds),
        *_elsewhere(ends, place, path),
        *_without_file(ends),
    )
    return Gathering(_recordings(ends), notes, not any(end.unsaved for end in ends.values()))


def _meeting_place(place: Place) -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"goodput-{user}-{place.job}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _recording_in(folder: Path, rank: int) -> Path:
    return folder / f"rank{rank}.goodput"


def _marker_in(folder: Path, rank: int) -> Path:
    return folder / f"rank{rank}.json"


def _all_ended(folder: Path, place: Place, ends: dict[int, End]) -> bool:
    """Whether every rank of this host has ended; `ends` gets those that did meanwhile."""
    for rank in place.host_ranks:
        if rank not in ends and _marker_in(folder, rank).exists():
            ends[rank] = _end_in(folder, rank)
    return all(rank in ends for rank in place.host_ranks)


def _end_in(folder: Path, rank: int) -> End:
    marker = msgspec.json.decode(_marker_in(folder, rank).read_bytes(), type=_Marker)
    path, recording = _recording_in(folder, rank), None
    if path.exists():
        try:
            recording = recording_file.load(path)[0]
        except TraceFormatError as error:
            return End(None, str(error), marker.unsaved)
    return End(recording, marker.reason, marker.unsaved)


def _recordings(ends: dict[int, End]) -> tuple[Recording, ...]:
    ordered = (ends[rank].recording for rank in sorted(ends))
    return tuple(recording for recording in ordered if recording is not None)


def _without_recording(ends: dict[int, End], place: Place) -> Iterable[str]:
    for rank, end in sorted(ends.items()):
        if end.recording is None and rank != place.rank:
            yield f"rank {rank} recorded nothing: {end.reason}"


def _late(ends: dict[int, End], place: Place, path: Path, seconds: float) -> Iterable[str]:
    late = [rank for rank in place.host_ranks if rank not in ends]
    if late:
        yield (
            f"{named(late)} had not ended {seconds:g} s after rank {place.rank}, so this report is "
            f"without; what they record is in files of their own: {_advice(late, path)}"
        )


def _elsewhere(ends: dict[int, End], place: Place, path: Path) -> Iterable[str]:
    away = [rank for rank in range(place.world_size) if rank not in place.host_ranks]
    if away:
        yield (
            f"{len(_recordings(ends))} of {place.world_size} ranks are in this report, those of "
            f"this host; the recordings of {named(away)} stand on their own hosts: "
            f"{_advice(away, path)}"
        )


def _without_file(ends: dict[int, End]) -> Iterable[str]:
    for rank, end in sorted(ends.items()):
        if end.unsaved:
            yield f"rank {rank} has no file of its own: {end.unsaved}"


def _advice(ranks: list[int], path: Path) -> str:
    return f"`goodput show {path_of_rank(path, Place(ranks[0], ranks[0] + 1)).name}`"
