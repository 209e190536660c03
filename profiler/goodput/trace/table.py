"""The one table that everything fills: operator invocations as columns, beside their steps.

Never reads a file and never computes a rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import Any, Self, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from goodput.device import DeviceIdentity
from goodput.work import Work


class Phase(IntEnum):
    """Which part of a step an invocation belongs to."""

    FORWARD = 0
    BACKWARD = 1
    RECOMPUTE = 2
    OPTIMIZER = 3
    OTHER = 4


class Kind(IntEnum):
    """What the time was spent on; a lower value owns an instant that several share."""

    COMPUTE = 0
    COPIES = 1
    COMMUNICATION = 2


class Link(IntEnum):
    """How surely a kernel's time was given to its operator."""

    EXACT = 0
    SEQUENCE = 1
    ORDER = 2
    NAME = 3
    NONE = 4


Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

_Columns = TypeVar("_Columns")


def pick(table: _Columns, rows: Integers | Flags) -> _Columns:
    """The rows (indices or a mask) of a frozen dataclass whose fields are all columns."""
    columns: Any = table
    chosen = {f.name: getattr(table, f.name)[rows] for f in fields(columns)}
    return cast("_Columns", replace(columns, **chosen))


WORK_COLUMNS = tuple(f.name for f in fields(Work))


@dataclass(frozen=True, slots=True, eq=False)
class Invocations:
    """Columns of equal length, one row an operator invocation.

    Attributes:
        step: index into `Trace.steps`.
        phase, kind, link: values of the enums above.
        operator: string index, e.g. `aten::addmm`; a kernel that no operator owns stands under its
            own kernel name with link NONE.
        module: string index of the fully qualified module name, "" at the root or unknown.
        source: string index of `file.py:line`, "" where it was not recorded.
        shapes: string index of the input shapes for people, e.g. `f32[8,64] f32[64,64]`.
        mode: string index of the math mode (`float32`, `tf32`, `bfloat16`...), "" without one.
        kernel: string index of the longest kernel's name, "" on a CPU.
        modelled: whether a formula gave the work; the work columns of other rows are 0 and mean
            nothing.
        flops ... bytes_written: the columns of `Work`, for this invocation.
        device_seconds: device time after overlap (each instant has one owner class, shared equally
            inside it). On a CPU: the operator's own recorded span.
        kernels: kernels launched (0 on a CPU).
        host_seconds: host span of the operator.
        events: profiler events inside the operator's host span (its own excluded).
    """

    step: Integers
    phase: Integers
    kind: Integers
    link: Integers
    operator: Integers
    module: Integers
    source: Integers
    shapes: Integers
    mode: Integers
    kernel: Integers
    modelled: Flags
    flops: Integers
    dense_flops: Integers
    recompute_flops: Integers
    padding_flops: Integers
    vector_flops: Integers
    special: Integers
    bytes_read: Integers
    bytes_written: Integers
    device_seconds: Floats
    kernels: Integers
    host_seconds: Floats
    events: Integers

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.step)

    @classmethod
    def column_types(cls) -> dict[str, type[np.generic]]:
        """The numpy type of each column, in order."""
        kinds: dict[str, type[np.generic]] = {
            "Integers": np.int64,
            "Floats": np.float64,
            "Flags": np.bool_,
        }
        return {f.name: kinds[str(f.type)] for f in fields(cls)}

    @classmethod
    def of(cls, rows: Mapping[str, Sequence[float] | NDArray[np.generic]]) -> Self:
        """The table of `rows`, the values of each column; a missing column is all zeros.

        Raises:
            ValueError: the columns differ in length.
        """
        count = max((len(values) for values in rows.values()), default=0)
        if any(len(values) != count for values in rows.values()):
            raise ValueError("the columns of the invocation table differ in length")
        columns = {
            name: np.asarray(rows[name], dtype=kind)
            if name in rows
            else np.zeros(count, dtype=kind)
            for name, kind in cls.column_types().items()
        }
        return cls(**columns)

    def select(self, rows: Integers | Flags) -> Self:
        """The rows that `rows` (indices or a mask) picks."""
        return pick(self, rows)


@dataclass(frozen=True, slots=True)
class StepTime:
    """One step as the attribution pass (or the foreign trace) saw it, on one device.

    Attributes:
        number: the step's own number.
        wall_seconds: the step's wall.
        busy_seconds: union of all device intervals inside it.
        host_gap_seconds: gaps in which the device waited for the host.
        idle_gap_seconds: the other gaps. busy + host + idle = wall.
        events: profiler events in the step.
    """

    number: int
    wall_seconds: float
    busy_seconds: float
    host_gap_seconds: float
    idle_gap_seconds: float
    events: int = 0


@dataclass(frozen=True, slots=True)
class DeviceShare:
    """What one of several devices did in a step, as a mean.

    Attributes:
        name: of the device in the file.
        useful_flops: by math mode.
        executed_flops: of products, recompute with them.
        compute_seconds, communication_seconds, copy_seconds: after overlap.
        collective_bytes: that its collectives take in and give out.
    """

    name: str
    useful_flops: dict[str, float]
    executed_flops: float
    compute_seconds: float
    communication_seconds: float
    copy_seconds: float
    collective_bytes: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What a reader makes of one file: steps, invocations, and what it could not place.

    Attributes:
        device: None where the file does not say.
        framework: e.g. `torch`.
        steps: whole steps, in order; the window is one step where the file has no step marks.
        basis: `trace` (walls are profiled ones); the live passes replace it.
        invocations: the table; string columns index `strings`.
        strings: the string table; entry 0 is "".
        edge_seconds: device seconds of kernels launched before the window or in no whole step.
        unlinked_launches: launches without a kernel.
        world_size, rank: of the job, 1 and 0 when not distributed.
        warnings: sentences for the report.
        environment: versions and flags found in the file.
        shares: what each device did, where the file is of several.
    """

    device: DeviceIdentity | None
    framework: str
    steps: tuple[StepTime, ...]
    invocations: Invocations
    strings: tuple[str, ...]
    basis: str = "trace"
    edge_seconds: float = 0.0
    unlinked_launches: int = 0
    world_size: int = 1
    rank: int = 0
    warnings: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    shares: tuple[DeviceShare, ...] = ()
