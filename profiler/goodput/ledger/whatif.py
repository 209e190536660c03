"""How often to save, and what to expect: closed forms for a job that fails at random moments.

The model: failures strike while the job is up, at random with a mean of `mtbf` between them (an
exponential time); each costs `restart` until the job trains again from the last checkpoint, and all
work since then. A save stops training for `save`. All times are in seconds, and an interval is the
work between two saves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from goodput.errors import UsageError

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Failures:
    """What a job has to live with, in seconds."""

    mtbf: float
    save: float
    restart: float

    def __post_init__(self) -> None:
        """Checks that they are times.

        Raises:
            UsageError: they are not.
        """
        if not (self.mtbf > 0 and self.save > 0 and self.restart >= 0):
            raise UsageError("--mtbf and --save must be more than 0, and --restart no less")


@dataclass(frozen=True, slots=True)
class Interval:
    """A way to choose the interval, the interval in seconds, and the goodput to expect."""

    name: str
    seconds: float
    goodput: float
    note: str


def young(failures: Failures) -> float:
    """Young 1974: sqrt(2 save mtbf)."""
    return math.sqrt(2 * failures.save * failures.mtbf)


def daly(failures: Failures) -> float:
    """Daly 2006, eq. 37: Young's with two more terms, less the save."""
    save, mtbf = failures.save, failures.mtbf
    if save >= 2 * mtbf:
        return mtbf
    ratio = save / (2 * mtbf)
    return math.sqrt(2 * save * mtbf) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - save


def available(failures: Failures) -> float:
    """The work in the availability-optimal period of arXiv:2410.18124, eq. for T - T_save.

    There T = save + sqrt(2 (mtbf + restart) save + save^2), which takes what is lost to a failure
    for half a period, done again without a failure.
    """
    save = failures.save
    return math.sqrt(2 * (failures.mtbf + failures.restart) * save + save**2)


def best(failures: Failures) -> float:
    """The interval of the highest expected goodput: where the derivative of `goodput` is zero.

    With x = interval / mtbf that is x = 1 - exp(-x - save / mtbf), solved by Newton's method. It
    does not depend on `restart`: a restart is paid per failure, however often one saves.
    """
    share = failures.save / failures.mtbf
    x = min(math.sqrt(2 * share), 1.0)
    for _ in range(100):
        decay = math.exp(-x - share)
        change = (x - 1 + decay) / (1 - decay)
        x -= change
        if abs(change) < _TINY * x:
            break
    return x * failures.mtbf


def goodput(interval: float, failures: Failures) -> float:
    """The expected share of the time that becomes work that is kept.

    A stretch of interval + save succeeds with probability exp(-stretch / mtbf); the time until one
    does is (mtbf + restart) (exp(stretch / mtbf) - 1) in the mean.
    """
    stretch = (interval + failures.save) / failures.mtbf
    if stretch > 700:  # exp() has no such number: no stretch ever succeeds
        return 0.0
    return interval / ((failures.mtbf + failures.restart) * math.expm1(stretch))


def intervals(failures: Failures, own: float | None = None) -> tuple[Interval, ...]:
    """The ways to choose, the best one first, and the user's own interval where it is given."""
    ways = [
        ("best", best(failures), "highest expected goodput"),
        ("Daly", daly(failures), "sqrt(2 save mtbf) with two more terms"),
        ("Young", young(failures), "sqrt(2 save mtbf)"),
        ("availability", available(failures), "sqrt(2 (mtbf + restart) save + save^2)"),
    ]
    if own is not None:
        ways.append(("yours", own, "as given"))
    return tuple(
        Interval(name, seconds, goodput(seconds, failures), note) for name, seconds, note in ways
    )
