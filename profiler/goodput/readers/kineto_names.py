"""What an event's name says about it: marker, container, operator, collective. Reads no times."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from goodput.formulas.composites import is_composite
from goodput.formulas.registry import has_formula
from goodput.trace.table import Flags, Integers

MODULE_MARKER = "goodput::module"
BOUNDARY_MARKER = "goodput::boundary#"
PROFILER_STEP = "ProfilerStep#"
_ENGINE = "autograd::engine::evaluate_function"
_OPTIMIZER = ("Optimizer.step#", "Optimizer.zero_grad#")
_DATA_LOADING = "enumerate(DataLoader)"
_CHECKPOINT = "CheckpointFunctionBackward"
# Operators to the dispatcher, but what they hold is the model's: nothing is attributed to them.
_CONTAINERS = ("autograd::", "torch::autograd::", "goodput::", "torch::jit::", "profiler::")
_OPERATOR = re.compile(r"^(\w+::[\w:]*?\w+)(?:\.(\w+))?$")
# A collective may end on another thread, so its span nests in nothing.
_COLLECTIVE_SPAN = ("gloo:", "nccl:", "mpi:", "ucc:", "xccl:")
_COLLECTIVE = ("c10d::", "_c10d_functional::", "c10d_functional::", "symm_mem::")
_COLLECTIVE_KERNEL = re.compile(
    r"nccl|rccl|cross_device_reduce|all_?reduce|all_?gather|reduce_?scatter|multimem", re.IGNORECASE
)
_GRAPH_LAUNCH = re.compile(r"GraphLaunch$")
_KERNEL_LAUNCH = re.compile(r"^(cu|cuda|hip)\w*Launch\w*Kernel|GraphLaunch$")
_ATTENTION = "aten::_scaled_dot_product_attention_math"
_BETWEEN_HOST_AND_DEVICE = ("Memcpy HtoD", "Memcpy DtoH")


class Rule(IntEnum):
    """What entering an event does to the phase of all that it holds.

    `GRAD` is an operator that ran in grad mode, which its name does not say.
    """

    NONE = 0
    ENGINE = 1
    OPTIMIZER = 2
    MODULE = 3
    CHECKPOINT = 4
    DATA = 5
    GRAD = 6


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """Columns with one entry for each string of the file's string table.

    Attributes:
        rule: a value of `Rule`.
        operator: it is a dispatched operator such as `aten::mm`.
        formula: an operator that a formula counts.
        composite: an operator that only calls others.
        bare: index, in `strings`, of the operator's name without its overload.
        overload: its overload's name, "" without one.
        attention: the composite that attention is taken apart in.
        span: the span of a collective.
        collective: an operator that communicates.
        collective_kernel: a kernel that communicates.
        graph_launch, kernel_launch: a call that launches a graph; a kernel or a graph.
        host_copy: a copy between host and device.
        strings: the file's strings, and the bare names behind them.
    """

    rule: Integers
    operator: Flags
    formula: Flags
    composite: Flags
    bare: Integers
    overload: tuple[str, ...]
    attention: Flags
    span: Flags
    collective: Flags
    collective_kernel: Flags
    graph_launch: Flags
    kernel_launch: Flags
    host_copy: Flags
    strings: list[str]


def classify(strings: Sequence[str]) -> Names:
    """What each of the file's strings would mean as an event's name."""
    table = list(strings)
    places = {text: index for index, text in enumerate(table)}
    bare: list[int] = []
    overloads: list[str] = []
    for index, text in enumerate(strings):
        match = _OPERATOR.match(text)
        operator = match is not None and not text.startswith(_CONTAINERS)
        name, overload = match.groups() if match is not None and operator else (text, None)
        if name not in places:
            places[name] = len(table)
            table.append(name)
        bare.append(places[name] if operator else index)
        overloads.append(overload or "")
    names = [table[place] for place in bare]
    operator_flags = _flags(strings, _is_operator)
    return Names(
        rule=np.fromiter(map(_rule, strings), np.int64, len(strings)),
        operator=operator_flags,
        formula=_flags(names, has_formula) & operator_flags,
        composite=_flags(names, is_composite),
        bare=np.asarray(bare, dtype=np.int64),
        overload=tuple(overloads),
        attention=_flags(names, lambda text: text == _ATTENTION),
        span=_flags(strings, lambda text: text.startswith(_COLLECTIVE_SPAN)),
        collective=_flags(strings, _is_collective),
        collective_kernel=_flags(strings, lambda text: _COLLECTIVE_KERNEL.search(text) is not None),
        graph_launch=_flags(strings, lambda text: _GRAPH_LAUNCH.search(text) is not None),
        kernel_launch=_flags(strings, lambda text: _KERNEL_LAUNCH.search(text) is not None),
        host_copy=_flags(strings, lambda text: text.startswith(_BETWEEN_HOST_AND_DEVICE)),
        strings=table,
    )


def _flags(strings: Sequence[str], test: Callable[[str], bool]) -> Flags:
    return np.fromiter(map(test, strings), np.bool_, len(strings))


def _is_operator(text: str) -> bool:
    return _OPERATOR.match(text) is not None and not text.startswith(_CONTAINERS)


def _is_collective(text: str) -> bool:
    return text.startswith((*_COLLECTIVE, *_COLLECTIVE_SPAN)) or text == "record_param_comms"


def _rule(text: str) -> Rule:
    if text.startswith(_ENGINE):
        return Rule.ENGINE
    if text.startswith(_OPTIMIZER):
        return Rule.OPTIMIZER
    if text == MODULE_MARKER:
        return Rule.MODULE
    if text == _CHECKPOINT:
        return Rule.CHECKPOINT
    return Rule.DATA if text.startswith(_DATA_LOADING) else Rule.NONE
