"""The checkpoints of a job as each rank sees them: which are whole, and how far each reaches."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from goodput.events import wire
from goodput.ledger.fates import Load, Save
from goodput.ledger.jobs import Job, Lane
from goodput.ledger.sessions import Integers, Session, Span, Steps


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """A checkpoint that every rank that began it finished: when, by whom, and what it can hold."""

    begun: int
    whole: int
    step: int | None
    savers: tuple[tuple[int, int, int], ...]
    """Rank, the rank's steps when its part was whole, and when it was begun."""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of a job, and the loads of each incarnation."""

    saves: tuple[_Checkpoint, ...]
    loads: tuple[tuple[int, Load], ...]
    """Of each incarnation that has one, as the rank that told it first saw it."""


def checkpoints_of(job: Job) -> Checkpoints:
    """What the ranks told, joined."""
    saves: list[_Checkpoint] = []
    loads: list[tuple[int, Load]] = []
    bases = {id(session): base for lane in job.lanes for session, base in _based(lane)}
    for number, life in enumerate(job.lives):
        saves += _saves_of(life, bases)
        told = [
            (span, session)
            for session in life
            for span in session.of(wire.CHECKPOINT_LOAD)
            if _is_load(span)
        ]
        if told:
            first = min((session for _, session in told), key=lambda session: session.rank)
            loads += [(number, _load(span, 0)) for span, session in told if session is first]
    return Checkpoints(tuple(saves), tuple(loads))


def saves_for(lane: Lane, steps: Steps, found: Checkpoints) -> list[Save]:
    """The checkpoints with their places among the steps of `lane`.

    A rank that saved says itself where; on the others they are placed by the time.
    """
    ends = _rising(steps.end)
    saves = []
    for each in found.saves:
        own = next((saver for saver in each.savers if saver[0] == lane.rank), None)
        if own is not None:
            at, held = own[1], own[2]
        else:
            at = held = int(np.searchsorted(ends, each.whole, side="right"))
        saves.append(Save(at, held, each.step, each.whole))
    return saves


def loads_for(lane: Lane, found: Checkpoints) -> list[Load]:
    """The loads as `lane` saw them: where it tells none, those that another rank told."""
    loads: list[Load] = []
    for (session, base), life in zip(_based(lane), lane.incarnations, strict=True):
        own = [span for span in session.of(wire.CHECKPOINT_LOAD) if _is_load(span)]
        if own:
            loads += [_load(span, base) for span in own]
        else:
            # All ranks load together, so the time tells where among the steps of this one.
            ends = _rising(session.steps.end)
            loads += [
                Load(
                    base + int(np.searchsorted(ends, load.time, side="right")), load.step, load.time
                )
                for number, load in found.loads
                if number == life
            ]
    return loads


def _rising(ends: Integers) -> Integers:
    """The ends, none before an earlier one's."""
    result: Integers = np.maximum.accumulate(ends) if len(ends) else ends
    return result


def _based(lane: Lane) -> list[tuple[Session, int]]:
    """Each session with how many steps the rank had done before it."""
    based, base = [], 0
    for session in lane.sessions:
        based.append((session, base))
        base += len(session.steps)
    return based


def _is_load(span: Span) -> bool:
    return span.ok and span.end is not None and span.step is not None


def _load(span: Span, base: int) -> Load:
    assert span.step is not None  # noqa: S101 - as `_is_load` says
    assert span.end is not None  # noqa: S101 - the same
    return Load(base + span.position, span.step, span.end)


def _saves_of(life: list[Session], bases: dict[int, int]) -> list[_Checkpoint]:
    """The whole checkpoints of one incarnation: one a step, of all ranks that saved a part."""
    parts: dict[tuple[int | None, int], list[tuple[Span, Session]]] = defaultdict(list)
    for session in life:
        seen: dict[int | None, int] = defaultdict(int)
        for span in session.of(wire.CHECKPOINT_SAVE):
            # The n-th save of a step on one rank is the n-th one on the others.
            parts[span.step, seen[span.step]].append((span, session))
            seen[span.step] += 1
    return [
        _checkpoint(own, bases)
        for own in parts.values()
        if all(span.ok and span.end is not None for span, _ in own)
    ]


def _checkpoint(parts: list[tuple[Span, Session]], bases: dict[int, int]) -> _Checkpoint:
    whole = max(span.end or 0 for span, _ in parts)
    savers = []
    for span, session in parts:
        base = bases[id(session)]
        held = _done_before(session.steps.end, span.position, span.start)
        savers.append((session.rank, base + span.position, base + held))
    begun = min(span.start for span, _ in parts)
    return _Checkpoint(begun, whole, parts[0][0].step, tuple(savers))


def _done_before(ends: Integers, position: int, time: int) -> int:
    """How many of the first `position` steps had ended at `time`."""
    place = min(position, len(ends))
    while place and ends[place - 1] > time:
        place -= 1
    return place
