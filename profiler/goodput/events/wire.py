"""One line of a ledger: what its keys mean, and the events there are. Reads and writes no file.

A ledger is JSON lines. Each process that writes begins with an `open` line, which names the schema,
and appends. Times are whole nanoseconds since 1970. A span without `end_ns` was still open when the
line was written: the same `event` and `start_ns` with an end close it, or nothing does.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from goodput.errors import SchemaVersionError, TraceFormatError

SCHEMA = "goodput.ledger"
VERSION = 1

# What a process says of itself.
OPEN = "open"
JOB_END = "job_end"
FAILURE = "failure"
ALIVE = "alive"
GAP = "gap"
# What is said of the job.
WINDOW = "window"
SIZE = "size"
# Spans of time.
STEP = "step"
DATA_WAIT = "data_wait"
CHECKPOINT_SAVE = "checkpoint_save"
CHECKPOINT_LOAD = "checkpoint_load"
EVALUATION = "evaluation"
COMPILE = "compile"
INITIALISATION = "initialisation"
QUEUE = "queue"
ALLOCATION = "allocation"
RESTART = "restart"
CUSTOM = "custom"

SPANS = (
    CHECKPOINT_LOAD,
    CHECKPOINT_SAVE,
    EVALUATION,
    COMPILE,
    DATA_WAIT,
    CUSTOM,
    STEP,
    INITIALISATION,
    QUEUE,
    ALLOCATION,
    RESTART,
)
"""The spans, in the order in which they own time that several of them claim: the first one does."""

KNOWN = frozenset((*SPANS, OPEN, JOB_END, FAILURE, ALIVE, GAP, WINDOW, SIZE))


_LIMIT = 1 << 61
Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=-_LIMIT, le=_LIMIT)]
"""A number that two of can be added in 64 bits: nanoseconds for seventy years around 1970."""


class Entry(msgspec.Struct, omit_defaults=True):
    """One line.

    Attributes:
        event: one of `KNOWN`; others are kept and told.
        start_ns, end_ns: of a span, and of the window.
        time_ns: of a moment: `open`, `job_end`, `failure`, `alive`, `size`, `gap`.
        step: its number; of a checkpoint, the last step that it holds.
        tokens, flops: of a step on this rank: tokens, and useful FLOPs.
        ok: whether what the span was for is done; a step that raised is not.
        blocking: whether a checkpoint is saved while training waits.
        name: of a custom span.
        cause: of a failure.
        devices: of a size, the devices at work from then on; of an allocation, those paid for; of
            an `open`, those that this rank drives.
        lost: of a gap, the events that could not be written.
        clean: of a job_end, whether the program came to its own end.
        schema, job, rank, world_size, host: of an `open`.
    """

    event: str
    start_ns: Whole | None = None
    end_ns: Whole | None = None
    step: Whole | None = None
    tokens: Whole | None = None
    flops: float | None = None
    time_ns: Whole | None = None
    ok: bool = True
    blocking: bool = True
    name: str = ""
    cause: str = ""
    devices: int | None = None
    lost: int = 0
    clean: bool | None = None
    schema: str = ""
    job: str = ""
    rank: int = 0
    world_size: int = 1
    host: str = ""


def check_schema(schema: str, name: str) -> None:
    """Passes where this goodput reads `schema`, of the ledger `name`.

    Raises:
        TraceFormatError: it is no schema of a ledger.
        SchemaVersionError: a newer goodput wrote it.
    """
    family, _, version = schema.partition("/")
    if family != SCHEMA or not version.isdigit():
        raise TraceFormatError(f"{name} holds {schema!r}, which is not a goodput ledger")
    if int(version) > VERSION:
        raise SchemaVersionError(
            f"{name} was written by a newer goodput ({schema}; this one reads up to "
            f"{SCHEMA}/{VERSION}): upgrade goodput-profiler"
        )
