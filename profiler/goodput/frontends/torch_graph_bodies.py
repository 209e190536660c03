"""How often each branch and each body of a loop ran in one call of compiled code.

Branches and bodies are functions of the compiled code, so that their calls are counted where they
happen: the trips are measured, and a branch that is not taken has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from goodput.frontends.torch_inductor import CompiledGraph
from goodput.trace.recording import WorkEntry

_TRITON = "triton::"
_MEASURED = ("shapes", "mode", "work", "product", "told_flops")
_HIDDEN = (
    "a branch or a loop of compiled code was not seen to run ({names}): what is inside is not "
    "counted"
)


@contextmanager
def counted_bodies(graph: CompiledGraph) -> Iterator[dict[str, int]]:
    """Inside, calls of the branches and bodies of a graph are counted into what this gives.

    A body that the compiled code does not call by its name is not among them.
    """
    trips: dict[str, int] = {}
    originals: dict[str, Any] = {}
    for name in graph.bodies:
        original = graph.scope.get(name)
        if callable(original):
            trips[name], originals[name] = 0, original
            graph.scope[name] = _counting(original, name, trips)
    try:
        yield trips
    finally:
        graph.scope.update(originals)


def with_launched(entries: list[WorkEntry], seen: list[WorkEntry]) -> list[WorkEntry]:
    """The entries of one call with the Triton kernels that operators of the program's own launched.

    A graph knows such an operator by its name alone; what it launches is seen when it runs.

    Args:
        entries: by the graph.
        seen: what went through the dispatcher meanwhile.
    """
    launched = [entry for entry in seen if entry.operator.startswith(_TRITON)]
    if not launched:
        return entries
    without = {entry.operator for entry in seen}
    known = [entry for entry in entries if entry.work is not None or entry.operator in without]
    return known + launched


def with_measured(entries: list[WorkEntry], seen: list[WorkEntry]) -> list[WorkEntry]:
    """The entries of one call with the sizes that only the run told: rows that a mask picks.

    Args:
        entries: by the graph, without work where a size depends on data.
        seen: what went through the dispatcher meanwhile: calls of libraries, with their sizes.
    """
    unknown = {_called_as(entry) for entry in entries if entry.work is None}
    measured: dict[str, Iterator[WorkEntry]] = {}
    for name in unknown:
        calls = [entry for entry in seen if entry.operator == name]
        if len(calls) == sum(_called_as(entry) == name for entry in entries):
            measured[name] = iter(calls)
    found = []
    for entry in entries:
        call = next(measured[_called_as(entry)]) if _called_as(entry) in measured else None
        if call is None or entry.work is not None:
            found.append(entry)
        else:
            told = {name: getattr(call, name) for name in _MEASURED}
            found.append(replace(entry, **told))
    return found


def with_missing(entries: list[WorkEntry], seen: list[WorkEntry]) -> list[WorkEntry]:
    """The entries of one call with products of libraries that the compiler told nothing of.

    Some libraries' own layouts are made when constants are folded, past the graph's nodes.
    """
    known = {name for entry in entries for name in (entry.kernel, entry.operator)}
    return entries + [
        entry
        for entry in seen
        if entry.work is not None
        and entry.work.flops
        and entry.operator not in known
        and not entry.operator.startswith(_TRITON)
    ]


def _called_as(entry: WorkEntry) -> str:
    return entry.kernel or entry.operator


def _counting(body: Callable[..., Any], name: str, trips: dict[str, int]) -> Callable[..., Any]:
    def counting(*args: Any) -> Any:
        trips[name] += 1
        return body(*args)

    return counting


def as_often(
    found: list[tuple[str, WorkEntry]], trips: dict[str, int]
) -> tuple[list[WorkEntry], str]:
    """The entries of one call, each as often as its body ran; a sentence on what was not seen.

    Args:
        found: entries by the body that they stand in, "" for the graph itself.
        trips: calls of each body; nothing where the compiled code hides them, as a CUDA graph that
            is replayed does.
    """
    inside = {body for body, _ in found if body}
    seen = {body for body in inside if body in trips} if any(trips.values()) else set()
    entries: list[WorkEntry] = []
    for body, entry in found:
        if not body:
            entries.append(entry)
        elif body in seen:
            entries.extend([entry] * trips[body])
        else:
            entries.append(replace(entry, work=None))
    hidden = sorted(inside - seen)
    return entries, _HIDDEN.format(names=", ".join(hidden)) if hidden else ""
