"""Each invocation held against the roofs: seconds of every kind of work, and what bounds it.

Pure column arithmetic over one trace; never groups and never judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np

from goodput.capacity.profile import Capacity
from goodput.formulas import conventions
from goodput.trace.table import Flags, Floats, Integers, Invocations, Kind, Phase, Trace, pick

PREEMPTED_FACTOR = 3.0
"""A call longer than this many medians of its group lost the device to somebody else."""

ShapeRates: TypeAlias = Mapping[tuple[str, str], float]
"""FLOP/s by operator and shapes, the texts of the invocation table."""

_FEW = 256
"""Rows up to which they are grouped one by one."""

# What goes one way needs a clear majority.
_ONE_WAY_SHARE = 0.9
_TWO_IN_SHARE = (1 / 2 + 2 / 3) / 2


class Bound(IntEnum):
    """Which roof sets the ideal seconds of an invocation."""

    COMPUTE = 0
    VECTOR = 1
    SPECIAL = 2
    MEMORY = 3
    LATENCY = 4
    COMMUNICATION = 5
    UNMODELLED = 6


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """Columns beside `Invocations`, one row an invocation.

    Attributes:
        seconds: device seconds: the median of the call's (operator, shapes, mode, phase) group.
        preempted: what this call took beyond three such medians.
        known: ideal seconds are known.
        useful_flops, executed_flops: FLOPs under the convention; recompute is executed only.
        useful, recompute, padding: seconds of those FLOPs at the compute roof.
        vector, memory: seconds at the vector (or special) and the memory roof.
        ideal: ideal seconds; NaN where not known.
        bound: values of `Bound`.
        roof: compute roof of the row's mode in FLOP/s; NaN where unknown.
        at_shape: seconds of the row's FLOPs at the rate that its own shape can reach; NaN where
            that was not measured.
    """

    seconds: Floats
    preempted: Floats
    known: Flags
    useful_flops: Floats
    executed_flops: Floats
    useful: Floats
    recompute: Floats
    padding: Floats
    vector: Floats
    memory: Floats
    ideal: Floats
    bound: Integers
    roof: Floats
    at_shape: Floats

    def select(self, rows: Integers | Flags) -> Costs:
        """The rows that `rows` picks."""
        return pick(self, rows)


def group_of(invocations: Invocations, *columns: str) -> tuple[Integers, Integers]:
    """Group number of each row, and one row of each group, for equal values of `columns`."""
    if not len(invocations):
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty
    if len(invocations) <= _FEW:
        return _group_of_few(invocations, columns)
    number = np.zeros(len(invocations), dtype=np.int64)
    for column in columns:
        _, values = np.unique(getattr(invocations, column), return_inverse=True)
        _, number = np.unique(number * (int(values.max()) + 1) + values, return_inverse=True)
    first = np.full(int(number.max()) + 1, -1, dtype=np.int64)
    first[number[::-1]] = np.arange(len(number) - 1, -1, -1)
    return number, first


def _group_of_few(invocations: Invocations, columns: tuple[str, ...]) -> tuple[Integers, Integers]:
    """The same for so few rows that starting numpy's sorts takes longer than to look them up."""
    keys = list(zip(*(getattr(invocations, column).tolist() for column in columns), strict=True))
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    first = [-1] * len(numbers)
    for row in range(len(keys) - 1, -1, -1):
        first[numbers[keys[row]]] = row
    return np.array([numbers[key] for key in keys], np.int64), np.array(first, np.int64)


