"""Views of the invocation table: every one a group-by, per step, ranked by lost seconds."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from goodput.errors import UsageError
from goodput.report.costs import Bound, Costs, group_of
from goodput.report.model import OperatorRow
from goodput.report.views import VIEWS
from goodput.trace.table import Floats, Integers, Kind, Link, Phase, Trace

UNCOVERED = 0.05
"""A group with at most this share of unmodelled time has ratios: lower bounds, as the step has."""
_NAMES = ("operator", "phase", "module", "dtype", "shapes", "kernel")


def rows_by(trace: Trace, costs: Costs, view: str, steps: int) -> tuple[OperatorRow, ...]:
    """The rows of one view, most lost seconds first; an unmodelled row ranks by its whole time.

    Raises:
        UsageError: no such view.
    """
    keys = view_columns(view)
    groups, first = group_of(trace.invocations, *keys)
    rows = _rows(trace, costs, groups, first, keys, steps)
    return tuple(sorted(rows, key=_rank))


def view_columns(view: str) -> tuple[str, ...]:
    """The columns of the invocation table that `view` groups by.

    Raises:
        UsageError: no such view.
    """
    if view not in VIEWS:
        raise UsageError(f"there is no view {view!r}; use one of {', '.join(sorted(VIEWS))}")
    return VIEWS[view]


def module_tree(trace: Trace, costs: Costs, steps: int) -> tuple[OperatorRow, ...]:
    """Every module with what ran inside it, itself and its submodules, in name order."""
    by_module = rows_by(trace, costs, "module", steps)
    if not any(row.module for row in by_module):
        return ()
    paths = sorted({path for row in by_module for path in ancestry(row.module)}, key=natural_key)
    return tuple(
        _merged(path, [row for row in by_module if path in ancestry(row.module)]) for path in paths
    )


@lru_cache(2**14)
def natural_key(path: str) -> list[tuple[int, str]]:
    """Sorts `blocks.10` after `blocks.2`, and `Layer_10` after `Layer_2`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path)]


@lru_cache(2**14)
def ancestry(path: str) -> tuple[str, ...]:
    """A module and all that contain it, the root (`""`) first."""
    parts = path.split(".") if path else []
    return tuple(".".join(parts[:length]) for length in range(len(parts) + 1))


def _rank(row: OperatorRow) -> tuple[float, str, str]:
    lost = _seconds(row) if row.lost_seconds is None else row.lost_seconds
    return (-lost, row.operator, row.shapes)


def _seconds(row: OperatorRow) -> float:
    """Device seconds: every row here has some, if only none at all."""
    return row.device_seconds or 0.0


def _rows(
    trace: Trace, costs: Costs, groups: Integers, first: Integers, keys: tuple[str, ...], steps: int
) -> list[OperatorRow]:
    table, count = trace.invocations, len(first)

    def total(values: Floats) -> Floats:
        return np.bincount(groups, weights=values, minlength=count) / steps

    calls = total(np.ones(len(table)))
    seconds = total(costs.seconds)
    blind = (table.kind == Kind.COMPUTE) & ~costs.known
    lacking = total(costs.seconds * blind)
    worked = table.modelled.astype(np.float64)
    unknown_work = total(1.0 - worked) * (total(worked) == 0)
    useful = total(costs.useful)
    ideal = total(np.nan_to_num(costs.ideal))
    at_shape = total(np.nan_to_num(costs.at_shape))
    shaped = total(np.isnan(costs.at_shape).astype(np.float64)) == 0
    ideal_known = total(costs.known.astype(np.float64)) > 0
    sums = {
        "useful_flops": total(costs.useful_flops),
        "executed_flops": total(costs.executed_flops),
        "vector_flops": total(table.vector_flops.astype(np.float64)),
        "special": total(table.special.astype(np.float64)),
        "bytes": total((table.bytes_read + table.bytes_written).astype(np.float64)),
    }
    bound = _dominant(groups, costs.bound, costs.seconds, len(Bound), count)
    link = _dominant(groups, table.link, costs.seconds, len(Link), count)
    rows = []
    for g in range(count):
        covered = bool(lacking[g] <= UNCOVERED * seconds[g])
        known = covered and seconds[g] > 0
        work_known = unknown_work[g] == 0
        work = {name: float(v[g]) if work_known else None for name, v in sums.items()}
        names = names_of(trace, int(first[g]), keys)
        rows.append(
            OperatorRow(
                operator=names["operator"],
                phase=names["phase"],
                module=names["module"],
                dtype=names["dtype"],
                shapes=names["shapes"],
                kernel=names["kernel"],
                calls=float(calls[g]),
                useful_flops=work["useful_flops"],
                executed_flops=work["executed_flops"],
                vector_flops=work["vector_flops"],
                special=work["special"],
                bytes=work["bytes"],
                device_seconds=float(seconds[g]),
                ideal_seconds=float(ideal[g]) if ideal_known[g] and covered else None,
                lost_seconds=float(seconds[g] - useful[g]) if covered else None,
                goodput=float(useful[g] / seconds[g]) if known else None,
                roofline_efficiency=(
                    float(ideal[g] / seconds[g]) if known and ideal_known[g] else None
                ),
                bound=Bound(int(bound[g])).name.lower(),
                link=Link(int(link[g])).name.lower(),
                shape_seconds=float(at_shape[g]) if shaped[g] else None,
            )
        )
    return rows


def names_of(trace: Trace, row: int, keys: tuple[str, ...]) -> dict[str, str]:
    """The names that `keys` give the group of `row`, by the fields of `OperatorRow`."""
    names = dict.fromkeys(_NAMES, "")
    for key in keys:
        value = int(getattr(trace.invocations, key)[row])
        text = Phase(value).name.lower() if key == "phase" else trace.strings[value]
        names["dtype" if key == "mode" else key] = text
    return names


def _dominant(
    groups: Integers, values: Integers, weights: Floats, kinds: int, count: int
) -> Integers:
    """The value with most seconds in each group."""
    heavy = np.bincount(groups * kinds + values, weights=weights, minlength=count * kinds)
    return np.argmax(heavy.reshape(count, kinds), axis=1) if count else np.zeros(0, dtype=np.int64)


def _merged(path: str, rows: list[OperatorRow]) -> OperatorRow:
    seconds = sum(_seconds(row) for row in rows)

    def total(name: str, stands_in: str = "") -> float | None:
        """The sum over the rows; those without a value may be few, and count as `stands_in`."""
        values = [getattr(row, name) for row in rows]
        blind = [row for row, value in zip(rows, values, strict=True) if value is None]
        if sum(_seconds(row) for row in blind) > UNCOVERED * seconds:
            return None
        others = sum(getattr(row, stands_in) for row in blind) if stands_in else 0.0
        return float(sum(value for value in values if value is not None) + others)

    lost, ideal = total("lost_seconds", "device_seconds"), total("ideal_seconds")
    largest = max(rows, key=_seconds)
    return OperatorRow(
        operator="",
        phase="",
        module=path,
        dtype="",
        shapes="",
        kernel="",
        calls=sum(row.calls for row in rows),
        useful_flops=total("useful_flops"),
        executed_flops=total("executed_flops"),
        vector_flops=total("vector_flops"),
        special=total("special"),
        bytes=total("bytes"),
        device_seconds=seconds,
        ideal_seconds=ideal,
        lost_seconds=lost,
        goodput=(seconds - lost) / seconds if lost is not None and seconds else None,
        roofline_efficiency=ideal / seconds if ideal is not None and seconds else None,
        bound=largest.bound,
        link=largest.link,
    )
