"""Sessions joined: ranks as lanes, lives as incarnations, the hosts' clocks as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from goodput.events import wire
from goodput.ledger.sessions import NONE, Integers, Session
from goodput.units import ranges, seconds

_SECOND_NS = 1_000_000_000
_SKEW_NS = 50_000_000
"""Clocks that differ by less are not told apart from ranks that end their steps apart."""


@dataclass(slots=True)
class Lane:
    """One rank: its sessions, in order, and the incarnation that each is of."""

    rank: int
    sessions: list[Session]
    incarnations: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Job:
    """One job.

    Attributes:
        name: its name.
        lanes: by rank.
        lives: the sessions of each incarnation, in order.
        notes: what is wrong with its ledger, in sentences.
    """

    name: str
    lanes: list[Lane]
    lives: list[list[Session]]
    notes: list[str]

    @property
    def starts(self) -> list[int]:
        """When each incarnation started."""
        return [min(session.first for session in life) for life in self.lives]

    @property
    def ends(self) -> list[int]:
        """The last sign of life of each incarnation."""
        return [max(session.last for session in life) for life in self.lives]


def jobs_of(sessions: Iterable[Session]) -> list[Job]:
    """The jobs that the sessions are of, by name."""
    by_name: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        by_name[session.job].append(session)
    return [_job(name, own) for name, own in sorted(by_name.items())]


def _job(name: str, sessions: list[Session]) -> Job:
    notes = _notes(sessions)
    alive = _without_launchers(sessions)
    lanes = _lanes(alive, notes)
    lives = _lives(lanes)
    for life in lives:
        notes += _one_clock(life)
    return Job(name, lanes, lives, list(dict.fromkeys(notes)))


def _without_launchers(sessions: list[Session]) -> list[Session]:
    """The ranks' sessions, told what launchers told of them; launchers alone stand for ranks.

    A launcher has no rank, or wrote before the first process opened the file. What it allocated is
    `allocation` until a process begins.
    """
    living = [session for session in sessions if session.first != NONE]
    ranks = [session for session in living if session.rank >= 0]
    if not ranks:
        return living
    first = min(ranks, key=lambda session: session.first)
    starts = sorted(session.first for session in ranks)
    launchers = [each for each in sessions if each.rank < 0 or each.first == NONE]
    for launcher in launchers:
        first.windows += launcher.windows
        for span in launcher.spans:
            end = span.end
            if span.event == wire.ALLOCATION and end is not None:
                end = next((at for at in starts if span.start <= at < (span.end or at)), end)
            first.spans.append(replace(span, end=end))
    return ranks


def _notes(sessions: list[Session]) -> list[str]:
    """The notes of all sessions; with several files, each says which one it is of."""
    several = len({session.source for session in sessions}) > 1
    return [
        f"{session.source}: {note}" if several else note
        for session in sessions
        for note in session.notes
    ]


def _lanes(sessions: list[Session], notes: list[str]) -> list[Lane]:
    by_rank: dict[int, list[Session]] = defaultdict(list)
    for session in sessions:
        by_rank[session.rank].append(session)
    lanes = []
    for rank, own in sorted(by_rank.items()):
        # Of one file the order is that of the lines: a clock may have been set back between them.
        if len({session.source for session in own}) > 1:
            own.sort(key=lambda session: session.first)
        for earlier, later in pairwise(own):
            if later.first < earlier.last:
                back = seconds((earlier.last - later.first) / _SECOND_NS)
                notes.append(
                    f"rank {rank} started again {back} before its last event: its clock was set "
                    "back, or two processes wrote as one rank"
                )
        lanes.append(Lane(rank, own))
    return lanes


def _lives(lanes: list[Lane]) -> list[list[Session]]:
    """The incarnations: a rank that starts again starts a new one."""
    counts = {len(lane.sessions) for lane in lanes}
    if len(counts) == 1:
        lives = [[lane.sessions[n] for lane in lanes] for n in range(counts.pop())]
        for lane in lanes:
            lane.incarnations = list(range(len(lane.sessions)))
        return lives
    ordered = sorted(
        ((session.first, lane.rank, place) for lane in lanes for place, session in _placed(lane)),
    )
    by_rank = {lane.rank: lane for lane in lanes}
    lives, present = [], set[int]()
    for _, rank, place in ordered:
        if rank in present or not lives:
            lives.append([])
            present = set()
        present.add(rank)
        lives[-1].append(by_rank[rank].sessions[place])
        by_rank[rank].incarnations.append(len(lives) - 1)
    return lives


def _placed(lane: Lane) -> Iterable[tuple[int, Session]]:
    return enumerate(lane.sessions)


def _one_clock(life: list[Session]) -> list[str]:
    """Moves the times of hosts whose clocks differ, by the ends of steps that all ranks share.

    A synchronous step ends about everywhere at once. What is within half a step is let be: ranks
    may well be that far apart.
    """
    reference = min(life, key=lambda session: session.rank)
    numbers, ends = _first_of_each(reference)
    offsets: dict[str, list[tuple[Session, int]]] = defaultdict(list)
    for session in life:
        host = session.opening.host
        if session is reference or (host and host == reference.opening.host):
            continue
        own, own_ends = _first_of_each(session)
        _, here, there = np.intersect1d(numbers, own, assume_unique=True, return_indices=True)
        if len(here):
            offset = int(np.median(own_ends[there] - ends[here]))
            offsets[host or f"rank {session.rank}"].append((session, offset))
    return [note for host, found in offsets.items() for note in _set(host, found, reference)]


def _set(host: str, found: list[tuple[Session, int]], reference: Session) -> list[str]:
    steps = reference.steps
    step = int(np.median(steps.end - steps.start))
    offset = int(np.median([each for _, each in found]))
    if abs(offset) <= max(_SKEW_NS, step // 2):
        return []
    for session, _ in found:
        _move(session, -offset)
    ranks = ranges(session.rank for session, _ in found)
    ahead = "ahead of" if offset > 0 else "behind"
    note = (
        f"the clock of {host} (ranks {ranks}) is {seconds(abs(offset) / _SECOND_NS)} {ahead} rank "
        f"{reference.rank}'s by the steps that both told; its times are moved by that"
    )
    return [note]


def _first_of_each(session: Session) -> tuple[Integers, Integers]:
    """The step numbers, and when each ended for the first time."""
    numbers, places = np.unique(session.steps.number, return_index=True)
    return numbers, session.steps.end[places]


def _move(session: Session, by: int) -> None:
    session.steps.moved(by)
    session.waits = session.waits[0] + by, session.waits[1] + by
    session.spans = [
        replace(span, start=span.start + by, end=None if span.end is None else span.end + by)
        for span in session.spans
    ]
    session.failures = [(time + by, cause) for time, cause in session.failures]
    session.sizes = [(time + by, devices) for time, devices in session.sizes]
    session.first += by
    session.last += by
