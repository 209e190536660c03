"""How the host's events nest, and what follows from it: owner, phase, module, source line.

Reads no shapes and counts nothing. Everything flows from the outside in, one nesting depth at a
time, so that a million events cost a handful of numpy calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from goodput.readers.kineto_events import (
    MODULE_FRAME,
    Column,
    Events,
    FrameEvents,
    Host,
    HostEvents,
)
from goodput.readers.kineto_names import Names, Rule
from goodput.trace.table import Flags, Floats, Integers, Phase, pick

NOBODY = -1
_FRAME_PLACE = re.compile(r"^(.*)\((\d+)\): ")
# In a backward node, and there in a module or in a checkpoint's own backward.
_MAY_RECOMPUTE = len(Phase)
_ENTER = np.tile(np.arange(len(Phase) + 1)[:, np.newaxis], (1, len(Rule)))
"""The phase inside an event, by the phase around it and its rule; the innermost event decides."""
_ENTER[:, Rule.ENGINE] = Phase.BACKWARD
_ENTER[:, Rule.OPTIMIZER] = Phase.OPTIMIZER
_ENTER[:, Rule.DATA] = Phase.OTHER
_ENTER[Phase.BACKWARD, Rule.MODULE] = _MAY_RECOMPUTE
_ENTER[Phase.BACKWARD, Rule.CHECKPOINT] = _MAY_RECOMPUTE
_ENTER[_MAY_RECOMPUTE, Rule.GRAD] = Phase.RECOMPUTE
_ENTER[Phase.OPTIMIZER, Rule.MODULE] = Phase.FORWARD


@dataclass(frozen=True, slots=True, eq=False)
class Nesting:
    """Which event encloses which, within each thread.

    Attributes:
        parent: index of the innermost enclosing event, `NOBODY` at the outside.
        levels: the indices at each depth, from the outside in.
    """

    parent: Integers
    levels: tuple[Integers, ...]

    def inside_out(self) -> Iterator[Integers]:
        """The levels, the deepest first."""
        return reversed(self.levels)


@dataclass(frozen=True, slots=True, eq=False)
class HostLinks:
    """The host's events, sorted by thread, then start, then the longest first, and their context.

    Attributes:
        host: the events; those that nest in nothing are left out.
        nesting: of `host`.
        outermost: the outermost operator with a formula around (or at) each event, within the same
            container or annotation; `NOBODY` without one.
        innermost: the innermost operator around (or at) it that is no composite.
        fallback: the innermost operator event of any kind.
        phase: the `Phase` inside each event.
        module, source: string indices into `strings`.
        attention: the composite attention call that each is part of, or whose backward; `NOBODY`
            outside of attention.
        inside: the number of events inside each.
        strings: the names' strings, module paths and source lines behind them.
    """

    host: HostEvents
    nesting: Nesting
    outermost: Integers
    innermost: Integers
    fallback: Integers
    phase: Integers
    module: Integers
    source: Integers
    attention: Integers
    inside: Integers
    strings: list[str]


def link(events: Events, names: Names) -> HostLinks:
    """The context of every host event of a file."""
    host = _sorted(_nested_only(events.host, names))
    nesting = nest(host.thread, host.start, host.end)
    rule = names.rule[host.name]
    barrier = (rule != Rule.NONE) | (host.what == Host.ANNOTATION)
    operator = (host.what == Host.OPERATOR) & names.operator[host.name]
    strings = Strings(names.strings)
    engine = nearest(nesting, rule == Rule.ENGINE)
    module, source = _context(events, host, nesting, rule, strings)
    forward = _forward_of(host, engine)
    linked = forward != NOBODY
    module[linked] = np.where(module[linked] == 0, module[forward[linked]], module[linked])
    source[linked] = np.where(source[linked] == 0, source[forward[linked]], source[linked])
    attention = nearest(nesting, names.attention[host.name])
    attention[linked] = np.where(
        attention[linked] == NOBODY, attention[forward[linked]], attention[linked]
    )
    return HostLinks(
        host=host,
        nesting=nesting,
        outermost=_outermost(nesting, operator & names.formula[host.name], barrier),
        innermost=_innermost(nesting, operator & ~names.composite[host.name], barrier),
        fallback=_innermost(nesting, (host.what == Host.OPERATOR) & ~barrier, barrier),
        phase=_phases(host, nesting, rule),
        module=module,
        source=source,
        attention=attention,
        inside=_inside(nesting),
        strings=strings.texts,
    )


class Strings:
    """A string table that grows."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = list(texts)
        self._places = {text: index for index, text in enumerate(self.texts)}

    def place(self, text: str) -> int:
        """The index of `text`."""
        if text not in self._places:
            self._places[text] = len(self.texts)
            self.texts.append(text)
        return self._places[text]


