"""Whether a trace can be true as a whole: what is refused, and what is doubted and told.

Looks at times, processes and ids; attributes nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from goodput.errors import TraceFormatError
from goodput.readers.kineto_events import Column, DeviceEvents, Events, Host
from goodput.readers.kineto_names import Names, Rule
from goodput.trace.table import Floats

# Beyond this share of the kernels, a clock that runs ahead is worth a sentence.
_EARLY_SHARE = 0.01
# Times are written to the nanosecond, and host and device clocks are matched to about this.
_CLOCK_SECONDS = 1e-6
# No profiler records a month, and beyond it nanoseconds would be lost.
_LONGEST_SECONDS = 30 * 24 * 3600.0


def refuse(path: Path, events: Events, names: Names) -> None:
    """Ends the reading of a file that nothing true can be said of.

    Raises:
        TraceFormatError: there are launches and not one kernel, an event has no time or a time far
            from all others, or the launches of several processes share ids.
    """
    launches = (events.host.what == Host.LAUNCH) & names.kernel_launch[events.host.name]
    if launches.any() and not len(events.device.name):
        raise TraceFormatError(
            f"{path} holds {int(launches.sum())} kernel launches and no kernel, so the device's "
            "work was not recorded; profile with ProfilerActivity.CUDA and one whole step"
        )
    for table in (events.host, events.device, events.frames):
        timeless = np.nonzero(~np.isfinite(table.start) | ~np.isfinite(table.end))[0]
        if len(timeless):
            name = events.strings[int(table.name[timeless[0]])]
            raise TraceFormatError(
                f"{path} has {len(timeless)} events without a time, the first of them {name}; "
                "export the trace again"
            )
    span = _span(events)
    if span > _LONGEST_SECONDS:
        raise TraceFormatError(
            f"the events of {path} span {span:.3g} s, so a clock in it is broken; profile again"
        )
    shared = _shared_ids(events)
    if shared:
        raise TraceFormatError(
            f"{path} holds several processes whose launches have the same ids ({shared} of them "
            "have kernels), so no kernel's launch is sure; give the file of one process"
        )


def _span(events: Events) -> float:
    """Seconds from the first event's begin to the last one's end."""
    tables = (events.host, events.device, events.frames)
    begin = min(float(table.start.min(initial=np.inf)) for table in tables)
    return max(float(table.end.max(initial=begin)) for table in tables) - begin


def _shared_ids(events: Events) -> int:
    """How many correlation ids of kernels were given out by more than one process."""
    host = events.host
    launches = (host.what == Host.LAUNCH) & np.isin(host.correlation, events.device.correlation)
    given = np.stack((host.correlation[launches], events.process[host.thread[launches]]), axis=1)
    ids = np.unique(given[given[:, 0] > 0], axis=0)[:, 0]
    return len(ids) - len(np.unique(ids))


def doubts(events: Events, names: Names) -> tuple[str, ...]:
    """Sentences about what is odd in the file's times, processes and links."""
    return (*_backwards(events), *_processes(events), *_unnumbered(events, names))


def _backwards(events: Events) -> tuple[str, ...]:
    count = sum(int((table.end < table.start).sum()) for table in (events.host, events.device))
    if not count:
        return ()
    sentence = (
        f"{count} events end before they begin, so their own time is missing; the profiler's clock "
        "was wrong, so profile again"
    )
    return (sentence,)


def _processes(events: Events) -> tuple[str, ...]:
    host = events.host
    threads = np.unique(host.thread[host.what == Host.OPERATOR])
    count = len(np.unique(events.process[threads]))
    if count <= 1:
        return ()
    sentence = (
        f"the file holds operators of {count} processes, so its rows are those of all of them in "
        "the steps of one; profile one process a file to tell them apart"
    )
    return (sentence,)


def _unnumbered(events: Events, names: Names) -> tuple[str, ...]:
    """A sentence where nothing tells a recomputed operator from one of the backward pass."""
    nodes = (names.rule[events.host.name] == Rule.ENGINE).any()
    if not nodes or (events.host.sequence >= 0).any():
        return ()
    sentence = (
        "the trace has backward nodes and no sequence numbers, so what a checkpoint recomputes "
        "counts as useful, and backward operators have no module"
    )
    return (sentence,)


def clock_doubts(device: DeviceEvents, launched: Floats, launch: Column) -> tuple[str, ...]:
    """A sentence where kernels begin before the call that launched them.

    Args:
        device: the device's activities.
        launched: when each was launched; NaN where the file does not say.
        launch: the launching call of each, negative without one: an operator's own begin is none.
    """
    lead = np.where(launch >= 0, launched - device.start, 0.0)
    early = lead > _CLOCK_SECONDS
    if early.sum() <= _EARLY_SHARE * len(early):
        return ()
    sentence = (
        f"{int(early.sum())} kernels begin before the call that launched them, by up to "
        f"{float(lead.max()):.3g} s: the clocks of host and device disagree, so what is host and "
        "what is idle time is not sure"
    )
    return (sentence,)
