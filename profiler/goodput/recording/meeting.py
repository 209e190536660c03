"""One gathering of what the ranks of a host recorded.

They meet in files; nothing of the program's own communication is used.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from goodput.readers import recording_file
from goodput.recording.ranks import Place, here
from goodput.trace.recording import Recording

GATHER_SECONDS = 60.0
"""How long rank 0 waits for the other ranks of its host."""
_POLL_SECONDS = 0.05


def gather(
    recording: Recording,
    timeout_seconds: float = GATHER_SECONDS,
    *,
    place: Place | None = None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Recording, ...]:
    """On rank 0 the recordings of this host's ranks, by rank; on any other its own alone.

    Ranks that do not arrive within `timeout_seconds` are left out, and the first recording warns
    of them by number. Ranks of other hosts never arrive: their files stand on their own hosts.
    """
    place = here() if place is None else place
    if not place.is_distributed:
        return (recording,)
    folder = _meeting_place(place)
    if not place.reports:
        _leave(recording, folder, place.rank)
        return (recording,)
    found = {0: recording}
    deadline = now() + timeout_seconds
    while True:
        _collect(folder, found)
        if len(found) >= place.local_world_size or now() >= deadline:
            break
        sleep(_POLL_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
    missing = sorted(set(range(place.world_size)) - set(found))
    recordings = tuple(found[rank] for rank in sorted(found))
    return (_with_warning(recordings[0], missing, timeout_seconds), *recordings[1:])


def _meeting_place(place: Place) -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"goodput-{user}-{place.job}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _leave(recording: Recording, folder: Path, rank: int) -> None:
    """Writes the recording under a name that appears only when it is whole."""
    partial = folder / f"rank{rank}.partial"
    recording_file.save(recording, partial)
    partial.replace(folder / f"rank{rank}.goodput")


def _collect(folder: Path, found: dict[int, Recording]) -> None:
    for path in folder.glob("rank*.goodput"):
        rank = int(path.stem.removeprefix("rank"))
        if rank not in found:
            found[rank] = recording_file.load(path)[0]


def _with_warning(recording: Recording, missing: list[int], seconds: float) -> Recording:
    if not missing:
        return recording
    ranks = ", ".join(str(rank) for rank in missing)
    sentence = f"ranks {ranks} are not in this report: nothing of them came within {seconds:g} s"
    return replace(recording, warnings=(*recording.warnings, sentence))
