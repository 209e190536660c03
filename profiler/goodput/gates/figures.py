"""The exact figures of a counted step: whole numbers that any machine gives. Counts nothing itself.

A figure that is not there is not known: none is zero for want of a count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from goodput.gates.observation import Observation, OperatorFigures, Place
from goodput.report.bare import communicates
from goodput.trace.recording import Recording, WorkEntry
from goodput.work import Work

RECOMPUTE = "recompute"
_FLOATS = ("f64[", "f32[", "bf16[", "f16[", "f8")
_CONVERSIONS = ("aten::_to_copy", "prims::convert_element_type", "lax::convert_element_type")


def observed(
    recording: Recording, extra: Mapping[str, float] | None = None, places: tuple[Place, ...] = ()
) -> Observation:
    """The figures of a recording's counted step.

    Args:
        recording: one with a work pass.
        extra: figures that are not in it, e.g. of the compiler.
        places: where figures come from.
    """
    entries = recording.work.entries
    return Observation(
        {**_values(entries), **(extra or {})},
        _operators(entries),
        {name: recording.environment[name] for name in _PINNED if name in recording.environment},
        places=places,
        notes=recording.warnings,
    )


_PINNED = ("torch", "jax", "jaxlib", "triton")


def _values(entries: tuple[WorkEntry, ...]) -> dict[str, float]:
    sums = sum((entry.work for entry in entries if entry.work is not None), Work())
    useful: defaultdict[str, int] = defaultdict(int)
    executed: defaultdict[str, int] = defaultdict(int)
    for entry in entries:
        if entry.work is not None:
            useful[entry.mode] += 0 if entry.phase == RECOMPUTE else entry.work.flops
            executed[entry.mode] += entry.work.executed_flops
    whole = sum(useful.values())
    values: dict[str, float] = {
        "useful_flops": whole,
        "executed_flops": sum(executed.values()),
        "vector_flops": sums.vector_flops,
        "special_calls": sums.special,
        "bytes": sums.bytes,
        "operator_calls": sum(entry.calls for entry in entries),
        "uncounted_calls": sum(
            entry.calls
            for entry in entries
            if entry.work is None and not communicates(entry.operator)
        ),
        "upcasts": sum(entry.calls for entry in entries if _widens(entry)),
        "collective_bytes": sum(
            entry.work.bytes
            for entry in entries
            if entry.work is not None and communicates(entry.operator)
        ),
    }
    if whole:
        values["recompute_ratio"] = sum(executed.values()) / whole
    for name, by_mode in (("useful_flops", useful), ("executed_flops", executed)):
        values |= {f"{name}.{mode}": flops for mode, flops in by_mode.items() if mode and flops}
    return values


def _widens(entry: WorkEntry) -> bool:
    """Whether a call makes a wider copy of floating numbers: it writes more than it reads."""
    work = entry.work
    return (
        work is not None
        and entry.operator in _CONVERSIONS
        and entry.shapes.startswith(_FLOATS)
        and work.bytes_written > work.bytes_read
    )


def _operators(entries: tuple[WorkEntry, ...]) -> dict[str, OperatorFigures]:
    found: defaultdict[str, OperatorFigures] = defaultdict(OperatorFigures)
    for entry in entries:
        work = entry.work or Work()
        name = " ".join(filter(None, (entry.operator, entry.phase, entry.mode)))
        found[name] += OperatorFigures(entry.calls, work.executed_flops, work.bytes)
    return dict(found)
