"""Attention that a trace can only count dense, and the sentences that say so.

A trace holds a mask's shape and never its values; attention written by hand does not even say that
there is one. goodput's own traces are left alone: their counted step has seen the masks.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from goodput.formulas.hand_written import PRODUCTS, SOFTMAXES, HandWritten, and_more, told
from goodput.formulas.masks import PLACES, TAKEN_APART, mask_of
from goodput.readers.kineto_calls import Inputs
from goodput.readers.kineto_events import Events
from goodput.readers.kineto_links import NOBODY, HostLinks, Strings, at
from goodput.readers.kineto_names import BOUNDARY_MARKER, Names
from goodput.trace.table import Flags, Integers, Invocations, Phase
from goodput.work import Argument, Call, TensorSpec

_BACKWARD = "_backward"


def notes(
    table: Invocations,
    owner: Integers,
    links: HostLinks,
    names: Names,
    events: Events,
    strings: Strings,
) -> tuple[str, ...]:
    """One sentence for each operator with a mask tensor, and one for attention written by hand.

    Args:
        table: the rows that the report will have, their strings in `strings`.
        owner: the host event of each row, `NOBODY` without one.
        links: the host's events, and the attention each belongs to.
        names: what their names mean.
        events: the file, for the shapes.
        strings: the string table.
    """
    if any(text.startswith(BOUNDARY_MARKER) for text in names.strings):
        return ()
    rows = np.nonzero(owner != NOBODY)[0]
    chosen = table.select(rows)
    calls = _Calls(owner[rows], links, names, events)
    modules = _Modules(chosen.module, strings.texts)
    return (*_masked(calls, chosen.modelled, modules), *_hand_written(calls, chosen.phase, modules))


class _Modules:
    """The module of each row, looked up when it is asked for."""

    def __init__(self, module: Integers, texts: list[str]) -> None:
        self._module = module
        self._texts = texts

    def __getitem__(self, row: int) -> str:
        return self._texts[int(self._module[row])]


class _Calls:
    """The calls of some host events; the arguments of each distinct one are read once."""

    def __init__(self, event: Integers, links: HostLinks, names: Names, events: Events) -> None:
        self.event = event
        self.attention = at(links.attention, event, NOBODY)
        self._links = links
        self._names = names
        self._events = events
        self._inputs: dict[int, tuple[Argument, ...]] = {}

    def operator(self, event: int) -> str:
        """The operator's name without its overload."""
        name: str = self._names.strings[self._names.bare[self._links.host.name[event]]]
        return name

    def of(self, event: int) -> Call:
        """The call that a host event is."""
        signature = int(self._links.host.signature[event])
        if signature not in self._inputs:
            known = signature >= 0
            signatures = self._events.signatures
            self._inputs[signature] = (
                Inputs(signatures[signature]).arguments("float32") if known else ()
            )
        return Call(self.operator(event), self._inputs[signature])

    def named(self, wanted: frozenset[str]) -> list[int]:
        """The places of the calls of the operators `wanted`, in order."""
        place = {text: index for index, text in enumerate(self._names.strings)}
        numbers = [place[name] for name in wanted if name in place]
        bare = self._names.bare[self._links.host.name[self.event]]
        found: list[int] = np.nonzero(np.isin(bare, numbers))[0].tolist()
        return found


def _masked(calls: _Calls, modelled: Flags, modules: _Modules) -> list[str]:
    """A sentence for each operator that got a mask tensor and was counted all the same."""
    found: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for row in calls.named(frozenset(PLACES) - {TAKEN_APART}):
        event = int(calls.event[row])
        if modelled[row] and mask_of(calls.of(event)):
            found[calls.operator(event)][event] = modules[row]
    for row in calls.named(PRODUCTS):
        event = int(calls.attention[row])
        if event != NOBODY and mask_of(calls.of(event)):
            found[TAKEN_APART].setdefault(event, modules[row])
    return [
        _mask_sentence(name, found[name], len(found.get(name + _BACKWARD, ())))
        for name in found
        if not name.endswith(_BACKWARD) or name.removesuffix(_BACKWARD) not in found
    ]


def _mask_sentence(operator: str, calls: dict[int, str], backward: int) -> str:
    count = f"{len(calls)} call{'s' * (len(calls) != 1)}"
    count += f" and {backward} of its backward" if backward else ""
    named = [module for module in dict.fromkeys(calls.values()) if module]
    where = f", in {and_more(named)}" if named else ""
    return (
        f"{operator} has a mask tensor ({count}{where}); a trace holds no mask's values, so masked "
        "pairs are counted as useful there: a live `goodput run` counts the mask exactly"
    )


def _hand_written(calls: _Calls, phase: Integers, modules: _Modules) -> tuple[str, ...]:
    """The sentence for attention whose mask nothing tells, as a live run says it."""
    found = HandWritten()
    for row in calls.named(PRODUCTS | SOFTMAXES):
        if phase[row] == Phase.FORWARD and calls.attention[row] == NOBODY:
            call = calls.of(int(calls.event[row]))
            found.note(call.name, _without_outputs(call), modules[row])
    return told(found.modules, nameless="a module that the trace does not name")


def _without_outputs(call: Call) -> tuple[TensorSpec, ...]:
    """The input tensors; an `out=` variant has its output behind them."""
    return call.tensors[: 3 if call.name == "aten::baddbmm" else 2]
