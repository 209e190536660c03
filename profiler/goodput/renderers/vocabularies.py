"""A job's account in the words of others: Google's ML Productivity Goodput, Meta's ETTR."""

from __future__ import annotations

from collections import defaultdict

from goodput.events import buckets as b
from goodput.events import wire
from goodput.events.account import Account, JobAccount
from goodput.renderers.content import Content
from goodput.renderers.job import duration
from goodput.renderers.tables import Column, Table
from goodput.units import percent

GOOGLE, ETTR = "google", "ettr"
VOCABULARIES = (GOOGLE, ETTR)

# The BadputType of ml-goodput-measurement that each bucket is; what it has no name for is OTHER.
_BADPUT = {
    wire.INITIALISATION: "TPU_INITIALIZATION",
    wire.COMPILE: "PROGRAM_STARTUP",
    wire.DATA_WAIT: "DATA_LOADING_SYNC",
    wire.CHECKPOINT_SAVE: "UNPRODUCTIVE_CHECKPOINT_SAVE_TIME",
    wire.CHECKPOINT_LOAD: "UNPRODUCTIVE_CHECKPOINT_RESTORE_TIME",
    b.LOST: "WASTED_PROGRESS_FROM_DISRUPTION",
    b.UNFINISHED: "WASTED_PROGRESS_FROM_DISRUPTION",
    b.UNSAVED: "WASTED_PROGRESS_FROM_DISRUPTION",
    wire.RESTART: "INFRASTRUCTURE_RECOVERY_FROM_DISRUPTION",
    wire.CUSTOM: "CUSTOM_BADPUT_EVENTS",
    b.ELASTIC: "ELASTIC_SLICE_DOWN",
}
_OTHER = "OTHER"


def in_words_of(vocabulary: str, job: JobAccount) -> Content:
    """The account of `job` in `vocabulary`, one of `VOCABULARIES`."""
    return _google(job) if vocabulary == GOOGLE else _ettr(job)


def _content(job: JobAccount, name: str, headline: list[tuple[str, str]], table: Table) -> Content:
    title = f"goodput job: {job.job}, as {name}"
    return Content(title, job.errors, tuple(headline), (table,), (), job.notes)


def _google(job: JobAccount) -> Content:
    total = job.total
    product = "MPG" if job.layers_known == 3 else "SG x RG"
    headline = [
        (product, f"{percent(total.goodput)} = scheduling x runtime x program goodput"),
        ("scheduling", f"{percent(total.infrastructure)}: available, of what was paid for"),
        ("runtime", f"{percent(total.framework)}: productive and saved, of what was available"),
        ("program", f"{percent(total.program)}: ideal time of the unoptimised math, of that"),
    ]
    times: dict[str, int] = defaultdict(int)
    for name, time in total.buckets.items():
        if name != b.KEPT:
            times[_BADPUT.get(name, _OTHER)] += time
    return _content(job, "ML Productivity Goodput", headline, _table(total, "BadputType", times))


def _table(total: Account, header: str, times: dict[str, int]) -> Table:
    rows = sorted(times.items(), key=lambda row: -row[1])
    rows = [("productive, saved steps", total.kept_ns), *rows, ("total", total.device_ns)]
    shares = tuple(percent(time / total.device_ns, 2) for _, time in rows)
    columns = (
        Column(header, tuple(name for name, _ in rows)),
        Column("device time", tuple(duration(time) for _, time in rows), right=True),
        Column("share", shares, right=True),
    )
    return Table("Where the device time went", columns)


def _ettr(job: JobAccount) -> Content:
    """Effective training time ratio: productive run time over all of the job's, queue included."""
    total = job.total
    waited = sum(total.buckets.get(name, 0) for name in (wire.QUEUE, wire.ALLOCATION))
    ettr = total.kept_ns / total.device_ns if total.device_ns else None
    scheduled = total.device_ns - waited
    without = total.kept_ns / scheduled if scheduled else None
    headline = [
        ("ETTR", f"{percent(ettr)}: productive run time, of the job's time with its queue"),
        ("without queue", f"{percent(without)}: of its scheduled time"),
        ("model", f"{percent(total.program)}: ideal step time, of the productive run time"),
    ]
    groups = {
        "queue and allocation": waited,
        "down and restarting": _sum(total, wire.RESTART, b.DOWN, b.ELASTIC),
        "initialisation after starts": _sum(
            total, wire.INITIALISATION, wire.COMPILE, wire.CHECKPOINT_LOAD
        ),
        "retraining since the last checkpoint": _sum(total, b.LOST, b.UNFINISHED, b.UNSAVED),
        "checkpoint stalls": _sum(total, wire.CHECKPOINT_SAVE),
        "other interruptions of training": _sum(
            total, wire.DATA_WAIT, wire.EVALUATION, wire.CUSTOM, b.UNATTRIBUTED
        ),
    }
    times = {name: time for name, time in groups.items() if time}
    return _content(job, "ETTR", headline, _table(total, "unproductive time", times))


def _sum(total: Account, *names: str) -> int:
    return sum(total.buckets.get(name, 0) for name in names)
