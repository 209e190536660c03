"""The history of checks: a file of JSON lines that only grows, and an index made from it.

The lines are the truth; the index may be deleted at any time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from goodput.errors import NotMeasuredError, UsageError
from goodput.gates.observed_run import CaseRun
from goodput.measure.statistics import median
from goodput.report.series import Point, Series
from goodput.report.verdicts import Tier

SCHEMA = "goodput.history/1"

_TABLES = """
create table if not exists entries(
    id integer primary key, created text, commit_id text, case_name text, tier text, device text,
    software text
);
create table if not exists figures(entry integer, metric text, value real);
create index if not exists by_metric on figures(metric, entry);
create table if not exists indexed(bytes integer, skipped integer);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One case and tier of one check.

    Attributes:
        created, commit: when, and of what.
        case, tier, device: as in a `CaseRun`.
        values: by metric; of the measured tier medians over processes.
        software: versions and settings, to be told where a change falls on one of them.
        schema: of the line.
    """

    created: str
    commit: str
    case: str
    tier: Tier
    device: str
    values: Mapping[str, float]
    software: Mapping[str, str] = field(default_factory=dict)
    schema: str = SCHEMA


def entries_of(runs: Sequence[CaseRun], created: str) -> list[Entry]:
    """What is kept of a check: every run with figures."""
    return [
        Entry(
            created,
            run.commit,
            run.case,
            run.tier,
            run.device_name,
            _middles(run.processes),
            {**run.toolchain, **run.surroundings},
        )
        for run in runs
        if run.processes and not run.error
    ]


def _middles(processes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = {name for values in processes for name in values}
    return {
        name: median([values[name] for values in processes if name in values])
        for name in sorted(names)
    }


def append(path: Path, entries: Sequence[Entry]) -> None:
    """Adds lines to a history.

    Raises:
        NotMeasuredError: it cannot be written.
    """
    lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A last line that was cut off must not take the next one with it.
        torn = path.is_file() and not path.read_bytes().endswith((b"\n",)) and path.stat().st_size
        with path.open("ab") as file:
            file.write((b"\n" if torn else b"") + lines)
    except OSError as error:
        raise NotMeasuredError(
            f"the history {path} cannot be written ({error.strerror}); nothing was recorded"
        ) from error


@dataclass(frozen=True, slots=True)
class Index:
    """A history that can be asked; `skipped` lines of it are not readable."""

    database: sqlite3.Connection
    skipped: int

    def series(self, case: str = "", metric: str = "") -> Iterator[Series]:
        """Every series, or those of a case or a metric, in name order."""
        keys = self.database.execute(
            "select distinct case_name, tier, device, metric from entries "
            "join figures on entry = id where (?1 = '' or case_name = ?1) "
            "and (?2 = '' or metric = ?2) order by 1, 2, 3, 4",
            (case, metric),
        ).fetchall()
        for key in keys:
            case_name, tier, device, name = key
            yield Series(case_name, tier, device, name, self._points(key))

    def _points(self, key: tuple[str, str, str, str]) -> tuple[Point, ...]:
        rows = self.database.execute(
            "select value, created, commit_id, software from entries join figures on entry = id "
            "where case_name = ? and tier = ? and device = ? and metric = ? order by id",
            key,
        )
        return tuple(
            Point(value, created, commit, msgspec.json.decode(software))
            for value, created, commit, software in rows
        )


def indexed(path: Path) -> Index:
    """The history in `path`, its index brought up to date beside it; else in memory.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no history {path}; goodput check --record writes one"
        ) from error
    except OSError as error:
        raise UsageError(f"cannot read the history {path}: {error.strerror}") from error
    try:
        return _updated(_opened(path.with_suffix(".sqlite")), content)
    except sqlite3.Error:  # a read-only checkout, or an index that is damaged or of another kind
        return _updated(_opened(Path(":memory:")), content)


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.executescript(_TABLES)
    return database


def _updated(database: sqlite3.Connection, content: bytes) -> Index:
    """The index with the lines that it did not have yet."""
    known = database.execute("select bytes, skipped from indexed").fetchone() or (0, 0)
    if known[0] > len(content):  # the lines were rewritten
        database.executescript("delete from entries; delete from figures; delete from indexed;")
        known = (0, 0)
    whole = content.rfind(b"\n") + 1
    skipped = known[1]
    with database:
        for line in content[known[0] : whole].splitlines():
            skipped += bool(line.strip()) and not _added(database, line)
        database.execute("delete from indexed")
        database.execute("insert into indexed values (?, ?)", (whole, skipped))
    return Index(database, skipped + bool(content[whole:].strip()))


def _added(database: sqlite3.Connection, line: bytes) -> bool:
    """Whether a line could be read and was added."""
    try:
        entry = msgspec.json.decode(line, type=Entry)
    except msgspec.MsgspecError:
        return False
    if entry.schema != SCHEMA:
        return False
    software = msgspec.json.encode(entry.software).decode()
    place = database.execute(
        "insert into entries values (null, ?, ?, ?, ?, ?, ?)",
        (entry.created, entry.commit, entry.case, str(entry.tier), entry.device, software),
    ).lastrowid
    database.executemany(
        "insert into figures values (?, ?, ?)",
        [(place, metric, value) for metric, value in entry.values.items()],
    )
    return True
