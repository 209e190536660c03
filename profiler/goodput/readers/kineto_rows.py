"""Invocation rows from owned kernels, or on a CPU from the operators themselves.

One row is one call of an owner with all its kernels: its work is counted once. Sorts, groups and
adds; decides nothing about who owns what.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from goodput.readers import kineto_calls
from goodput.readers.kineto_attention import open_pairs_only
from goodput.readers.kineto_calls import Calls
from goodput.readers.kineto_events import Column, DeviceEvents, Events, Host
from goodput.readers.kineto_links import NOBODY, HostLinks, Strings, at, nearest
from goodput.readers.kineto_names import Names
from goodput.readers.kineto_owners import Owners
from goodput.trace.table import Flags, Floats, Integers, Invocations, Kind, Link, Phase


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The table before its step column is known, with what the steps are found from.

    Attributes:
        invocations: in host start order; `step` is 0 throughout.
        owner: the host event of each row, `NOBODY` without one.
        row: the row of each interval.
        start, end, kind: the intervals that the rows own.
        calls: the distinct calls, for what is to be said about them.
    """

    invocations: Invocations
    owner: Integers
    row: Integers
    start: Floats
    end: Floats
    kind: Integers
    calls: Calls


def device_rows(
    device: DeviceEvents,
    owners: Owners,
    links: HostLinks,
    names: Names,
    events: Events,
    strings: Strings,
) -> Rows:
    """One row for each (owner call, kind), and one for each kernel without an owner."""
    host, count = links.host, len(device.name)
    # An ownerless kernel is its own group; those come before the owned ones in the key's order.
    group = np.where(
        owners.owner == NOBODY, -1 - np.arange(count), owners.owner * len(Kind) + owners.kind
    )
    _, first, row = np.unique(group, return_index=True, return_inverse=True)
    row = row.reshape(-1)
    owner, anchor = owners.owner[first], owners.anchor[first]
    owned = owner != NOBODY
    begin = np.where(anchor != NOBODY, owners.launched[first], device.start[first])
    begin = np.where(owned, at(host.start, owner, 0.0), begin)
    calls, call = _calls(owner, links, names, events, strings)
    columns: dict[str, Column] = {
        "phase": np.where(
            owners.in_graph[first], int(Phase.OTHER), at(links.phase, anchor, int(Phase.OTHER))
        ),
        "kind": owners.kind[first],
        "link": _largest(owners.link, row, len(first)),
        "operator": names.bare[np.where(owned, at(host.name, owner, 0), device.name[first])],
        "module": at(links.module, anchor, 0),
        "source": at(links.source, anchor, 0),
        "kernel": device.name[_longest(device, row)],
        "kernels": np.bincount(row, minlength=len(first)),
        "host_seconds": at(host.end - host.start, owner, 0.0),
        "events": at(links.inside, owner, 0),
        **_work(calls, call, owned & _first_of_owner(owner), owned),
    }
    columns = open_pairs_only(columns, owner, links, names, events)
    order = np.lexsort((device.start[first], begin))
    table, place = _finished(columns, order)
    return Rows(table, owner[order], place[row], device.start, device.end, owners.kind, calls)


def host_rows(links: HostLinks, names: Names, events: Events, strings: Strings) -> Rows:
    """One row for each operator that does work itself, with its time outside of the rows in it."""
    host = links.host
    operator = (host.what == Host.OPERATOR) & names.operator[host.name]
    counted = links.outermost == np.arange(len(host.name))
    alone = operator & (links.outermost == NOBODY) & ~names.composite[host.name]
    candidates = np.nonzero(counted | alone)[0]
    calls, call = _calls(candidates, links, names, events, strings)
    kept = ~calls.is_nothing[call]
    owner, call = candidates[kept], call[kept]
    start, end, row, events_inside = _own_time(owner, links)
    kind = np.where(names.collective[host.name[owner]], int(Kind.COMMUNICATION), int(Kind.COMPUTE))
    everyone = np.ones(len(owner), dtype=np.bool_)
    columns: dict[str, Column] = {
        "phase": links.phase[owner],
        "kind": kind,
        "link": np.full(len(owner), int(Link.EXACT)),
        "operator": names.bare[host.name[owner]],
        "module": links.module[owner],
        "source": links.source[owner],
        "host_seconds": host.end[owner] - host.start[owner],
        "events": events_inside,
        **_work(calls, call, everyone, everyone),
    }
    columns = open_pairs_only(columns, owner, links, names, events)
    spans = np.nonzero(names.span[events.host.name])[0]
    columns = _with_spans(columns, events, spans)
    begin = np.concatenate((host.start[owner], events.host.start[spans]))
    order = np.argsort(begin, kind="stable")
    table, place = _finished(columns, order)
    row = np.concatenate((row, np.arange(len(owner), len(begin))))
    return Rows(
        invocations=table,
        owner=np.concatenate((owner, np.full(len(spans), NOBODY)))[order],
        row=place[row],
        start=np.concatenate((start, events.host.start[spans])),
        end=np.concatenate((end, events.host.end[spans])),
        kind=table.kind[place[row]],
        calls=calls,
    )


