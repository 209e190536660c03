"""A job into its account: which bucket every device nanosecond of the window is in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from goodput.errors import NotMeasuredError
from goodput.events import buckets as b
from goodput.events import wire
from goodput.events.account import Account, Ideal, Incarnation, JobAccount, Steps
from goodput.ledger.capacity import Segment, segments_of, silent_ranks, weights
from goodput.ledger.causes import causes_of, ended
from goodput.ledger.checkpoints import Checkpoints, checkpoints_of
from goodput.ledger.fates import KEPT, LOST, UNFINISHED, UNSAVED
from goodput.ledger.jobs import Job
from goodput.ledger.lanes import FATES, RankTimeline, rank_timeline
from goodput.ledger.sessions import NONE, Session
from goodput.ledger.spread import spread_of
from goodput.units import percent

LIMIT = 1.03
"""A program goodput above this is an error: the ideal is not of these steps."""


def account_of(
    job: Job,
    ideal: Ideal | None = None,
    window_ns: int | None = None,
    rolling_ns: Sequence[int] = (),
    parts: int = 0,
) -> JobAccount:
    """The account of `job`, of each stretch of `window_ns` of it, and of `parts` equal parts.

    Also of the last stretches of `rolling_ns`, or of all of it where it is shorter.

    Raises:
        NotMeasuredError: the ledger holds no event with a time.
    """
    if not job.lives:
        raise NotMeasuredError(
            f"the ledger of {job.name} holds no event: nothing was said, or all of it was damaged; "
            + "; ".join(job.notes)
        )
    start, end = window_of(job)
    found = checkpoints_of(job)
    state, clean = ended(job, last=True)
    notes = [*job.notes, *filter(None, [silent_ranks(job)])]
    ranks = _timelines(job, found, clean=clean)
    if ideal is not None and ideal.step_ns is None and not _all_flops_known(ranks):
        notes.append("not all steps tell their useful FLOPs, so the program layer is not known")
        ideal = None
    book = _Book(job, ranks, ideal)
    total = book.account(start, end)
    incarnations = _incarnations(book, start, end, found)
    result = JobAccount(
        job=job.name,
        state=state,
        devices=max(segment.paid for segment in segments_of(job, start, end)),
        total=total,
        incarnations=incarnations,
        causes=causes_of(incarnations),
        spread=spread_of(book.ranks),
        windows=book.accounts([*range(start, end, window_ns), end]) if window_ns else (),
        rolling=tuple(book.account(max(start, end - length), end) for length in rolling_ns),
        timeline=book.accounts(_parts(start, end, parts)),
        ideal=ideal,
        notes=tuple(notes),
    )
    return replace(result, errors=_errors(result))


def window_of(job: Job) -> tuple[int, int]:
    """From the first event to the last, unless the ledger says another window.

    Raises:
        NotMeasuredError: there is no time between them.
    """
    told = [window for life in job.lives for session in life for window in session.windows]
    before = [
        time
        for life in job.lives
        for session in life
        for span in session.of(wire.QUEUE, wire.ALLOCATION, wire.RESTART)
        for time in (span.start, span.end)
        if time is not None
    ]
    starts = [start for start, _ in told if start is not None]
    ends = [end for _, end in told if end is not None]
    start = starts[-1] if starts else min([*job.starts, *before])
    end = ends[-1] if ends else max([*job.ends, *before])
    if end <= start:
        raise NotMeasuredError(
            f"the ledger of {job.name} covers no time: its window ends where it starts"
        )
    return start, end


def _timelines(job: Job, found: Checkpoints, *, clean: bool) -> list[RankTimeline]:
    return [rank_timeline(lane, job, found, clean=clean) for lane in job.lanes]


def _all_flops_known(ranks: list[RankTimeline]) -> bool:
    """Whether every step that was kept tells its FLOPs: those that do not are not zero."""
    return all(
        rank.steps.flops is not None and not np.isnan(rank.steps.flops[rank.fates == KEPT]).any()
        for rank in ranks
        if len(rank.steps)
    )


@dataclass(frozen=True, slots=True)
class _Book:
    """What accounts of any stretch of a job are made of."""

    job: Job
    ranks: list[RankTimeline]
    ideal: Ideal | None

    def account(self, start: int, end: int) -> Account:
        """The account from `start` to `end`."""
        buckets: dict[str, int] = defaultdict(int)
        custom: dict[str, int] = defaultdict(int)
        ideal, device_ns = 0, 0
        for segment in segments_of(self.job, start, end):
            device_ns += segment.paid * (segment.end - segment.start)
            idle = segment.paid - segment.working
            buckets[b.ELASTIC] += idle * (segment.end - segment.start)
            ideal += self._add(segment, buckets, custom)
        kept = {name: time for name, time in buckets.items() if time}
        return Account(
            start_ns=start,
            end_ns=end,
            device_ns=device_ns,
            buckets={name: kept[name] for name in b.NAMES if name in kept},
            custom=dict(sorted(custom.items(), key=lambda item: -item[1])),
            steps=self._steps(start, end),
            ideal_ns=None if self.ideal is None else ideal,
            tokens=self._tokens(start, end),
        )

    def accounts(self, edges: list[int]) -> tuple[Account, ...]:
        """The accounts of the stretches between the edges."""
        return tuple(self.account(low, high) for low, high in pairwise(edges))

    def _add(self, segment: Segment, buckets: dict[str, int], custom: dict[str, int]) -> int:
        """Adds the time of one segment; returns the ideal time of the kept steps in it."""
        present = [rank for rank in self.ranks if segment.life in rank.present]
        shares = weights(segment.working, [rank.rank for rank in present])
        ideal = 0
        for rank in present:
            weight = shares[rank.rank]
            for (event, label), time in rank.timeline.split(segment.start, segment.end).items():
                name = FATES[label] if event == wire.STEP else event
                buckets[name] += weight * time
                if event == wire.CUSTOM:
                    custom[rank.names[label]] += weight * time
            ideal += _ideal(rank, segment, self.ideal, weight)
        return ideal

    def _steps(self, start: int, end: int) -> Steps:
        """Counted on the rank that did most."""
        counts = []
        for rank in self.ranks:
            found = np.bincount(rank.fates_in(start, end)[0], minlength=4).tolist()
            counts.append(Steps(*(found[fate] for fate in (KEPT, LOST, UNSAVED, UNFINISHED))))
        return max(counts, key=lambda each: each.done + each.unfinished, default=Steps())

    def _tokens(self, start: int, end: int) -> int | None:
        """Of the kept steps of all ranks that wrote."""
        total, told = 0, False
        for rank in self.ranks:
            fates, places = rank.fates_in(start, end)
            tokens = rank.steps.tokens[places][fates == KEPT]
            known = tokens[tokens != NONE]
            told = told or len(known) > 0
            total += int(known.sum())
        return total if told else None


def _ideal(rank: RankTimeline, segment: Segment, ideal: Ideal | None, weight: int) -> int:
    """Device nanoseconds that the rank's kept steps that ended in `segment` need at best."""
    if ideal is None:
        return 0
    fates, places = rank.fates_in(segment.start, segment.end)
    kept = fates == KEPT
    if ideal.step_ns is not None:
        return int(kept.sum()) * ideal.step_ns * weight
    if ideal.flops_per_s is None or rank.steps.flops is None:
        return 0
    # A rank's FLOPs are those of all of its devices; where it stands for others, theirs are alike.
    flops = float(np.nansum(rank.steps.flops[places][kept])) * weight / rank.devices
    return round(flops / ideal.flops_per_s * 1e9)


