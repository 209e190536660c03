"""Slurm's accounting (`sacct -P -D -o JobID,Submit,Start,End,State,...`): the layer below a job.

It tells when the job waited, ran and why it ended, and nothing of what it did. Beside a ledger of
the same job it tells the time before the first process; alone, all that ran is `unattributed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from goodput.errors import TraceFormatError
from goodput.events import wire
from goodput.events.wire import Entry
from goodput.ledger.importers.times import nanoseconds

LAUNCHER = -1
"""The rank of a launcher, which is none."""
_NEEDED = ("JobID", "Submit", "Start", "End", "State")
_UNKNOWN = frozenset(("", "Unknown", "None"))
_GOOD = "COMPLETED"


def is_one(first_line: str) -> bool:
    """Whether a file that begins so is sacct's."""
    names = first_line.strip().split("|")
    return all(name in names for name in _NEEDED)


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """The entries of a ledger: of each job, its waits and its runs, in order.

    Raises:
        TraceFormatError: the header lacks a column.
    """
    rows = [line.rstrip("\n").split("|") for line in lines if line.strip()]
    if not rows or not is_one("|".join(rows[0])):
        raise TraceFormatError(
            "this is no table of sacct with its needed columns; make it with "
            f"sacct -P -D -o {','.join(_NEEDED)}"
        )
    header = rows[0]
    for row in sorted((dict(zip(header, each, strict=False)) for each in rows[1:]), key=_order):
        if "." not in row["JobID"]:  # a step of a job, which is inside of it
            yield from _run(row)


def _order(row: dict[str, str]) -> tuple[str, str]:
    return row["JobID"], row["Start"]


def _run(row: dict[str, str]) -> Iterator[Entry]:
    submit, start, end = (_time(row[name]) for name in ("Submit", "Start", "End"))
    state = row["State"].split(" ")[0]
    devices = _devices(row.get("AllocTRES", ""))
    if submit is None or start is None:
        return
    yield Entry(wire.OPEN, time_ns=start, job=row["JobID"], rank=LAUNCHER, devices=devices or None)
    yield Entry(wire.QUEUE, start_ns=submit, end_ns=start)
    if end is None:
        yield Entry(wire.ALIVE, time_ns=start)
        return
    yield Entry(wire.ALLOCATION, start_ns=start, end_ns=end, devices=devices or None)
    if state != _GOOD:
        yield Entry(wire.FAILURE, time_ns=end, cause=state)
    yield Entry(wire.JOB_END, time_ns=end, clean=state == _GOOD)


def _time(text: str) -> int | None:
    return None if text in _UNKNOWN else nanoseconds(text)


def _devices(resources: str) -> int:
    """The GPUs of an `AllocTRES`, e.g. `billing=64,cpu=64,gres/gpu=8,node=1`."""
    for each in resources.split(","):
        name, _, count = each.partition("=")
        if name == "gres/gpu" and count.isdigit():
            return int(count)
    return 0