def at(column: Column, place: Integers, absent: float) -> Column:
    """The column's entry at each place, `absent` where the place is `NOBODY`."""
    found = np.full(len(place), absent, dtype=np.result_type(column, type(absent)))
    known = place != NOBODY
    found[known] = column[place[known]]
    return found


def nest(thread: Integers, start: Floats, end: Floats) -> Nesting:
    """The nesting of events sorted by thread, then start, then the longest first.

    An event that outlasts the one it starts in (by the file's rounding) is taken to end with it.
    """
    parent = np.full(len(start), NOBODY, dtype=np.int64)
    depth = np.zeros(len(start), dtype=np.int64)
    parents, depths = parent.tolist(), depth.tolist()
    open_events: list[int] = []
    ends: list[float] = []
    last_thread = None
    for index, (on, begin, finish) in enumerate(
        zip(thread.tolist(), start.tolist(), end.tolist(), strict=True)
    ):
        if on != last_thread:
            open_events, ends, last_thread = [], [], on
        while ends and ends[-1] <= begin:
            ends.pop()
            open_events.pop()
        if ends:
            parents[index] = open_events[-1]
            depths[index] = len(ends)
        ends.append(min(finish, ends[-1]) if ends else finish)
        open_events.append(index)
    parent[:], depth[:] = parents, depths
    order = np.argsort(depth, kind="stable")
    cuts = np.searchsorted(depth[order], np.arange(1, depth.max(initial=0) + 1))
    return Nesting(parent, tuple(np.split(order, cuts)))


def _nested_only(host: HostEvents, names: Names) -> HostEvents:
    return pick(host, np.nonzero(~names.span[host.name])[0])


def _sorted(host: HostEvents) -> HostEvents:
    return pick(host, np.lexsort((-host.end, host.start, host.thread)))


def _outermost(nesting: Nesting, own: Flags, barrier: Flags) -> Integers:
    state = np.full(len(own), NOBODY, dtype=np.int64)
    for rows, around in _levels(nesting, state):
        inherited = np.where(barrier[rows], NOBODY, around)
        state[rows] = np.where((inherited == NOBODY) & own[rows], rows, inherited)
    return state


def nearest(nesting: Nesting, own: Flags) -> Integers:
    """The innermost event of `own` around (or at) each event, `NOBODY` without one."""
    return _innermost(nesting, own, np.zeros(len(own), dtype=np.bool_))


def _innermost(nesting: Nesting, own: Flags, barrier: Flags) -> Integers:
    state = np.full(len(own), NOBODY, dtype=np.int64)
    for rows, around in _levels(nesting, state):
        inherited = np.where(barrier[rows], NOBODY, around)
        state[rows] = np.where(own[rows], rows, inherited)
    return state


def _levels(nesting: Nesting, state: Integers) -> Iterator[tuple[Integers, Integers]]:
    """The rows at each depth with the state of their parents, which is final by then."""
    for rows in nesting.levels:
        yield rows, at(state, nesting.parent[rows], NOBODY)


def _phases(host: HostEvents, nesting: Nesting, rule: Integers) -> Integers:
    """The phase inside each event.

    An operator that ran in grad mode (it has a sequence number) inside a backward node recomputes.
    Double backward looks the same, so where the file has module markers it must be in one of them,
    or in the backward of a reentrant checkpoint.
    """
    enter = _ENTER.copy()
    if not (rule == Rule.MODULE).any():
        enter[Phase.BACKWARD, Rule.GRAD] = Phase.RECOMPUTE
    in_grad_mode = (host.sequence >= 0) & (host.forward_thread == 0)
    operator = (host.what == Host.OPERATOR) & (rule == Rule.NONE)
    entered = np.where(operator & in_grad_mode, int(Rule.GRAD), rule)
    state = np.full(len(rule), int(Phase.FORWARD), dtype=np.int64)
    for rows, around in _levels(nesting, state):
        state[rows] = enter[np.maximum(around, int(Phase.FORWARD)), entered[rows]]
    return np.where(state == _MAY_RECOMPUTE, int(Phase.BACKWARD), state)


def _inside(nesting: Nesting) -> Integers:
    inside = np.zeros(len(nesting.parent), dtype=np.int64)
    for rows in nesting.inside_out():
        nested = rows[nesting.parent[rows] != NOBODY]
        np.add.at(inside, nesting.parent[nested], inside[nested] + 1)
    return inside


def _context(
    events: Events, host: HostEvents, nesting: Nesting, rule: Integers, strings: Strings
) -> tuple[Integers, Integers]:
    """The module and the source line of each host event, as far as its own thread says."""
    module = np.zeros(len(rule), dtype=np.int64)
    marker, engine = rule == Rule.MODULE, rule == Rule.ENGINE
    for rows, around in _levels(nesting, module):
        module[rows] = np.where(
            marker[rows], host.fqn[rows], np.where(engine[rows], 0, np.maximum(around, 0))
        )
    path, source = _frames(events.frames, host, strings)
    return (module if marker.any() else path), source