def _incarnations(book: _Book, start: int, end: int, found: Checkpoints) -> tuple[Incarnation, ...]:
    job = book.job
    starts = job.starts
    edges = [start, *(min(max(time, start), end) for time in starts[1:]), end]
    loads = dict(reversed(found.loads))
    rows = []
    for number, life in enumerate(job.lives):
        text, clean = ended(job, number)
        numbers = _numbers(book, number)
        low, high = edges[number], max(edges[number], edges[number + 1])
        load = loads.get(number)
        rows.append(
            Incarnation(
                number=number,
                ended=text,
                cause="" if clean or (number == len(job.lives) - 1 and not _failed(life)) else text,
                ranks=len(life),
                first_step=numbers[0],
                last_step=numbers[1],
                loaded=None if load is None else load.step,
                account=book.account(low, high),
            )
        )
    return tuple(rows)


def _failed(life: Sequence[Session]) -> bool:
    return any(session.failures for session in life)


def _numbers(book: _Book, life: int) -> tuple[int | None, int | None]:
    """The first and the furthest step of an incarnation, on the rank that began first."""
    begin = book.job.starts[life]
    until = book.job.starts[life + 1] if life + 1 < len(book.job.lives) else None
    for rank in book.ranks:
        last = rank.steps.end.max(initial=begin) if until is None else until
        numbers = rank.steps.number[rank.fates_in(begin, int(last))[1]]
        if len(numbers):
            return int(numbers[0]), int(numbers.max())
    return None, None


def _parts(start: int, end: int, parts: int) -> list[int]:
    """The edges of so many equal parts, each at least a nanosecond long."""
    count = min(parts, end - start)
    return [start + (end - start) * place // count for place in range(count + 1)] if count else []


def _errors(result: JobAccount) -> tuple[str, ...]:
    program = result.total.program
    if program is None or program <= LIMIT:
        return ()
    error = (
        f"program goodput would be {percent(program)}: the kept steps are shorter than the ideal "
        "step, so the recording is of another step, another device or another number of ranks"
    )
    return (error,)
