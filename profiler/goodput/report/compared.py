"""A comparison as plain data: what is said of variants on cases. Never measures, never renders.

Seconds, FLOPs and bytes are of one call; `None` is unknown and never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from goodput.capacity.profile import Capacity
from goodput.compiled_kernel import CompiledKernel
from goodput.report.compared_verdicts import FASTEST, SLOWER, TIE, UNTRUSTWORTHY


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and where it lies; the ends are None where there are too few processes."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class KernelResources(CompiledKernel):
    """A Triton kernel of a variant.

    It was launched, or compiled for a chip that is not here, and then what it needs is known.

    Attributes:
        chip: the datasheet's row that its least time is of; "" where the architecture has none.
        least_seconds: that a launch needs on that chip for what the kernel does, a bound and no
            time; None where something of it is not known.
        bound: which roof that is.
    """

    chip: str = ""
    least_seconds: float | None = None
    bound: str = ""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a case needs of a chip by its datasheet, at least: a bound, not a time."""

    architecture: str
    chip: str
    least_seconds: float
    bound: str


@dataclass(frozen=True, slots=True)
class VariantRow:
    """One variant on one case.

    Attributes:
        variant: its name.
        verdict: one of the seven.
        reason: why it is not compared, or what a tie rests on.
        seconds: of a call.
        ratio: its time over the reference's, process by process.
        ratios: the same of each process, in order.
        against_fastest: its time over that of the fastest.
        executed_ratio: executed FLOPs over the reference's useful ones.
        goodput: useful FLOPs over what the capacity could have done in its time.
        roofline: ideal seconds over its seconds.
        error: root mean square error against float64, relative.
        deterministic: whether equal values gave equal bits.
        first_seconds: of the first call, which compiles; without its tuning.
        tuning_seconds: of Triton's tuners, of all processes; None where nothing was tuned.
        peak_bytes: memory in use at most during a call, over what was in use before it.
        same_operators: whether it runs the operators of the reference.
        resources: of its Triton kernels.
    """

    variant: str
    verdict: str
    reason: str = ""
    seconds: Interval | None = None
    ratio: Interval | None = None
    against_fastest: Interval | None = None
    executed_ratio: float | None = None
    goodput: float | None = None
    roofline: float | None = None
    error: float | None = None
    deterministic: bool | None = None
    first_seconds: float | None = None
    tuning_seconds: float | None = None
    peak_bytes: int | None = None
    ratios: tuple[float, ...] = ()
    same_operators: bool = False
    resources: tuple[KernelResources, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseResult:
    """All variants on one case.

    Attributes:
        name: the case in words.
        parameters: by name, as text.
        rows: the reference first, then as declared.
        useful_flops: of the reference, by mode: the same for all variants.
        moved_bytes: arguments and results, once each.
        ideal_seconds: of the reference's work on the capacity.
        bound: which roof that is.
        native_error: of the reference itself.
        predicted: of the reference's work on chips that kernels were compiled for.
        held_back: names of the cases beside it that variants were held to.
        held_back_seconds: what that took, of all processes; None where it was not done.
    """

    name: str
    parameters: dict[str, str]
    rows: tuple[VariantRow, ...]
    useful_flops: dict[str, int] | None = None
    vector_flops: int | None = None
    moved_bytes: int | None = None
    ideal_seconds: float | None = None
    bound: str = "unmodelled"
    native_error: float | None = None
    predicted: tuple[Predicted, ...] = ()
    held_back: tuple[str, ...] = ()
    held_back_seconds: float | None = None

    @property
    def winners(self) -> tuple[str, ...]:
        """The fastest, or all that are tied for it."""
        return tuple(row.variant for row in self.rows if row.verdict in {FASTEST, TIE})


@dataclass(frozen=True, slots=True)
class Overall:
    """One variant over all cases: the geometric mean of its ratios to the reference.

    Attributes:
        variant: its name.
        ratio: the mean, over the cases that it and the reference ran on.
        cases: how many those are.
        regret: the mean factor lost by always taking it instead of each case's fastest.
        worst_regret: the largest such factor.
    """

    variant: str
    ratio: Interval
    cases: int
    regret: float
    worst_regret: float


@dataclass(frozen=True, slots=True)
class ClockRange:
    """A device's clock while variants were timed, as its driver told it.

    Attributes:
        low_hz: the lowest while the device was at work.
        median_hz: half of the readings are below it.
        high_hz: the highest.
        slowed: share of the readings at which power or heat held it down.
    """

    low_hz: float
    median_hz: float
    high_hz: float
    slowed: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that is said about the variants of one operator.

    Attributes:
        operator: its name.
        reference: the name of the reference.
        cases: results, in order.
        overall: one a variant; the best single choice first.
        processes: fresh ones of each case.
        processes_needed: about how many would tell the closest pair; None where all is told.
        share: the quantile that is a process's value.
        trust: the level.
        checks: names of those that ran.
        seed: which makes all orders and values again.
        clocks: of the device while it was timed; None where no driver tells.
        cache_bytes: of the device's last cache; 0 where that is not known.
        flush_bytes: written between two calls.
        targets: chips that kernels were compiled for, instead of timing anything.
        environment: versions.
        device: in the framework's words.
        capacity: the roofs.
        warnings: sentences.
        sentence: the result in one.
    """

    operator: str
    reference: str
    cases: tuple[CaseResult, ...]
    overall: tuple[Overall, ...]
    processes: int
    processes_needed: int | None
    share: float
    trust: str
    checks: tuple[str, ...]
    seed: int
    environment: dict[str, str] = field(default_factory=dict)
    device: str = ""
    capacity: Capacity | None = None
    warnings: tuple[str, ...] = ()
    sentence: str = ""
    clocks: ClockRange | None = None
    cache_bytes: int = 0
    flush_bytes: int = 0
    targets: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[VariantRow, ...]:
        """All rows of all cases."""
        return tuple(row for case in self.cases for row in case.rows)

    @property
    def untrustworthy(self) -> bool:
        """Whether a variant was incorrect, suspect or invalid."""
        return any(row.verdict in UNTRUSTWORTHY for row in self.rows)

    @property
    def compiled(self) -> bool:
        """Whether any Triton kernel was compiled for a chip, and nothing was to be timed."""
        return bool(self.targets) and any(row.resources for row in self.rows)

    @property
    def measured(self) -> bool:
        """Whether any time was measured and stands."""
        return any(row.verdict in {FASTEST, TIE, SLOWER} for row in self.rows)
