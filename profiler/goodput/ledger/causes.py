"""How each life of a job ended, and what the failures of each cause took."""

from __future__ import annotations

from goodput.events import buckets as b
from goodput.events import wire
from goodput.events.account import Account, Cause, Incarnation
from goodput.ledger.jobs import Job

CLEAN = "clean end"
RUNNING = "no end was written: it runs still, or was killed"
KILLED = "no end was written"
STOPPED = "ended early"


def ended(job: Job, number: int = -1, *, last: bool = False) -> tuple[str, bool]:
    """How incarnation `number` ended, in words, and whether that was the program's own end."""
    life = job.lives[number]
    failures = sorted(failure for session in life for failure in session.failures)
    said = [session.clean for session in life if session.clean is not None]
    if said and all(said):
        return CLEAN, True
    if failures:
        return failures[0][1], False
    if said:
        return STOPPED, False
    return (RUNNING if last or number == len(job.lives) - 1 else KILLED), False


def causes_of(incarnations: tuple[Incarnation, ...]) -> tuple[Cause, ...]:
    """What each cause took: of the life it ended, and of coming back in the next one."""
    found: dict[str, Cause] = {}
    for place, each in enumerate(incarnations):
        if not each.cause:
            continue
        following = incarnations[place + 1].account if place + 1 < len(incarnations) else None
        old = found.get(each.cause, Cause(each.cause, 0, 0, 0, 0))
        own = each.account
        found[each.cause] = Cause(
            each.cause,
            old.count + 1,
            old.lost_ns + _sum(own, b.LOST, b.UNFINISHED),
            old.restart_ns + _sum(own, wire.RESTART, wire.QUEUE, wire.ALLOCATION),
            old.resume_ns
            + _sum(following, wire.INITIALISATION, wire.COMPILE, wire.CHECKPOINT_LOAD),
        )
    return tuple(sorted(found.values(), key=lambda cause: -cause.total_ns))


def _sum(account: Account | None, *names: str) -> int:
    return 0 if account is None else sum(account.buckets.get(name, 0) for name in names)
