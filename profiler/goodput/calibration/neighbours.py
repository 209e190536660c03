"""Whether other processes used the cores while something was measured on them."""

from __future__ import annotations

from dataclasses import dataclass

from goodput.frontends.host_device import busy_seconds, cores_in_use
from goodput.measure.clock import Clock


@dataclass(frozen=True, slots=True)
class Watch:
    """A moment, to look back at: readings of the clock, of this process and of its cores."""

    now: float
    own_seconds: float
    busy_seconds: float | None


def watch(clock: Clock) -> Watch:
    """The present moment."""
    return Watch(clock.now(), clock.cpu_seconds(), busy_seconds())


def others_share(start: Watch, end: Watch, cores: int | None = None) -> float | None:
    """The share of the cores that others had between two moments; None where not known."""
    if start.busy_seconds is None or end.busy_seconds is None or end.now <= start.now:
        return None
    own = end.own_seconds - start.own_seconds
    others = end.busy_seconds - start.busy_seconds - own
    return max(0.0, others / ((cores or cores_in_use()) * (end.now - start.now)))


def others_seconds(clock: Clock) -> float | None:
    """Seconds that others have had of this process's cores so far; None where not known.

    Only differences mean anything: both counters began at other moments.
    """
    now = watch(clock)
    return None if now.busy_seconds is None else now.busy_seconds - now.own_seconds
