"""The report as plain data: what the commands say. Never renders, never reads files.

Seconds, FLOPs and bytes are per step and per device; `None` is unknown and never zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from goodput.capacity.profile import Capacity
from goodput.device import DeviceIdentity

RUNGS = (
    "useful",
    "recompute",
    "padding",
    "vector",
    "memory",
    "shape",
    "latency",
    "kernel",
    "unmodelled",
    "communication",
    "copies",
    "host",
    "idle",
)
"""The rungs of the ladder, in order."""

LIMIT = 1.03
"""A goodput or a group's compute efficiency above this is an error, not a percentage."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung: seconds of the step's wall and their share of it."""

    rung: str
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """One group of invocations, per step; the grouping key's other fields are "".

    Without profiled steps every field that needs an operator's time is None. `shape_seconds` is
    what the group would take at the best rate that its own shapes can reach, where all of it was
    measured so.
    """

    operator: str
    phase: str
    module: str
    dtype: str
    shapes: str
    kernel: str
    calls: float
    useful_flops: float | None
    executed_flops: float | None
    vector_flops: float | None
    special: float | None
    bytes: float | None
    device_seconds: float | None
    ideal_seconds: float | None
    lost_seconds: float | None
    goodput: float | None
    roofline_efficiency: float | None
    bound: str
    link: str
    shape_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StepSummary:
    """The timed steps: how many, on what clock, and their spread in seconds; None without any."""

    count: int
    basis: str | None
    median: float | None
    p05: float | None
    p95: float | None
    mean: float | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of one step on one device."""

    useful_flops: float | None
    useful_flops_by_mode: dict[str, float]
    executed_flops: float | None
    vector_flops: float | None
    special: float | None
    bytes: float | None
    useful_seconds: float | None
    ideal_seconds: float | None
    program_goodput: float | None
    program_goodput_sustained: float | None
    roofline_efficiency: float | None
    mfu: float | None
    hfu: float | None
    useful_flops_per_s: float | None
    tokens_per_s: float | None


NO_ROOF = "no roof for its mode"
"""Why an operator has work and no ideal seconds."""


@dataclass(frozen=True, slots=True)
class UnmodelledOperator:
    """An operator without ideal seconds: its name, seconds and calls per step, and why."""

    operator: str
    seconds: float | None
    reason: str
    calls: float | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """The honesty line: what the report could not know. Shares are of device time in the window.

    `modelled_share` is of what computes: collectives and copies have rungs of their own.
    `modelled_calls_share` is of calls, with or without times. `untimed` says why no operator has a
    time and what to do about it; "" where they have.
    """

    modelled_share: float | None
    exactly_linked_share: float | None
    edge_seconds: float
    unmodelled: tuple[UnmodelledOperator, ...]
    absent_rungs: tuple[str, ...]
    profiler_slowdown: float | None
    scale: float
    preempted_seconds: float
    steps_left_out: int = 0
    unlinked_launches: int = 0
    modelled_calls_share: float | None = None
    untimed: str = ""


@dataclass(frozen=True, slots=True)
class DeviceIdeal:
    """What one step would take at best on a device of the datasheet.

    Attributes:
        device: its name there.
        useful_seconds: the useful FLOPs at its dense peaks; None where a mode has no peak.
        ideal_seconds: every operator at its own roof, one after the other; None likewise.
        tokens_per_s: tokens at that speed, where the step's tokens are known.
        source: where the roofs are from.
    """

    device: str
    useful_seconds: float | None
    ideal_seconds: float | None
    tokens_per_s: float | None
    source: str


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """What one of several devices did in a step.

    Attributes:
        device: its name in the profile.
        useful_flops, executed_flops: of its products.
        goodput: its useful seconds over the wall of the step; None without a roof for a mode. Of
            devices that are parts of one, as virtual ones are of a CPU, against the whole one.
        compute_seconds, communication_seconds, copy_seconds: after overlap.
        collective_bytes: that its collectives take in and give out.
    """

    device: str
    useful_flops: float
    executed_flops: float
    goodput: float | None
    compute_seconds: float
    communication_seconds: float
    copy_seconds: float
    collective_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Beyond:
    """FLOPs of a step that are executed and not useful for one cause, as they were counted."""

    cause: str
    flops: float


@dataclass(frozen=True, slots=True)
class StatedKernel:
    """What the author of a kernel says that it does a step, beside what is counted of those calls.

    Attributes:
        kernel: the operator.
        calls: a step, of those that the author says something of.
        flops: counted, needed; vector FLOPs where it has no products. None where nothing is.
        executed_flops: counted, with padding.
        stated_flops: the author's; None where nothing is said.
        bytes: counted, each once.
        stated_bytes: the author's.
    """

    kernel: str
    calls: int
    flops: float | None
    executed_flops: float | None
    stated_flops: float | None
    bytes: float | None
    stated_bytes: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is said about one recording.

    `devices` is what the step would take on other devices, where that was asked for.
    `device_rows` is what each device did, where the profile is of several.
    `rows_convention` is the convention of the operators and modules where it is not the report's.
    `beyond` is what the counted step executes beyond its useful FLOPs, by cause; told under the
    exact convention alone. `stated` is what authors of kernels say of them, beside what is counted.
    """

    device: DeviceIdentity | None
    environment: dict[str, str]
    convention: str
    capacity: Capacity | None
    step: StepSummary
    totals: Totals
    ladder: tuple[Rung, ...]
    operators: tuple[OperatorRow, ...]
    modules: tuple[OperatorRow, ...]
    coverage: Coverage
    title: str = ""
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = field(default=())
    devices: tuple[DeviceIdeal, ...] = ()
    rows_convention: str = ""
    beyond: tuple[Beyond, ...] = ()
    stated: tuple[StatedKernel, ...] = ()
    device_rows: tuple[DeviceRow, ...] = ()


class CountedReport(Report):
    """A report whose tables are made when they are first asked for: many want the totals alone."""

    __slots__ = ("_tables",)

    def make_later(self, **tables: Callable[[], tuple[OperatorRow, ...]]) -> None:
        """Has fields made by functions, each called at most once."""
        object.__setattr__(self, "_tables", tables)
        for name in tables:
            object.__delattr__(self, name)

    def __getattr__(self, name: str) -> Any:
        """Makes what is asked for; Python calls this for what is not there yet."""
        make = None if name == "_tables" else self._tables.get(name)
        if make is None:
            raise AttributeError(name=name, obj=self)
        table = make()
        object.__setattr__(self, name, table)
        return table

    def __eq__(self, other: object) -> bool:
        """Equal to any report that says the same."""
        if not isinstance(other, Report):
            return NotImplemented
        return all(getattr(self, one.name) == getattr(other, one.name) for one in fields(Report))

    __hash__ = None  # type: ignore[assignment]
