"""The ladder: the wall seconds of a step split so that the rungs always sum to the whole.

`useful` is neither clipped nor scaled, so its share is program goodput.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from goodput.report.costs import Costs
from goodput.report.model import RUNGS, Rung
from goodput.trace.table import Flags, Integers, Kind

_ROOF_RUNGS = ("useful", "recompute", "padding", "vector", "memory", "latency", "kernel")


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs of one step in order, and the factor that fitted them to the wall.

    Attributes:
        rungs: those that could be measured; their seconds sum to the wall.
        absent: names of those that could not.
        scale: 1.0, or the factor on every rung but `useful` where busy exceeded the wall.
    """

    rungs: tuple[Rung, ...]
    absent: tuple[str, ...]
    scale: float


def ladder(
    costs: Costs,
    kind: Integers,
    wall_seconds: float,
    *,
    steps: int,
    host_share: float,
    floor_seconds: float,
    absent: Iterable[str] = ("shape",),
) -> Ladder:
    """The ladder of one step of `wall_seconds`, from the invocations of `steps` steps.

    Args:
        costs: cost columns of all invocations of all steps.
        kind: values of `Kind`, a row each.
        wall_seconds: the undisturbed step.
        steps: over how many steps the rows are spread.
        host_share: the part of the gaps in which the device waited for the host.
        floor_seconds: the device's shortest kernel; 0 where unknown.
        absent: rungs that this run cannot measure.
    """
    seconds = _busy_rungs(costs, kind, floor_seconds)
    seconds = {name: value / steps for name, value in seconds.items()}
    busy, useful = sum(seconds.values()), seconds["useful"]
    scale = 1.0
    if busy <= wall_seconds:
        seconds["host"] = (wall_seconds - busy) * host_share
        seconds["idle"] = (wall_seconds - busy) - seconds["host"]
    elif busy == useful:
        # Nothing but useful to scale, and more of it than the wall: the report is an error anyway.
        seconds["kernel"] += wall_seconds - busy
    else:
        scale = (wall_seconds - useful) / (busy - useful)
        seconds = {n: v if n == "useful" else v * scale for n, v in seconds.items()}
    left_out = {name for name in absent if not seconds.get(name)}
    rungs = tuple(
        Rung(name, seconds.get(name, 0.0), seconds.get(name, 0.0) / wall_seconds)
        for name in RUNGS
        if name not in left_out
    )
    return Ladder(rungs, tuple(name for name in RUNGS if name in left_out), scale)


def _busy_rungs(costs: Costs, kind: Integers, floor: float) -> dict[str, float]:
    """The rungs of busy time, over all steps."""
    compute = kind == Kind.COMPUTE
    known, blind = compute & costs.known, compute & ~costs.known
    work = costs.select(known)
    executed = work.useful + work.recompute + work.padding
    beyond = np.maximum(executed, np.maximum(work.vector, work.memory))
    reached = np.maximum(executed, np.minimum(beyond, work.seconds))
    latency = np.maximum(0.0, np.minimum(floor, work.seconds) - reached)
    rest = work.seconds - reached - latency
    # What no kernel can avoid at this very shape; 0 where that was not measured.
    # `rest` is below 0 where a call beat its roof: that is for the rung of all that is left.
    beyond_reach = np.nan_to_num(work.at_shape) - reached - latency
    shape = np.clip(beyond_reach, 0.0, np.maximum(rest, 0.0))
    vector = work.vector > work.memory
    return {
        "useful": float(work.useful.sum()),
        "recompute": float(work.recompute.sum()),
        "padding": float(work.padding.sum()),
        "vector": float((reached - executed)[vector].sum()),
        "memory": float((reached - executed)[~vector].sum()),
        "latency": float(latency.sum()),
        "shape": float(shape.sum()),
        "kernel": float((rest - shape).sum()),
        "unmodelled": _sum(costs, blind),
        "communication": _sum(costs, kind == Kind.COMMUNICATION),
        "copies": _sum(costs, kind == Kind.COPIES),
    }


def _sum(costs: Costs, rows: Flags) -> float:
    return float(costs.seconds[rows].sum())


def absent_rungs(costs: Costs, *, has_capacity: bool, floor_seconds: float) -> tuple[str, ...]:
    """The rungs that this run cannot measure; `shape` needs timings at the operator's shape."""
    measured = bool((~np.isnan(costs.at_shape)).any())
    absent = [] if measured else ["shape"]
    if not has_capacity or not costs.known.any():
        absent = ["shape", *_ROOF_RUNGS]
    elif floor_seconds <= 0:
        absent.append("latency")
    return tuple(absent)
