"""A rank's sessions as one timeline with the fate of every step, ready to be split."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from goodput.events import buckets as b
from goodput.events import wire
from goodput.ledger.checkpoints import Checkpoints, loads_for, saves_for
from goodput.ledger.fates import KEPT, LOST, UNFINISHED, UNSAVED, fates_of
from goodput.ledger.jobs import Job, Lane
from goodput.ledger.partition import Claims, Timeline, ordered
from goodput.ledger.sessions import (
    NONE,
    Integers,
    Session,
    Steps,
    integers,
    joined_column,
    joined_steps,
)

Places: TypeAlias = slice | Integers
FATES = {KEPT: b.KEPT, LOST: b.LOST, UNSAVED: b.UNSAVED, UNFINISHED: b.UNFINISHED}
_BY_JOB = (wire.QUEUE, wire.ALLOCATION, wire.RESTART)


@dataclass(frozen=True, slots=True)
class RankTimeline:
    """One rank.

    Attributes:
        rank, host: which.
        present: the incarnations that it is in.
        timeline: its time.
        steps: those that were written, in the order in which they were done.
        fates: of each.
        names: of its custom events, by label.
        in_order: whether each step ended after the one before.
    """

    rank: int
    host: str
    present: frozenset[int]
    devices: int
    timeline: Timeline
    steps: Steps
    fates: npt.NDArray[np.int8]
    names: tuple[str, ...]

    in_order: bool

    def fates_in(self, start: int, end: int) -> tuple[npt.NDArray[np.int8], Places]:
        """The fates of the steps that ended after `start`, up to `end`, and their places."""
        ends = self.steps.end
        if self.in_order:  # as ever, unless a clock was set back
            low, high = np.searchsorted(ends, (start, end), side="right")
            place = slice(int(low), int(high))
            return self.fates[place], place
        places = np.flatnonzero((ends > start) & (ends <= end))
        return self.fates[places], places


def rank_timeline(lane: Lane, job: Job, found: Checkpoints, *, clean: bool) -> RankTimeline:
    """The timeline of `lane`; its sessions lose their steps to it."""
    starts = _process_starts(lane)
    parts = [session.steps for session in lane.sessions]
    loads = loads_for(lane, found)
    steps = joined_steps(parts)
    fates = fates_of(steps, starts, saves_for(lane, steps, found), loads, clean=clean)
    names = tuple(sorted({s.name for each in lane.sessions for s in each.of(wire.CUSTOM)}))
    claims = {
        wire.STEP: _step_claims(steps, fates, lane),
        wire.DATA_WAIT: _wait_claims(lane),
        b.UNATTRIBUTED: _spans([(each.first, each.last, 0) for each in lane.sessions]),
        wire.CUSTOM: _own_claims(lane, wire.CUSTOM, names),
        **{event: _own_claims(lane, event) for event in _OWN},
        **{event: _job_claims(job, event) for event in _BY_JOB},
    }
    restarts = claims[wire.RESTART]
    gaps = _gaps(lane, job)
    claims[wire.RESTART] = _spans(
        [*gaps, *((int(s), int(e), 0) for s, e in zip(restarts.start, restarts.end, strict=True))]
    )
    return RankTimeline(
        lane.rank,
        lane.sessions[-1].opening.host,
        frozenset(lane.incarnations),
        lane.sessions[-1].devices,
        Timeline(claims),
        steps,
        fates,
        names,
        in_order=bool((steps.end[1:] >= steps.end[:-1]).all()),
    )


_OWN = (
    wire.CHECKPOINT_LOAD,
    wire.CHECKPOINT_SAVE,
    wire.EVALUATION,
    wire.COMPILE,
    wire.INITIALISATION,
)


def _process_starts(lane: Lane) -> list[int]:
    counts = [len(session.steps) for session in lane.sessions]
    return [0, *np.cumsum(counts)[:-1].tolist()]


def _spans(triples: list[tuple[int, int, int]]) -> Claims:
    start = integers((each[0] for each in triples), len(triples))
    end = integers((each[1] for each in triples), len(triples))
    return ordered(start, end, integers((each[2] for each in triples), len(triples)))


def _unended(lane: Lane, event: str) -> list[tuple[int, int, int]]:
    """Spans that the end of their process cut off."""
    return [
        (span.start, session.last, UNFINISHED)
        for session in lane.sessions
        for span in session.of(event)
        if span.end is None
    ]


def _step_claims(steps: Steps, fates: npt.NDArray[np.int8], lane: Lane) -> Claims:
    cut = _unended(lane, wire.STEP)
    if not cut:
        return ordered(steps.start, steps.end, fates)
    more = _spans(cut)
    assert more.labels is not None  # noqa: S101 - `_spans` gives them
    return ordered(
        np.concatenate((steps.start, more.start)),
        np.concatenate((steps.end, more.end)),
        np.concatenate((fates, more.labels.astype(np.int8))),
    )


def _wait_claims(lane: Lane) -> Claims:
    cut = _spans(_unended(lane, wire.DATA_WAIT))
    start = joined_column([*(session.waits[0] for session in lane.sessions), cut.start])
    end = joined_column([*(session.waits[1] for session in lane.sessions), cut.end])
    return ordered(start, end, None)


def _own_claims(lane: Lane, event: str, names: tuple[str, ...] = ()) -> Claims:
    label = {name: place for place, name in enumerate(names)}
    return _spans(
        [
            (span.start, session.last if span.end is None else span.end, label.get(span.name, 0))
            for session in lane.sessions
            for span in session.of(event)
            if span.blocking
        ]
    )


def _job_claims(job: Job, event: str) -> Claims:
    """What one rank tells of the whole job."""
    return _spans(
        [
            (span.start, span.end, 0)
            for life in job.lives
            for session in life
            for span in session.of(event)
            if span.end is not None
        ]
    )


def _gaps(lane: Lane, job: Job) -> list[tuple[int, int, int]]:
    """From the end of a life to the next start: of the job, and of this rank."""
    by_job = zip(job.ends[:-1], job.starts[1:], strict=True)
    own: list[Session] = [session for session in lane.sessions if session.first != NONE]
    by_rank = ((one.last, other.first) for one, other in pairwise(own))
    return [(start, end, 0) for start, end in (*by_job, *by_rank) if end > start]
