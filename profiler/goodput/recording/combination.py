"""The recordings of several ranks as one of the device of rank 0. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from goodput.recording.ranks import named
from goodput.trace.recording import Recording, WorkPass
from goodput.trace.table import Invocations, StepTime, Trace


def slowest(recordings: tuple[Recording, ...]) -> Recording | None:
    """The rank with the longest median step; None where none was timed."""
    timed = [recording for recording in recordings if recording.wall_seconds]
    return max(timed, key=lambda r: float(np.median(r.wall_seconds)), default=None)


def combined(recordings: tuple[Recording, ...], notes: Sequence[str] = ()) -> Recording:
    """One recording of the device of rank 0: its own, or the sum of the ranks that share it.

    Ranks on one device (several processes on one CPU) work in the same seconds, so their operators
    are put together step by step and the wall is the slowest rank's. The warnings name that rank
    and say what was summed; `notes` are sentences on ranks that are not here.
    """
    first = recordings[0]
    if len(recordings) == 1:
        return replace(first, warnings=(*first.warnings, *notes)) if notes else first
    sharing = [r for r in recordings if _device_key(r) == _device_key(first)]
    warnings = [*first.warnings, *notes, *_slowest_sentence(recordings)]
    unprofiled = [r.trace.rank for r in sharing if not r.trace.steps]
    only_counted = len(unprofiled) == len(sharing) and all(r.work.entries for r in sharing)
    if len(sharing) > 1 and unprofiled and not only_counted:
        warnings.append(
            f"{named(unprofiled)} shared this device without a profiled step, so no work of other "
            "ranks is added to this report"
        )
    elif len(sharing) > 1:
        slow = slowest(tuple(sharing)) or first
        ranks = named([r.trace.rank for r in sharing])
        over = " over one wall" if slow.wall_seconds else ""
        warnings.append(f"{ranks} share one device: their work is summed{over}")
        first = replace(
            first,
            trace=first.trace if only_counted else _together([r.trace for r in sharing]),
            work=_work_of_all([r.work for r in sharing]),
            wall_seconds=slow.wall_seconds,
            tokens_per_step=_sum_known([r.tokens_per_step for r in sharing]),
        )
    return replace(first, warnings=tuple(warnings))


def _slowest_sentence(recordings: tuple[Recording, ...]) -> tuple[str, ...]:
    """Which rank is the slowest and by how much; nothing where fewer than two were timed."""
    medians = [float(np.median(r.wall_seconds)) for r in recordings if r.wall_seconds]
    worst = slowest(recordings)
    if worst is None or len(medians) < 2:
        return ()
    ratio = max(medians) / min(medians)
    sentence = (
        f"rank {worst.trace.rank} is the slowest of {len(medians)}: its median step takes "
        f"{ratio:.3f} times the fastest rank's"
    )
    return (sentence,)


def _device_key(recording: Recording) -> tuple[object, str]:
    return recording.trace.device, recording.environment.get("device_place", "")


def _sum_known(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _work_of_all(passes: list[WorkPass]) -> WorkPass:
    """The counted steps of several ranks as one."""
    return WorkPass(
        entries=tuple(entry for one in passes for entry in one.entries),
        contractions=tuple(problem for one in passes for problem in one.contractions),
        convolutions=tuple(problem for one in passes for problem in one.convolutions),
        failure="; ".join(dict.fromkeys(one.failure for one in passes if one.failure)),
        hand_written=tuple(dict.fromkeys(name for one in passes for name in one.hand_written)),
        told=tuple(dict.fromkeys(sentence for one in passes for sentence in one.told)),
    )


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