def _with_spans(columns: dict[str, Column], events: Events, spans: Integers) -> dict[str, Column]:
    """The columns with a row for each collective's span behind them."""
    host = events.host
    more: dict[str, Column] = {
        "kind": np.full(len(spans), int(Kind.COMMUNICATION)),
        "link": np.full(len(spans), int(Link.EXACT)),
        "operator": host.name[spans],
        "host_seconds": host.end[spans] - host.start[spans],
    }
    empty = np.zeros(len(spans), dtype=np.int64)
    return {k: np.concatenate((column, more.get(k, empty))) for k, column in columns.items()}


def _calls(
    owner: Integers, links: HostLinks, names: Names, events: Events, strings: Strings
) -> tuple[Calls, Integers]:
    """The distinct calls of the owners, and the call of each; 0 for `NOBODY`, to be masked."""
    owned = np.nonzero(owner != NOBODY)[0]
    host = links.host
    pairs, place = kineto_calls.distinct(host.name[owner[owned]], host.signature[owner[owned]])
    call = np.zeros(len(owner), dtype=np.int64)
    call[owned] = place
    return kineto_calls.count(pairs, events.signatures, names, strings), call


def _work(calls: Calls, call: Integers, counted: Flags, described: Flags) -> dict[str, Column]:
    """The call's columns: its work in the rows `counted`, its shapes and mode in `described`."""

    def of(column: Column, rows: Flags) -> Column:
        return np.where(rows, column[call], 0) if len(column) else np.zeros(len(call), np.int64)

    return {
        "shapes": of(calls.shapes, described),
        "mode": of(calls.mode, described),
        "modelled": of(calls.modelled, counted).astype(np.bool_),
        **{name: of(column, counted) for name, column in calls.work.items()},
    }


def _first_of_owner(owner: Integers) -> Flags:
    """The first of an owner's rows, which come in order of kind: the one that gets its work."""
    first = np.ones(len(owner), dtype=np.bool_)
    first[1:] = owner[1:] != owner[:-1]
    return first


def _largest(values: Integers, row: Integers, rows: int) -> Integers:
    largest = np.zeros(rows, dtype=np.int64)
    np.maximum.at(largest, row, values)
    return largest


def _longest(device: DeviceEvents, row: Integers) -> Integers:
    """The longest activity of each row."""
    order = np.lexsort((device.end - device.start, row))
    return order[np.append(np.diff(row[order]) != 0, [True] * bool(len(row))).astype(np.bool_)]


def _own_time(owner: Integers, links: HostLinks) -> tuple[Floats, Floats, Integers, Integers]:
    """Begin, end and row of the intervals in which a row's operator runs itself.

    Also the events that are inside the operator but not inside another row.
    """
    host = links.host
    is_row = np.zeros(len(host.name), dtype=np.bool_)
    is_row[owner] = True
    row_of = np.full(len(host.name), NOBODY, dtype=np.int64)
    row_of[owner] = np.arange(len(owner))
    around = at(nearest(links.nesting, is_row), links.nesting.parent[owner], NOBODY)
    inner = np.nonzero(around != NOBODY)[0]
    outer = row_of[around[inner]]
    rows = np.arange(len(owner))
    begins = np.concatenate((host.start[owner], host.end[owner[inner]]))
    ends = np.concatenate((host.end[owner], host.start[owner[inner]]))
    belongs = np.concatenate((rows, outer))
    by_begin = np.lexsort((begins, belongs))
    by_end = np.lexsort((ends, belongs))
    inside = links.inside[owner].copy()
    np.subtract.at(inside, outer, links.inside[owner[inner]] + 1)
    return begins[by_begin], ends[by_end], belongs[by_begin], inside


def _finished(columns: dict[str, Column], order: Integers) -> tuple[Invocations, Integers]:
    """The rows in host start order, and the new place of each."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    chosen = {name: column[order] for name, column in columns.items()}
    other = np.asarray(chosen["kind"]) != Kind.COMPUTE
    chosen["phase"] = np.where(other, int(Phase.OTHER), chosen["phase"])
    return Invocations.of(chosen), place
