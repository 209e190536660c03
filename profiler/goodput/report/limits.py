"""What may not be printed as a percentage: results above the limit, with a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from goodput import units
from goodput.capacity.profile import Capacity
from goodput.report.costs import Costs, group_of
from goodput.report.model import LIMIT
from goodput.trace.table import Trace

SHARE = 0.01
"""Groups with less of the device time than this are not held against the limit."""

# Winograd and FFT kernels do fewer multiplications than the operator needs, by design.
_FEWER_MULTIPLIES = ("winograd", "fft")


@dataclass(frozen=True, slots=True)
class Suspect:
    """A group of calls faster than its compute roof: either the roof or the count is wrong."""

    operator: str
    shapes: str
    mode: str
    efficiency: float
    device_share: float
    exempt: bool

    def sentence(self) -> str:
        """What happened, with the number, and what to type next."""
        times = f"{self.efficiency:.2f} times its {self.mode} roof"
        where = f"{self.operator} {self.shapes} runs at {times}"
        if self.exempt:
            return f"{where}: its kernel does fewer multiplications than the operator needs"
        share = units.percent(self.device_share)
        return f"{where} ({share} of device time): {diagnosis(self.efficiency)}"


def suspects(trace: Trace, costs: Costs) -> tuple[Suspect, ...]:
    """Groups with at least 1 % of device time whose median call is above `LIMIT` in `F/(P t)`."""
    table = trace.invocations
    whole = float(costs.seconds.sum())
    if not len(table) or whole <= 0:
        return ()
    groups, first = group_of(table, "operator", "shapes", "mode")
    share = np.bincount(groups, weights=costs.seconds) / whole
    executed = costs.useful + costs.recompute + costs.padding
    # An unknown roof gives NaN, which is never above the limit: it is reported as unmodelled.
    ratio = np.divide(executed, costs.seconds, out=np.zeros(len(table)), where=costs.seconds > 0)
    counts = np.bincount(groups)
    mean_ratio = np.bincount(groups, weights=ratio) / counts
    found = []
    for group in np.nonzero((share >= SHARE) & (mean_ratio > LIMIT))[0]:
        row = int(first[group])
        kernel = trace.strings[int(table.kernel[row])].lower()
        found.append(
            Suspect(
                operator=trace.strings[int(table.operator[row])],
                shapes=trace.strings[int(table.shapes[row])],
                mode=trace.strings[int(table.mode[row])],
                efficiency=float(mean_ratio[group]),
                device_share=float(share[group]),
                exempt=any(word in kernel for word in _FEWER_MULTIPLIES),
            )
        )
    return tuple(found)


def diagnosis(ratio: float) -> str:
    """The likely cause of a ratio above the limit, and what to do."""
    if ratio > 5:
        return (
            "the roof is another device's or a synchronisation is missing; run without --capacity"
        )
    if 1.6 < ratio < 2.6:
        return "off by two: full attention counted where causal ran, or the roof of another mode"
    return "the roof is stale or too low; measure again on a quiet machine"


def headline_error(program_goodput: float | None, capacity: Capacity | None) -> tuple[str, ...]:
    """The sentence for a step above the limit; empty below it."""
    if program_goodput is None or program_goodput <= LIMIT or capacity is None:
        return ()
    device = capacity.device.name or "the device"
    sentence = f"the step does {program_goodput:.2f} times what {device} delivers"
    return (f"{sentence}: {diagnosis(program_goodput)}",)
