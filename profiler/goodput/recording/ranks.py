"""The ranks of one job: which one this process is, and one gathering of what they recorded.

The ranks of a host meet in files; nothing of the program's own communication is used.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from goodput.readers import recording_file
from goodput.trace.recording import Recording
from goodput.trace.table import Invocations, StepTime, Trace

GATHER_SECONDS = 60.0
"""How long rank 0 waits for the other ranks of its host."""
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process stands in its job, as the launcher's environment says.

    Attributes:
        rank, world_size: in the job; 0 and 1 when not distributed.
        local_rank, local_world_size: on this host.
        job: what the ranks of one launch on this host share and no other launch does.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    job: str = ""

    @property
    def is_distributed(self) -> bool:
        """Whether there are other ranks."""
        return self.world_size > 1

    @property
    def reports(self) -> bool:
        """Whether this rank prints the report: rank 0."""
        return self.rank == 0


def here(environment: Mapping[str, str] | None = None) -> Place:
    """This process's place, from `RANK`, `WORLD_SIZE` and what else torchrun sets."""
    variables = os.environ if environment is None else environment
    world_size = _integer(variables, "WORLD_SIZE", 1)
    if world_size <= 1:
        return Place()
    return Place(
        rank=_integer(variables, "RANK", 0),
        world_size=world_size,
        local_rank=_integer(variables, "LOCAL_RANK", _integer(variables, "RANK", 0)),
        local_world_size=_integer(variables, "LOCAL_WORLD_SIZE", world_size),
        job="-".join(
            [
                variables.get("TORCHELASTIC_RUN_ID", "none"),
                variables.get("MASTER_PORT", "0"),
                variables.get("TORCHELASTIC_RESTART_COUNT", "0"),
                # The launcher's agent is the parent of all ranks of a host.
                str(os.getppid()),
            ]
        ),
    )


def reports_here() -> bool:
    """Whether this process prints the report."""
    return here().reports


def path_of_rank(path: Path, place: Place) -> Path:
    """The recording's file for this rank: `train.goodput` becomes `train.rank1.goodput`."""
    if not place.is_distributed:
        return path
    return path.with_name(f"{path.stem}.rank{place.rank}{path.suffix}")


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


def slowest(recordings: tuple[Recording, ...]) -> Recording | None:
    """The rank with the longest median step; None where none was timed."""
    timed = [recording for recording in recordings if recording.wall_seconds]
    return max(timed, key=lambda r: float(np.median(r.wall_seconds)), default=None)


def combined(recordings: tuple[Recording, ...]) -> Recording:
    """One recording of the device of rank 0: its own, or the sum of the ranks that share it.

    Ranks on one device (several processes on one CPU) work in the same seconds, so their operators
    are put together step by step and the wall is the slowest rank's. The warnings name that rank
    and say what was summed.
    """
    first = recordings[0]
    if len(recordings) == 1:
        return first
    sharing = [r for r in recordings if _device_key(r) == _device_key(first)]
    worst = slowest(recordings)
    warnings = list(first.warnings)
    if worst is not None:
        warnings.append(_slowest_sentence(worst, recordings))
    if len(sharing) > 1 and all(r.trace.steps for r in sharing):
        slow = slowest(tuple(sharing)) or first
        ranks = ", ".join(str(r.trace.rank) for r in sharing)
        warnings.append(f"ranks {ranks} share one device: their work is summed over one wall")
        first = replace(
            first,
            trace=_together([r.trace for r in sharing]),
            wall_seconds=slow.wall_seconds,
            tokens_per_step=_sum_known([r.tokens_per_step for r in sharing]),
        )
    return replace(first, warnings=tuple(warnings))


def device_place(device_index: str = "") -> str:
    """What two ranks on one device have in common: the host, and the device's number on it."""
    return f"{socket.gethostname()}/{device_index or 'cpu'}"


def _integer(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name, "")
    return int(text) if text.isdigit() else default


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


def _slowest_sentence(worst: Recording, recordings: tuple[Recording, ...]) -> str:
    medians = [float(np.median(r.wall_seconds)) for r in recordings if r.wall_seconds]
    ratio = max(medians) / min(medians)
    return (
        f"rank {worst.trace.rank} is the slowest of {len(recordings)}: its median step takes "
        f"{ratio:.3f} times the fastest rank's"
    )


def _device_key(recording: Recording) -> tuple[object, str]:
    return recording.trace.device, recording.environment.get("device_place", "")


def _sum_known(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _together(traces: list[Trace]) -> Trace:
    """The traces of several ranks as one: step i holds the i-th step of each."""
    count = min(len(trace.steps) for trace in traces)
    strings: dict[str, int] = {"": 0}
    tables = [_renumbered(trace, count, strings) for trace in traces]
    columns = {
        name: np.concatenate([getattr(table, name) for table in tables])
        for name in Invocations.column_types()
    }
    return replace(
        traces[0],
        steps=tuple(_one_step([t.steps[i] for t in traces]) for i in range(count)),
        invocations=Invocations(**columns),
        strings=tuple(strings),
        edge_seconds=sum(trace.edge_seconds for trace in traces),
        warnings=tuple(dict.fromkeys(w for trace in traces for w in trace.warnings)),
    )


def _renumbered(trace: Trace, count: int, strings: dict[str, int]) -> Invocations:
    places = np.array([strings.setdefault(text, len(strings)) for text in trace.strings])
    table = trace.invocations.select(trace.invocations.step < count)
    names = ("operator", "module", "source", "shapes", "mode", "kernel")
    return replace(table, **{name: places[getattr(table, name)] for name in names})


def _one_step(steps: list[StepTime]) -> StepTime:
    longest = max(steps, key=lambda step: step.wall_seconds)
    return replace(longest, events=sum(step.events for step in steps))
