"""What one call needs of a device, as time: its ideal seconds, and the least that can be true."""

from __future__ import annotations

import math
from dataclasses import dataclass

from goodput.capacity.datasheet import capacity_from_datasheet, chip_of
from goodput.capacity.profile import Capacity
from goodput.comparison.wire import Counted, Resources
from goodput.device import DeviceIdentity
from goodput.work import Contraction

LIMIT = 1.03
"""Above the highest roof by this much, a rate is none."""

SHARED_CPU_LIMIT = 1.25
"""The same on a CPU without a datasheet: its roofs were measured while others used it too."""


@dataclass(frozen=True, slots=True)
class Ideal:
    """The ideal time of a call.

    Attributes:
        seconds: None where no roof is known.
        bound: which roof it is.
        useful_seconds: of the useful FLOPs alone.
        least_seconds: what no right program can be below, at the ceilings.
    """

    seconds: float | None
    bound: str
    useful_seconds: float | None
    least_seconds: float


def contractions_of(counted: Counted) -> tuple[Contraction, ...]:
    """The products of a call, to measure roofs at."""
    return tuple(Contraction(*product) for product in counted.products)


def ideal_of(counted: Counted, capacity: Capacity | None) -> Ideal:
    """The ideal time of the reference's work on `capacity`."""
    if capacity is None:
        return Ideal(None, "unmodelled", None, 0.0)
    flops = _seconds_of_flops(counted.useful_flops, capacity)
    terms = {
        "compute": flops,
        "vector": _over(counted.vector_flops, capacity.vector.rate if capacity.vector else None),
        "special": _over(counted.special, capacity.special.rate if capacity.special else None),
        "memory": _over(counted.tensor_bytes, capacity.bytes_per_s("copy", counted.tensor_bytes)),
        "latency": capacity.floor_seconds or None,
    }
    known = {bound: seconds for bound, seconds in terms.items() if seconds is not None}
    if not known:
        return Ideal(None, "unmodelled", flops, 0.0)
    bound = max(known, key=lambda name: known[name])
    return Ideal(known[bound], bound, flops, _least(counted, capacity))


def on_chip(counted: Counted, architecture: str) -> tuple[str, Ideal]:
    """A chip of an architecture, and what `counted` needs of it by its datasheet, at least.

    The bandwidth is that of the pins, and nothing is known of what a launch itself takes.
    """
    row = chip_of(architecture)
    if row is None:
        return "", Ideal(None, "unmodelled", None, 0.0)
    kind = "cuda" if row.vendor == "nvidia" else "hip"
    return row.name, ideal_of(
        counted, capacity_from_datasheet(DeviceIdentity(kind, row.aliases[0]))
    )


def of_launch(kernel: Resources) -> Counted | None:
    """What a launch of a kernel does, as if it were a call; None where that is not known."""
    if kernel.executed_flops is None:
        return None
    return Counted(
        nonce="",
        useful_flops={kernel.mode: kernel.executed_flops} if kernel.executed_flops else {},
        executed_flops=kernel.executed_flops,
        vector_flops=kernel.vector_flops or 0,
        special=kernel.special or 0,
        moved_bytes=kernel.moved_bytes or 0,
        operators={},
        products=(),
        tensor_bytes=kernel.moved_bytes or 0,
        missing=(),
    )


def _over(amount: float, rate: float | None) -> float | None:
    return amount / rate if rate else None


def _seconds_of_flops(flops: dict[str, int], capacity: Capacity) -> float | None:
    rates = {mode: capacity.flops_per_s.get(mode) for mode, count in flops.items() if count}
    if any(peak is None for peak in rates.values()):
        return None
    return math.fsum(flops[mode] / peak.rate for mode, peak in rates.items() if peak is not None)


def _least(counted: Counted, capacity: Capacity) -> float:
    """Seconds at the highest rates that the device can have, the limit included."""
    sheet = capacity.datasheet.flops_per_s if capacity.datasheet else {}
    limit = LIMIT if sheet or capacity.device.kind != "cpu" else SHARED_CPU_LIMIT
    compute = 0.0
    for mode, count in counted.useful_flops.items():
        peak = capacity.flops_per_s.get(mode)
        rates = [sheet.get(mode, 0.0)]
        if peak is not None:
            rates += [peak.rate, *peak.provenance.samples]
        if max(rates) > 0:
            compute += count / max(rates)
    points = [p.peak for mix in capacity.bandwidth.values() for p in mix]
    fastest = max((max((p.rate, *p.provenance.samples)) for p in points), default=0.0)
    memory = counted.tensor_bytes / fastest if fastest else 0.0
    return max(compute, memory) / limit