def median_by(groups: Integers, values: Floats) -> Floats:
    """The median of `values` in each group, given back for each row."""
    if not len(values):
        return values
    order = np.lexsort((values, groups))
    counts = np.bincount(groups)
    ends = np.cumsum(counts)
    starts = ends - counts
    middle_low = order[starts + (counts - 1) // 2]
    middle_high = order[starts + counts // 2]
    medians: Floats = (values[middle_low] + values[middle_high]) / 2
    return medians[groups]


def costs_of(
    trace: Trace,
    capacity: Capacity | None,
    convention: str = conventions.EXACT,
    shape_rates: ShapeRates | None = None,
) -> Costs:
    """The cost columns of `trace` under `capacity`, by the named `convention`.

    Args:
        trace: what ran.
        capacity: the roofs; None: no ratios.
        convention: which FLOPs are useful.
        shape_rates: FLOP/s that calls of an (operator, shapes) can reach at their own shape.

    Raises:
        UsageError: no convention has that name.
    """
    table = trace.invocations
    if capacity is None and not trace.steps:
        return _untimed(trace, convention)
    groups, _ = group_of(table, "operator", "shapes", "mode", "phase")
    seconds = median_by(groups, table.device_seconds)
    preempted = np.maximum(table.device_seconds - PREEMPTED_FACTOR * seconds, 0.0)
    useful_flops, recompute_flops, padding_flops = _flops(trace, convention)
    executed = useful_flops + recompute_flops + padding_flops
    roof = _roof_by_row(trace, capacity)
    compute = np.where(executed > 0, executed / roof, 0.0)
    vector, special = _vector_seconds(table, capacity)
    memory = _memory_seconds(trace, capacity)
    floor = capacity.floor_seconds if capacity else 0.0
    terms = np.vstack([compute, vector, special, memory, np.full(len(table), floor)])
    known = table.modelled & ~np.isnan(compute) & _any_roof(table, capacity)
    known &= table.kind == Kind.COMPUTE
    ideal = np.where(known, np.max(np.nan_to_num(terms), axis=0, initial=0.0), np.nan)
    bound = np.argmax(np.nan_to_num(terms), axis=0) if len(table) else np.zeros(0, dtype=np.int64)
    bound = np.where(known, bound, int(Bound.UNMODELLED))
    bound = np.where(table.kind == Kind.COMMUNICATION, int(Bound.COMMUNICATION), bound)
    return Costs(
        seconds=seconds,
        preempted=preempted,
        known=known,
        useful_flops=useful_flops,
        executed_flops=executed,
        useful=_at_roof(useful_flops, roof),
        recompute=_at_roof(recompute_flops, roof),
        padding=_at_roof(padding_flops, roof),
        vector=np.maximum(np.nan_to_num(vector), np.nan_to_num(special)),
        memory=np.nan_to_num(memory),
        ideal=ideal,
        bound=bound.astype(np.int64),
        roof=roof,
        at_shape=executed / _rates_by_row(trace, shape_rates or {}),
    )


def _untimed(trace: Trace, convention: str) -> Costs:
    """The columns of calls that took no time and are held against nothing: their FLOPs alone."""
    table = trace.invocations
    useful, recompute, padding = _flops(trace, convention)
    none = np.zeros(len(table))
    unknown = np.full(len(table), np.nan)
    bound = np.full(len(table), int(Bound.UNMODELLED), dtype=np.int64)
    bound[table.kind == Kind.COMMUNICATION] = int(Bound.COMMUNICATION)
    return Costs(
        seconds=none,
        preempted=none,
        known=np.zeros(len(table), dtype=np.bool_),
        useful_flops=useful,
        executed_flops=useful + recompute + padding,
        useful=none,
        recompute=none,
        padding=none,
        vector=none,
        memory=none,
        ideal=unknown,
        bound=bound,
        roof=unknown,
        at_shape=unknown,
    )


def _rates_by_row(trace: Trace, shape_rates: ShapeRates) -> Floats:
    """The rate of each row's own shape, NaN where it is not known."""
    table = trace.invocations
    groups, first = group_of(table, "operator", "shapes")
    keys = ((trace.strings[table.operator[r]], trace.strings[table.shapes[r]]) for r in first)
    rates = np.array([shape_rates.get(key, np.nan) for key in keys], dtype=np.float64)
    return rates[groups] if len(table) else np.zeros(0)


def _flops(trace: Trace, convention: str) -> tuple[Floats, Floats, Floats]:
    """Useful, recompute and padding FLOPs: what runs in the recompute phase is never useful."""
    table = trace.invocations
    listed = [name in conventions.FLOP_COUNTER_OPERATORS for name in trace.strings]
    counted = conventions.Counted(
        flops=table.flops.astype(np.float64),
        dense_flops=table.dense_flops.astype(np.float64),
        recompute_flops=table.recompute_flops.astype(np.float64),
        padding_flops=table.padding_flops.astype(np.float64),
        again=(table.phase == Phase.RECOMPUTE).astype(np.float64),
        listed=np.array(listed, dtype=np.float64)[table.operator],
    )
    split = conventions.split(counted, convention)
    return split.useful, split.recompute, split.padding


def _at_roof(flops: Floats, roof: Floats) -> Floats:
    return np.nan_to_num(np.where(flops > 0, flops / roof, 0.0))


def _roof_by_row(trace: Trace, capacity: Capacity | None) -> Floats:
    table = trace.invocations
    roofs = np.full(len(trace.strings), np.nan)
    for mode, peak in capacity.flops_per_s.items() if capacity else ():
        if mode in trace.strings:
            roofs[trace.strings.index(mode)] = peak.rate
    return roofs[table.mode] if len(table) else np.zeros(0)


def _vector_seconds(table: Invocations, capacity: Capacity | None) -> tuple[Floats, Floats]:
    vector = capacity.vector.rate if capacity and capacity.vector else np.nan
    special = capacity.special.rate if capacity and capacity.special else np.nan
    return table.vector_flops / vector, table.special / special


def _any_roof(table: Invocations, capacity: Capacity | None) -> Flags:
    """Whether at least one of the roofs that a row's work needs is known."""
    if capacity is None:
        return np.zeros(len(table), dtype=np.bool_)
    moved = table.bytes_read + table.bytes_written
    has = (table.flops + table.dense_flops + table.recompute_flops + table.padding_flops) > 0
    has = has | (moved > 0) & bool(capacity.bandwidth)
    has = has | (table.vector_flops > 0) & (capacity.vector is not None)
    has = has | (table.special > 0) & (capacity.special is not None)
    idle = (moved + table.vector_flops + table.special) == 0
    return np.asarray(has | idle, dtype=np.bool_)


MIXES = ("read", "write", "copy", "in-place", "two-in-one-out")
"""The memory mixes that operators are held against; one that no roof is known of is a copy."""


def mixes(trace: Trace) -> Integers:
    """The memory mix of each row, an index into `MIXES`, by the share of its bytes that it reads.

    In-place names end in `_`. Two tensors in and one out read two thirds, a copy half: what reads
    more than midway between them is held against the first.
    """
    named = [name.endswith("_") or name.startswith("aten::_fused_") for name in trace.strings]
    table = trace.invocations
    in_place = np.array(named, dtype=np.bool_)[table.operator]
    moved = table.bytes_read + table.bytes_written
    conditions = {
        "read": table.bytes_read > _ONE_WAY_SHARE * moved,
        "write": table.bytes_written > _ONE_WAY_SHARE * moved,
        "in-place": in_place,
        "two-in-one-out": table.bytes_read > _TWO_IN_SHARE * moved,
    }
    indices = [MIXES.index(name) for name in conditions]
    return np.select(list(conditions.values()), indices, MIXES.index("copy"))


def _memory_seconds(trace: Trace, capacity: Capacity | None) -> Floats:
    """`B / W[mix](footprint)`; an in-place operator touches only what it reads."""
    table = trace.invocations
    if capacity is None or not len(table):
        return np.full(len(table), np.nan)
    mix = mixes(trace)
    moved = table.bytes_read + table.bytes_written
    footprint = np.where(mix == MIXES.index("in-place"), table.bytes_read, moved)
    seconds = np.full(len(table), np.nan)
    for number, name in enumerate(MIXES):
        rows = np.nonzero(mix == number)[0]
        sizes, where = np.unique(footprint[rows], return_inverse=True)
        rates = [capacity.bytes_per_s(name, max(int(size), 1)) for size in sizes]
        rate = np.array([np.nan if r is None else r for r in rates], dtype=np.float64)
        seconds[rows] = moved[rows] / rate[where] if len(rows) else 0.0
    return seconds
