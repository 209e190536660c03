"""The recordings of several ranks as one of the device of rank 0. Pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from goodput.trace.recording import Recording
from goodput.trace.table import Invocations, StepTime, Trace


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
