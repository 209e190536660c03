"""Which operator each kernel belongs to: kernel -> launch -> innermost operator -> its owner.

The launch is found by correlation; a kernel whose launch the file does not hold may still name its
operator by `External id`. Counts nothing and clocks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from goodput.readers.kineto_events import Activity, DeviceEvents, Host, HostEvents
from goodput.readers.kineto_links import NOBODY, HostLinks, at
from goodput.readers.kineto_names import Names
from goodput.trace.table import Flags, Floats, Integers, Kind, Link

NOTHING = 0
"""The string index of "", which is the name of nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Owners:
    """Columns with one entry for each device activity.

    Attributes:
        launch: index of the host call that launched it, `NOBODY` where the file has none.
        anchor: the launch, else the operator that its External id names, else `NOBODY`.
        launched: when, in seconds; NaN without an anchor.
        owner: index of the operator that it belongs to, `NOBODY` where it stands for itself.
        link: a value of `Link`.
        kind: a value of `Kind`.
        in_graph: it was launched as a part of a graph.
    """

    launch: Integers
    anchor: Integers
    launched: Floats
    owner: Integers
    link: Integers
    kind: Integers
    in_graph: Flags


def own(device: DeviceEvents, links: HostLinks, names: Names) -> Owners:
    """The owner of every device activity."""
    host = links.host
    launches = np.nonzero(host.what == Host.LAUNCH)[0]
    launch = _by_key(device.correlation, host.correlation, launches)
    operators = np.nonzero(host.what == Host.OPERATOR)[0]
    named = _by_key(device.external, host.external, operators)
    anchor = np.where(launch != NOBODY, launch, named)
    in_graph = names.graph_launch[at(host.name, launch, NOTHING)]
    owner = np.where(in_graph, NOBODY, _owner(anchor, links))
    exact = np.where(launch != NOBODY, int(Link.EXACT), int(Link.ORDER))
    return Owners(
        launch=launch,
        anchor=anchor,
        launched=at(host.start, anchor, np.nan),
        owner=owner,
        link=np.where(owner != NOBODY, exact, int(Link.NONE)),
        kind=_kind(device, owner, host, names),
        in_graph=in_graph,
    )


def launches_without_kernel(device: DeviceEvents, host: HostEvents, names: Names) -> Integers:
    """The kernel launches whose correlation no device activity has."""
    launches = np.nonzero((host.what == Host.LAUNCH) & names.kernel_launch[host.name])[0]
    return launches[~np.isin(host.correlation[launches], device.correlation)]


def _by_key(wanted: Integers, keys: Integers, rows: Integers) -> Integers:
    """For each wanted id the first of `rows` with that key, `NOBODY` where there is none."""
    if not len(rows):
        return np.full(len(wanted), NOBODY, dtype=np.int64)
    order = rows[np.argsort(keys[rows], kind="stable")]
    place = np.minimum(np.searchsorted(keys[order], wanted), len(order) - 1)
    found = (keys[order[place]] == wanted) & (wanted > 0)
    return np.where(found, order[place], NOBODY)


def _owner(anchor: Integers, links: HostLinks) -> Integers:
    """The outermost operator with a formula, else the innermost that is no composite, else any."""
    owner = np.full(len(anchor), NOBODY, dtype=np.int64)
    for candidates in (links.fallback, links.innermost, links.outermost):
        found = at(candidates, anchor, NOBODY)
        owner = np.where(found != NOBODY, found, owner)
    return owner


def _kind(device: DeviceEvents, owner: Integers, host: HostEvents, names: Names) -> Integers:
    """Copies are between host and device; one inside the device is its operator's own work."""
    owned = owner != NOBODY
    kind = np.full(len(owner), int(Kind.COMPUTE))
    kind[(device.what != Activity.KERNEL) & ~owned] = Kind.COPIES
    kernel = device.what == Activity.KERNEL
    kind[kernel & names.collective_kernel[device.name]] = Kind.COMMUNICATION
    kind[names.collective[at(host.name, owner, NOTHING)]] = Kind.COMMUNICATION
    kind[(device.what == Activity.MEMCPY) & names.host_copy[device.name]] = Kind.COPIES
    return kind
