"""The steps of a trace, on the host and on the device, and the gaps between kernels.

On a device that works behind the host's back a kernel belongs to the step that launched it. The
first step begins with its own first kernel, or when the kernels launched before it have drained,
whichever is later: what comes before is the profiler's own start. Each later step begins where the
one before it ended, or with its own host span where the host did something else in between; it ends
with its own last kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from goodput.readers.kineto_events import Column, Host, HostEvents
from goodput.readers.kineto_names import BOUNDARY_MARKER, PROFILER_STEP
from goodput.trace.overlap import busy_intervals
from goodput.trace.table import Flags, Floats, Integers, StepTime

NO_STEP = -1
# Host spans of consecutive steps touch up to the profiler's own call between them.
_ADJACENT_SHARE = 0.05
# Longer ones do not fit a column.
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True, eq=False)
class HostSteps:
    """The steps as the host saw them, in order and without overlap.

    Attributes:
        number: each step's own number.
        start, end: seconds.
        marked: whether the file marked them; else the one step is the whole window.
    """

    number: Integers
    start: Floats
    end: Floats
    marked: bool

    def __len__(self) -> int:
        """The number of steps."""
        return len(self.number)

    def of(self, instant: Floats) -> Integers:
        """The index of the step that holds each instant, `NO_STEP` outside of all."""
        place = np.searchsorted(self.start, instant, side="right") - 1
        inside = (place >= 0) & (instant < self.end[np.maximum(place, 0)])
        return np.where(inside, place, NO_STEP)

    def select(self, rows: Integers) -> HostSteps:
        """Some of the steps."""
        return HostSteps(self.number[rows], self.start[rows], self.end[rows], self.marked)


def host_steps(host: HostEvents, strings: list[str], process: Column) -> Iterator[HostSteps]:
    """The ways to see steps in the file, the best first.

    goodput's own boundaries, else `ProfilerStep#N`; last, always, the whole window as one step.

    Args:
        host: every event of the host.
        strings: what their names index.
        process: the process of each thread.
    """
    boundaries = _marks(host, strings, BOUNDARY_MARKER)
    edges = host.start[boundaries]
    numbers = _numbers(host, strings, boundaries)
    yield from _whole(HostSteps(numbers[:-1], edges[:-1], edges[1:], marked=True))
    profiled = _of_one_process(host, _marks(host, strings, PROFILER_STEP), process)
    start = host.start[profiled]
    end = np.minimum(host.end[profiled], np.append(start[1:], np.inf)[: len(start)])
    yield from _whole(HostSteps(_numbers(host, strings, profiled), start, end, marked=True))
    # The last event may begin at the very end.
    end = np.nextafter(host.end.max(initial=-np.inf), np.inf)
    begin = host.start.min(initial=np.inf)
    yield HostSteps(np.zeros(1, np.int64), np.array([begin]), np.array([end]), marked=False)


def _marks(host: HostEvents, strings: list[str], prefix: str) -> Integers:
    marks = [i for i, text in enumerate(strings) if text.startswith(prefix)]
    rows = np.nonzero(np.isin(host.name, marks) & (host.what != Host.LAUNCH))[0]
    return rows[np.argsort(host.start[rows], kind="stable")]


def _of_one_process(host: HostEvents, marks: Integers, process: Column) -> Integers:
    """The marks of the process that has most of them: those of several would cut each other."""
    owner = process[host.thread[marks]]
    return marks[owner == np.bincount(owner).argmax()] if len(marks) else marks


def _whole(steps: HostSteps) -> Iterator[HostSteps]:
    """The steps that take any time: a mark that stands twice begins nothing."""
    kept = np.nonzero(steps.end > steps.start)[0]
    if len(kept):
        yield steps.select(kept)


def _numbers(host: HostEvents, strings: list[str], rows: Integers) -> Integers:
    words = (strings[name].rsplit("#", 1)[1] for name in host.name[rows].tolist())
    numbers = [int(word) if _NUMBER.fullmatch(word) else i for i, word in enumerate(words)]
    return np.asarray(numbers, dtype=np.int64)


def whole_on_device(
    steps: HostSteps, start: Floats, end: Floats, step: Integers, launch: Floats
) -> tuple[HostSteps, Integers, tuple[Floats, Floats]]:
    """The steps that take any time on the device, the step of each kernel, and their bounds.

    A step is left out where all its kernels end before those of an earlier one: what overlaps so
    has no time of its own. The arguments are those of `device_bounds`.
    """
    while True:
        bounds = device_bounds(steps, start, end, step, launch)
        kept = np.nonzero(bounds[1] > bounds[0])[0]
        if not len(kept) or len(kept) == len(steps):
            return steps.select(kept), step, bounds
        # The first one left may now begin later: it waits for what ran before it.
        places = np.full(len(steps) + 1, NO_STEP, dtype=np.int64)
        places[kept] = np.arange(len(kept))
        steps, step = steps.select(kept), places[step]


def device_bounds(
    steps: HostSteps, start: Floats, end: Floats, step: Integers, launch: Floats
) -> tuple[Floats, Floats]:
    """Begin and end of each step on the device.

    Args:
        steps: the host's steps, each with a kernel of its own.
        start: begin of each kernel.
        end: end of each kernel.
        step: index of the step that launched it, `NO_STEP` for none.
        launch: when it was launched; NaN where the file does not say.
    """
    mine = step != NO_STEP
    last = np.full(len(steps), -np.inf)
    np.maximum.at(last, step[mine], end[mine])
    ends = np.maximum.accumulate(last)
    first = np.full(len(steps), np.inf)
    np.minimum.at(first, step[mine], start[mine])
    begins = np.empty(len(steps))
    drained = end[~mine & ~(launch >= steps.start[0]) & (start < first[0])].max(initial=-np.inf)
    begins[0] = min(max(first[0], drained), ends[0])
    length = steps.end[1:] - steps.start[1:]
    touching = steps.start[1:] - steps.end[:-1] <= _ADJACENT_SHARE * length
    begins[1:] = np.where(touching, ends[:-1], np.maximum(ends[:-1], steps.start[1:]))
    return begins, np.maximum(begins, ends)


def device_times(
    steps: HostSteps,
    bounds: tuple[Floats, Floats],
    start: Floats,
    end: Floats,
    launch: Floats,
    events: Integers,
) -> tuple[StepTime, ...]:
    """The time of each step, its gaps told apart.

    A gap is the host's where the kernel that ends it was launched after the device had gone idle.
    """
    gap_begin, gap_end, by_host = _gaps(start, end, launch)
    times = []
    for index, (begin, finish) in enumerate(zip(*bounds, strict=True)):
        lengths = np.minimum(gap_end, finish) - np.maximum(gap_begin, begin)
        lengths = np.maximum(lengths, 0.0)
        host, idle = float(lengths[by_host].sum()), float(lengths[~by_host].sum())
        wall = float(finish - begin)
        times.append(
            StepTime(
                number=int(steps.number[index]),
                wall_seconds=wall,
                busy_seconds=max(wall - host - idle, 0.0),
                host_gap_seconds=host,
                idle_gap_seconds=idle,
                events=int(events[index]),
            )
        )
    return tuple(times)


def _gaps(start: Floats, end: Floats, launch: Floats) -> tuple[Floats, Floats, Flags]:
    """Begin and end of the gaps between kernels, and whether the host was waited for."""
    begins, ends = busy_intervals(start, end)
    gap_begin, gap_end = ends[:-1], begins[1:]
    order = np.argsort(start, kind="stable")
    next_kernel = order[np.searchsorted(start[order], gap_end)]
    return gap_begin, gap_end, launch[next_kernel] >= gap_begin


def host_times(
    steps: HostSteps, start: Floats, end: Floats, events: Integers
) -> tuple[StepTime, ...]:
    """The time of each step where the operators run on the host itself: every gap is the host's."""
    begins, ends = busy_intervals(start, end)
    times = []
    for index, (begin, finish) in enumerate(zip(steps.start, steps.end, strict=True)):
        lengths = np.minimum(ends, finish) - np.maximum(begins, begin)
        wall = float(finish - begin)
        busy = min(float(np.maximum(lengths, 0.0).sum()), wall)
        times.append(
            StepTime(int(steps.number[index]), wall, busy, wall - busy, 0.0, int(events[index]))
        )
    return tuple(times)


def events_in(steps: HostSteps, start: Floats) -> Integers:
    """How many host events start in each step."""
    order = np.sort(start)
    return np.searchsorted(order, steps.end) - np.searchsorted(order, steps.start)