def _frames(frames: FrameEvents, host: HostEvents, strings: Strings) -> tuple[Integers, Integers]:
    """The module path and the user's source line around the start of each host event."""
    if not len(frames.start):
        return np.zeros(len(host.name), dtype=np.int64), np.zeros(len(host.name), dtype=np.int64)
    order = np.lexsort((-frames.end, frames.start, frames.thread))
    name, thread = frames.name[order], frames.thread[order]
    start, end = frames.start[order], frames.end[order]
    nesting = nest(thread, start, end)
    paths, sources = _frame_states(name, nesting, strings)
    around = _frame_around(host, thread, start, end, nesting.parent)
    return at(paths, around, 0), at(sources, around, 0)


def _frame_states(name: Integers, nesting: Nesting, strings: Strings) -> tuple[Integers, Integers]:
    paths = np.zeros(len(name), dtype=np.int64)
    sources = np.zeros(len(name), dtype=np.int64)
    texts = strings.texts
    is_module = np.fromiter((t.startswith(MODULE_FRAME) for t in texts), np.bool_, len(texts))
    place = np.fromiter(
        (strings.place(_source_of(t)) for t in list(texts)), np.int64, len(is_module)
    )
    for rows, outer_source in _levels(nesting, sources):
        outer_path = at(paths, nesting.parent[rows], 0)
        named = is_module[name[rows]]
        sources[rows] = np.where(named, np.maximum(outer_source, 0), place[name[rows]])
        paths[rows] = outer_path
        paths[rows[named]] = _joined(outer_path[named], name[rows[named]], strings)
    return paths, sources


def _joined(outer: Integers, name: Integers, strings: Strings) -> Integers:
    """The path of each module inside the path around it; built once for each distinct pair."""
    pairs, places = np.unique(np.stack((outer, name), axis=1), axis=0, return_inverse=True)
    made = []
    for around, own in pairs.tolist():
        last = strings.texts[own].removeprefix(MODULE_FRAME)
        made.append(strings.place(f"{strings.texts[around]}.{last}" if around else last))
    return np.asarray(made, dtype=np.int64)[places.reshape(-1)]


def _source_of(frame: str) -> str:
    match = _FRAME_PLACE.match(frame)
    return f"{match[1]}:{match[2]}" if match else ""


def _frame_around(
    host: HostEvents, thread: Integers, start: Floats, end: Floats, parent: Integers
) -> Integers:
    """The innermost frame in which each host event starts, on its own thread."""
    around = np.full(len(host.start), NOBODY, dtype=np.int64)
    for on in np.unique(thread):
        frames = np.nonzero(thread == on)[0]
        rows = np.nonzero(host.thread == on)[0]
        last = np.searchsorted(start[frames], host.start[rows], side="right") - 1
        around[rows] = np.where(last >= 0, frames[last], NOBODY)
    while True:
        ended = (around != NOBODY) & (end[around] <= host.start)
        if not ended.any():
            return around
        around[ended] = parent[around[ended]]


def _forward_of(host: HostEvents, engine: Integers) -> Integers:
    """The forward operator whose backward each event runs in, `NOBODY` where unknown.

    The key is (the forward's thread, sequence number). Operators that make no node carry the number
    of the next node, so of several with one number the last to start made it.
    """
    forward = np.full(len(engine), NOBODY, dtype=np.int64)
    made = np.nonzero(
        (host.what == Host.OPERATOR) & (host.sequence >= 0) & (host.forward_thread == 0)
    )[0]
    inside = np.nonzero(engine != NOBODY)[0]
    inside = inside[host.sequence[engine[inside]] >= 0]
    for number in np.unique(host.forward_thread[engine[inside]]).tolist():
        rows = inside[host.forward_thread[engine[inside]] == number]
        wanted = host.sequence[engine[rows]]
        candidates = _on_likeliest_thread(host, made, wanted)
        if not len(candidates):
            continue
        candidates = candidates[np.lexsort((host.start[candidates], host.sequence[candidates]))]
        found = np.searchsorted(host.sequence[candidates], wanted, side="right") - 1
        hit = (found >= 0) & (host.sequence[candidates[found]] == wanted)
        forward[rows[hit]] = candidates[found[hit]]
    return forward


def _on_likeliest_thread(host: HostEvents, made: Integers, wanted: Integers) -> Integers:
    """Those of `made` on the thread that holds most of the `wanted` sequence numbers.

    A file numbers its threads otherwise than the `Fwd thread id` of its backward nodes does.
    """
    numbers = np.unique(wanted)
    best = made[:0]
    most = 0
    for thread in np.unique(host.thread[made]).tolist():
        mine = made[host.thread[made] == thread]
        held = int(np.isin(numbers, host.sequence[mine]).sum())
        if held > most:
            best, most = mine, held
    return best
