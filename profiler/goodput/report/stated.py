"""What authors of kernels say that these do, beside what was counted of the same calls. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from goodput.report.model import StatedKernel
from goodput.trace.recording import WorkEntry


def stated(entries: Iterable[WorkEntry]) -> tuple[StatedKernel, ...]:
    """Kernels of a step whose authors say what they do, in the order in which they first ran."""
    by_kernel: dict[str, list[WorkEntry]] = defaultdict(list)
    for entry in entries:
        if entry.stated_flops is not None or entry.stated_bytes is not None:
            by_kernel[entry.operator].append(entry)
    return tuple(_kernel(name, calls) for name, calls in by_kernel.items())


def _kernel(name: str, calls: Sequence[WorkEntry]) -> StatedKernel:
    works = [call.work for call in calls]
    known = [work for work in works if work is not None]
    whole = len(known) == len(works)
    flops = sum(work.flops or _vector(work.executed_flops, work.vector_flops) for work in known)
    executed = sum(_vector(work.executed_flops, work.vector_flops) for work in known)
    return StatedKernel(
        name,
        sum(call.calls for call in calls),
        float(flops) if whole else None,
        float(executed) if whole else None,
        _sum([call.stated_flops for call in calls]),
        float(sum(work.bytes for work in known)) if whole else None,
        _sum([call.stated_bytes for call in calls]),
    )


def _vector(products: int, vector: int) -> int:
    """Authors state the products of a kernel that has any, else its other arithmetic."""
    return products or vector


def _sum(numbers: Sequence[int | None]) -> float | None:
    """The sum; None where some calls say nothing."""
    said = [number for number in numbers if number is not None]
    return float(sum(said)) if len(said) == len(numbers) else None
