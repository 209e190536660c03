"""What a job's ledger adds up to, as plain data. Never reads a file and never renders.

Times are whole device nanoseconds: one device for one nanosecond. Ratios are 1.0 = 100 %, and None
where they are not known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from goodput.events import buckets as b


@dataclass(frozen=True, slots=True)
class Ideal:
    """What a step would take at best.

    Attributes:
        step_ns: nanoseconds of one step on each device; None where the steps' own FLOPs tell it.
        flops_per_s: the roof that the steps' own useful FLOPs are held against, or None.
        source: where it is from, in words.
    """

    step_ns: int | None
    flops_per_s: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Steps:
    """How many steps were done, on one rank: the one that did most."""

    kept: int = 0
    lost: int = 0
    unsaved: int = 0
    unfinished: int = 0

    @property
    def done(self) -> int:
        """All that were finished."""
        return self.kept + self.lost + self.unsaved


@dataclass(frozen=True, slots=True)
class Account:
    """A stretch of a job, split: `buckets` sum to `device_ns` exactly.

    Attributes:
        start_ns, end_ns: the stretch.
        device_ns: what was paid for.
        buckets: device nanoseconds of each bucket; those not named have none.
        custom: those of bucket `custom`, by the events' names.
        steps: counted.
        ideal_ns: what the kept steps would have taken at best; None where that is not known.
        tokens: of the kept steps, over all ranks; None where not told.
    """

    start_ns: int
    end_ns: int
    device_ns: int
    buckets: dict[str, int]
    custom: dict[str, int]
    steps: Steps
    ideal_ns: int | None = None
    tokens: int | None = None

    @property
    def kept_ns(self) -> int:
        """Device nanoseconds of steps that were kept."""
        return self.buckets.get(b.KEPT, 0)

    @property
    def up_ns(self) -> int:
        """Device nanoseconds in which the job was up."""
        away = (x.name for x in b.BUCKETS if x.layer == b.INFRASTRUCTURE)
        return self.device_ns - sum(self.buckets.get(name, 0) for name in away)

    @property
    def infrastructure(self) -> float | None:
        """Up, of what was paid for."""
        return _ratio(self.up_ns, self.device_ns)

    @property
    def framework(self) -> float | None:
        """In steps that were kept, of what was up."""
        return _ratio(self.kept_ns, self.up_ns)

    @property
    def program(self) -> float | None:
        """Ideal, of the kept steps."""
        return None if self.ideal_ns is None else _ratio(self.ideal_ns, self.kept_ns)

    @property
    def goodput(self) -> float | None:
        """The product of the layers that are known: two where the program's is not."""
        useful = self.kept_ns if self.ideal_ns is None else self.ideal_ns
        return _ratio(useful, self.device_ns)

    @property
    def slowdown_ns(self) -> int | None:
        """What the kept steps took beyond the ideal."""
        return None if self.ideal_ns is None else self.kept_ns - self.ideal_ns


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of the job, up to the start of the next one.

    Attributes:
        number: from 0.
        ended: how, in words.
        cause: of its failure; "" where it ended well, or runs.
        ranks: how many wrote.
        first_step, last_step: the numbers of its first and its furthest step; None without one.
        loaded: the step of the checkpoint that it went on from; None where none is told.
        account: its time.
    """

    number: int
    ended: str
    cause: str
    ranks: int
    first_step: int | None
    last_step: int | None
    loaded: int | None
    account: Account


@dataclass(frozen=True, slots=True)
class Cause:
    """What failures of one cause took, in device nanoseconds.

    Attributes:
        cause: in the ledger's words.
        count: failures.
        lost_ns: steps lost and cut off.
        restart_ns: from the end to the next start.
        resume_ns: starting up, compiling and loading again.
    """

    cause: str
    count: int
    lost_ns: int
    restart_ns: int
    resume_ns: int

    @property
    def total_ns(self) -> int:
        """All of it."""
        return self.lost_ns + self.restart_ns + self.resume_ns


@dataclass(frozen=True, slots=True)
class RankTimes:
    """The steps of one rank.

    Attributes:
        rank: its number.
        host: where it ran last.
        median_ns: of its steps.
        slowest: the share of the steps that all ranks told in which it was the slowest.
    """

    rank: int
    host: str
    median_ns: int
    slowest: float | None


@dataclass(frozen=True, slots=True)
class Spread:
    """How far the ranks' times of the same steps lie apart.

    Attributes:
        ranks: a row each, slowest median first.
        steps: how many steps all ranks told.
        mean_ns: the mean over them of the slowest rank's time less the median rank's.
    """

    ranks: tuple[RankTimes, ...]
    steps: int
    mean_ns: int | None


@dataclass(frozen=True, slots=True)
class JobAccount:
    """Everything that is said about one job.

    Attributes:
        job: its name.
        state: how it ended, in words.
        devices: at most at once.
        total: the whole window.
        windows: the same by stretches of equal length, where asked for.
        rolling: the same of stretches that end with it, where asked for.
        timeline: the same by many equal parts, for a drawing.
        incarnations, causes, spread: as their types say.
        ideal: what the program layer is held against; None where nothing is known.
        notes: what is wrong with the ledger, in sentences.
        errors: what makes its figures untrustworthy.
    """

    job: str
    state: str
    devices: int
    total: Account
    incarnations: tuple[Incarnation, ...]
    causes: tuple[Cause, ...]
    spread: Spread
    windows: tuple[Account, ...] = ()
    rolling: tuple[Account, ...] = ()
    timeline: tuple[Account, ...] = ()
    ideal: Ideal | None = None
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = field(default=())

    @property
    def layers_known(self) -> int:
        """How many layers the goodput is of."""
        return 2 if self.total.ideal_ns is None else 3


def _ratio(part: int, whole: int) -> float | None:
    """None where there is nothing to have a part of."""
    return part / whole if whole else None
