"""What a job's account says, in words: factors, what was lost, and what to fix first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import accumulate

from goodput.events import buckets as b
from goodput.events import wire
from goodput.events.account import Account, JobAccount
from goodput.renderers.content import Content
from goodput.renderers.tables import Column, Table, filled
from goodput.units import percent, seconds, si

_NS = 1e-9
_BAR = 20
_MOST = 12
"""Incarnations and ranks that a terminal shows; the JSON has all."""


def job_content(job: JobAccount, price: float | None = None) -> Content:
    """The words for one job; `price` is what a device costs for an hour."""
    tables = [
        badput_table(job, price),
        _causes(job),
        _incarnations(job),
        _windows(job),
        _rolling(job),
        _ranks(job),
    ]
    return Content(
        title=f"goodput job: {job.job}",
        errors=job.errors,
        headline=(*_headline(job), *_price(job.total, price)),
        tables=tuple(table for table in tables if table is not None),
        honesty=(),
        warnings=job.notes,
    )


def _headline(job: JobAccount) -> Iterator[tuple[str, str]]:
    total = job.total
    yield "goodput", _product(job)
    yield "infrastructure", f"{percent(total.infrastructure)} of the device time the job was up"
    yield "framework", f"{percent(total.framework)} of that went into steps that were kept"
    yield "program", _program(job)
    yield "window", _window(total)
    yield "devices", f"{job.devices}: {duration(total.device_ns)} of device time in all"
    steps = total.steps
    yield (
        "steps",
        (
            f"{steps.kept} kept, {steps.lost} done and lost, {steps.unsaved} not kept yet, "
            f"{steps.unfinished} unfinished"
        ),
    )
    if total.tokens is not None:
        wall = (total.end_ns - total.start_ns) * _NS
        yield "tokens", f"{si(total.tokens, '')} kept, {si(total.tokens / wall, 'token/s')}"
    yield "end", job.state
    yield from _advice(total)


def _product(job: JobAccount) -> str:
    layers = job.layers_known
    if layers == 3:
        return f"{percent(job.total.goodput)} of what was paid for became useful training"
    return (
        f"{percent(job.total.goodput)} of what was paid for went into steps that were kept: the "
        "product of two layers, since the ideal step time is not known (--report)"
    )


def _program(job: JobAccount) -> str:
    if job.ideal is None or job.total.program is None:
        return "n/a (no ideal step time: give --report RUN.goodput)"
    ratio = "error" if job.errors else percent(job.total.program)
    return f"{ratio} of the kept steps was ideal step time ({job.ideal.source})"


def _window(total: Account) -> str:
    return (
        f"{duration(total.end_ns - total.start_ns)}, from {moment(total.start_ns)} to "
        f"{moment(total.end_ns)}"
    )


def _advice(total: Account) -> Iterator[tuple[str, str]]:
    """The largest loss, and what usually helps."""
    rows = [(time, bucket) for bucket, time in losses(total) if time > 0]
    if not rows:
        return
    time, bucket = max(rows, key=lambda row: row[0])
    share = percent(time / total.device_ns)
    advice = f"; {bucket.advice}" if bucket.advice else ""
    yield "fix first", f"{bucket.name}: {share} of the device time, {bucket.meaning}{advice}"


def _price(total: Account, price: float | None) -> Iterator[tuple[str, str]]:
    """What the whole cost, and each point of it that was lost."""
    if price is None:
        return
    whole = _cost(total.device_ns, price)
    lost = whole * (1 - (total.goodput or 0.0))
    yield "price", f"{whole:,.2f} in all, {lost:,.2f} of it lost; a point is {whole / 100:,.2f}"


def _cost(device_ns: int, price: float) -> float:
    return device_ns * _NS / 3600 * price


def losses(total: Account) -> list[tuple[b.Bucket, int]]:
    """Every loss, with its device nanoseconds: with the ideal time they are the whole."""
    rows = [(x, total.buckets[x.name]) for x in b.BUCKETS if x.layer and x.name in total.buckets]
    slowdown = total.slowdown_ns
    return rows if slowdown is None else [*rows, (b.SLOWDOWN, slowdown)]


def badput_table(job: JobAccount, price: float | None = None) -> Table:
    """Where the device time went: it sums to all of it."""
    total = job.total
    rows = [("", _useful(total), total.kept_ns if total.ideal_ns is None else total.ideal_ns)]
    by_layer = sorted(losses(total), key=lambda row: (b.LAYERS.index(row[0].layer), -row[1]))
    rows += [(bucket.layer, bucket, time) for bucket, time in by_layer]
    names: list[tuple[str, str, str, int]] = []
    for layer, bucket, time in rows:
        names.append((layer, bucket.name, bucket.meaning, time))
        if bucket.name == wire.CUSTOM:
            names += [("", f"  {name}", "of which", own) for name, own in total.custom.items()]
    names.append(("", "total", "", total.device_ns))
    whole = total.device_ns
    columns: tuple[Column, ...] = (
        Column("layer", tuple(row[0] for row in names)),
        Column("bucket", tuple(row[1].replace("_", " ") for row in names)),
        Column("device time", tuple(duration(row[3]) for row in names), right=True),
        Column("share", tuple(percent(row[3] / whole, 2) for row in names), right=True),
        Column("", tuple("█" * round(_BAR * row[3] / whole) for row in names), spare=2),
        Column("what it is", tuple(row[2] for row in names), spare=1),
    )
    if price is not None:
        costs = tuple(f"{_cost(row[3], price):,.2f}" for row in names)
        columns = (*columns[:4], Column("price", costs, right=True), *columns[4:])
    notes: tuple[str, ...] = ()
    if total.slowdown_ns is not None and total.slowdown_ns < 0:
        notes = ("slowdown is negative: the steps were shorter than the ideal one",)
    return Table("Where the device time went", columns, notes)


def _useful(total: Account) -> b.Bucket:
    if total.ideal_ns is None:
        return b.BY_NAME[b.KEPT]
    return b.Bucket("useful", "", "ideal time of the steps that were kept")


def _causes(job: JobAccount) -> Table | None:
    if not job.causes:
        return None
    rows = job.causes
    columns = (
        Column("cause", tuple(row.cause for row in rows), least=20),
        Column("failures", tuple(str(row.count) for row in rows), right=True),
        Column("steps lost", tuple(duration(row.lost_ns) for row in rows), right=True),
        Column("restart", tuple(duration(row.restart_ns) for row in rows), right=True),
        Column("resume", tuple(duration(row.resume_ns) for row in rows), right=True),
        Column("of all", _shares([row.total_ns for row in rows], job.total), right=True),
    )
    note = "device time; resume is starting up, compiling and loading of the life that follows"
    return Table("What failures cost, by cause", columns, (note,))


def _shares(times: Sequence[int], total: Account) -> tuple[str, ...]:
    return tuple(percent(time / total.device_ns, 2) for time in times)


def _incarnations(job: JobAccount) -> Table | None:
    if len(job.incarnations) < 2:
        return None
    rows = job.incarnations[:_MOST]
    accounts = [row.account for row in rows]
    columns = (
        Column("#", tuple(str(row.number) for row in rows), right=True),
        Column("started", tuple(moment(each.start_ns) for each in accounts), spare=2),
        Column("lasted", tuple(duration(x.end_ns - x.start_ns) for x in accounts), right=True),
        Column("ranks", tuple(str(row.ranks) for row in rows), right=True, spare=1),
        Column("steps", tuple(_reach(row.first_step, row.last_step) for row in rows), right=True),
        Column("kept", tuple(str(each.steps.kept) for each in accounts), right=True),
        Column("lost", tuple(str(each.steps.lost) for each in accounts), right=True),
        Column("goodput", tuple(percent(x.goodput) for x in accounts), right=True),
        Column("ended", tuple(row.ended for row in rows), least=16),
    )
    more = len(job.incarnations) - len(rows)
    notes = (f"{more} more; --json has all",) if more > 0 else ()
    return Table("By incarnation", columns, notes)


def _reach(first: int | None, last: int | None) -> str:
    return "" if first is None else f"{first}-{last}"


def _windows(job: JobAccount) -> Table | None:
    if not job.windows:
        return None
    useful = [x.kept_ns if x.ideal_ns is None else x.ideal_ns for x in job.windows]
    so_far = zip(accumulate(useful), accumulate(x.device_ns for x in job.windows), strict=True)
    cumulative = Column("so far", tuple(_share(*sums) for sums in so_far), right=True)
    return Table("By window", (*account_columns(job.windows), cumulative))


def _rolling(job: JobAccount) -> Table | None:
    if not job.rolling:
        return None
    lasted = tuple(duration(each.end_ns - each.start_ns) for each in job.rolling)
    columns = (Column("the last", lasted, right=True), *account_columns(job.rolling))
    return Table("Rolling windows, which end with the job", columns)


def account_columns(accounts: Sequence[Account]) -> tuple[Column, ...]:
    """A row for each account: its start and its factors."""
    columns = (
        Column("from", tuple(moment(each.start_ns) for each in accounts)),
        Column(
            "infrastructure", tuple(percent(each.infrastructure) for each in accounts), right=True
        ),
        Column("framework", tuple(percent(each.framework) for each in accounts), right=True),
        Column("program", tuple(_known(each.program) for each in accounts), right=True),
        Column("goodput", tuple(percent(each.goodput) for each in accounts), right=True),
        Column("steps kept", tuple(str(each.steps.kept) for each in accounts), right=True),
    )
    return filled(columns)


def _known(value: float | None) -> str:
    return "" if value is None else percent(value)


def _ranks(job: JobAccount) -> Table | None:
    """The slowest ranks: those that the others wait for."""
    spread = job.spread
    if len(spread.ranks) < 2:
        return None
    rows = spread.ranks[:_MOST]
    usual = sorted(row.median_ns for row in spread.ranks)[len(spread.ranks) // 2]
    columns = (
        Column("rank", tuple(str(row.rank) for row in rows), right=True),
        Column("host", tuple(row.host for row in rows), least=10),
        Column("median step", tuple(seconds(row.median_ns * _NS) for row in rows), right=True),
        Column(
            "of the usual",
            tuple(percent(row.median_ns / usual if usual else None) for row in rows),
            right=True,
        ),
        Column("slowest in", tuple(_known(row.slowest) for row in rows), right=True),
    )
    notes = []
    if spread.mean_ns is not None:
        notes.append(
            f"over {spread.steps} shared steps the slowest rank took "
            f"{seconds(spread.mean_ns * _NS)} longer than the median one; within synchronous "
            "steps that is part of every rank's"
        )
    more = len(spread.ranks) - len(rows)
    if more > 0:
        notes.append(f"{more} quicker ranks; --json has all")
    return Table("By rank, slowest first", filled(columns), tuple(notes))


def fleet_content(jobs: Sequence[JobAccount], title: str, unread: Sequence[str] = ()) -> Content:
    """The words for many jobs: a row each, and all of them by device time."""
    accounts = [job.total for job in jobs]
    columns = (
        Column("job", (*(job.job for job in jobs), "all, by device time"), least=16),
        Column("devices", (*(str(job.devices) for job in jobs), ""), right=True, spare=2),
        Column("device time", _with_sum([x.device_ns for x in accounts]), right=True, spare=1),
        Column("infrastructure", _overall(accounts, "up_ns", "device_ns"), right=True),
        Column("framework", _overall(accounts, "kept_ns", "up_ns"), right=True),
        Column("program", _programs(jobs), right=True),
        Column("goodput", _goodputs(jobs), right=True),
        Column("ended", (*(job.state for job in jobs), ""), least=12, spare=3),
    )
    known = sum(job.layers_known == 3 for job in jobs)
    note = (
        "goodput is the product of three layers"
        if known == len(jobs)
        else "goodput is the product of two layers where program is n/a: no ideal step time there"
    )
    return Content(
        title=f"goodput job: {title}, {len(jobs)} jobs",
        errors=tuple(f"{job.job}: {error}" for job in jobs for error in job.errors),
        headline=(),
        tables=(Table("By job", columns, (note,)),),
        honesty=(),
        warnings=(*(f"{job.job}: {note}" for job in jobs for note in job.notes), *unread),
    )


def _with_sum(times: Sequence[int]) -> tuple[str, ...]:
    return (*map(duration, times), duration(sum(times)))


def _overall(accounts: Sequence[Account], part: str, whole: str) -> tuple[str, ...]:
    parts = [getattr(each, part) for each in accounts]
    wholes = [getattr(each, whole) for each in accounts]
    return tuple(map(_share, (*parts, sum(parts)), (*wholes, sum(wholes))))


def _share(part: int, whole: int) -> str:
    return percent(part / whole if whole else None)


def _programs(jobs: Sequence[JobAccount]) -> tuple[str, ...]:
    own = [percent(job.total.program) for job in jobs]
    ideals = [job.total.ideal_ns for job in jobs]
    if any(ideal is None for ideal in ideals):
        return (*own, percent(None))
    return (*own, _share(sum(x or 0 for x in ideals), sum(job.total.kept_ns for job in jobs)))


def _goodputs(jobs: Sequence[JobAccount]) -> tuple[str, ...]:
    """Of the whole only where all jobs know the same layers: else it would be of neither."""
    own = [percent(job.total.goodput) for job in jobs]
    if len({job.layers_known for job in jobs}) > 1:
        return (*own, percent(None))
    useful = [x.total.kept_ns if x.total.ideal_ns is None else x.total.ideal_ns for x in jobs]
    return (*own, _share(sum(useful), sum(job.total.device_ns for job in jobs)))


def duration(nanoseconds: int) -> str:
    """A long time in words that people use: `3 d 4.1 h`, `12.5 min`, `4.20 s`."""
    value = nanoseconds * _NS
    days, hours = divmod(abs(value) / 3600, 24)
    sign = "-" if value < 0 else ""
    if days:
        return f"{sign}{days:,.0f} d {hours:.1f} h"
    if hours >= 1:
        return f"{sign}{hours:.2f} h"
    if abs(value) >= 60:
        return f"{sign}{abs(value) / 60:.2f} min"
    return seconds(value)


def moment(nanoseconds: int) -> str:
    """A time of day, UTC."""
    return f"{datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"
