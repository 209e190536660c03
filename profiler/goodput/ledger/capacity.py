"""How many devices a job had at each time, paid for and at work, and which rank stands for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from goodput.events import wire
from goodput.ledger.jobs import Job
from goodput.ledger.sessions import Session


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch in which nothing about the devices changes.

    Attributes:
        start, end: the stretch.
        life: the incarnation whose ranks it is split by.
        working: devices at work, or that would be if the job were up.
        paid: devices paid for, at least those.
    """

    start: int
    end: int
    life: int
    working: int
    paid: int


def segments_of(job: Job, start: int, end: int) -> list[Segment]:
    """The stretches between `start` and `end`, in order, without rest."""
    sizes = _sizes(job)
    paid = _paid(job)
    starts = job.starts
    cuts = {start, end}
    cuts |= {time for time, _ in (*sizes, *paid) if start < time < end}
    cuts |= {time for time in starts if start < time < end}
    segments = []
    for low, high in pairwise(sorted(cuts)):
        life = max((n for n, time in enumerate(starts) if time <= low), default=0)
        working = _at(sizes, low)
        segments.append(Segment(low, high, life, working, max(working, _at(paid, low, working))))
    return segments


def weights(working: int, ranks: Sequence[int]) -> dict[int, int]:
    """How many of the `working` devices each of the ranks that wrote stands for."""
    each, rest = divmod(working, len(ranks))
    return {rank: each + (place < rest) for place, rank in enumerate(sorted(ranks))}


def silent_ranks(job: Job) -> str:
    """A sentence where not all ranks wrote; "" where they did."""
    written = {lane.rank for lane in job.lanes}
    world = max(session.opening.world_size for life in job.lives for session in life)
    if len(written) >= world:
        return ""
    return (
        f"{len(written)} of {world} ranks wrote a ledger: they stand for the others, "
        "whose own waits are not known"
    )


def _sizes(job: Job) -> list[tuple[int, int]]:
    """When the number of devices at work changed, and to what."""
    found: list[tuple[int, int]] = []
    for life, start in zip(job.lives, job.starts, strict=True):
        found.append((start, _devices(life)))
        # Every rank may tell the same change: they come one after the other and agree.
        found += sorted(size for session in life for size in session.sizes)
    found.sort(key=lambda each: each[0])
    return found


def _devices(life: list[Session]) -> int:
    """The devices of an incarnation as its processes opened: of all ranks, written or not."""
    by_rank = {session.rank: session.devices for session in life}
    world = max(session.opening.world_size for session in life)
    silent = max(world - len(by_rank), 0)
    return sum(by_rank.values()) + silent * max(by_rank.values())


def _paid(job: Job) -> list[tuple[int, int]]:
    """What the allocations say is paid for, from their end on."""
    return sorted(
        (span.start, span.devices)
        for life in job.lives
        for session in life
        for span in session.of(wire.ALLOCATION)
        if span.devices is not None
    )


def _at(changes: list[tuple[int, int]], time: int, otherwise: int | None = None) -> int:
    """The value at `time`: the last change before it, or the first of all."""
    before = [value for when, value in changes if when <= time]
    if before:
        return before[-1]
    return otherwise if otherwise is not None else changes[0][1]
