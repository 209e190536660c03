"""Ledgers on disk and their accounts: what `goodput job` says, before it is rendered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from goodput.capacity.profile import Capacity
from goodput.commands.given import read_capacity
from goodput.commands.stored import load
from goodput.errors import GoodputError, NotMeasuredError, UsageError
from goodput.events.account import Ideal, JobAccount
from goodput.ledger.accounts import account_of
from goodput.ledger.importers.detect import sessions_of
from goodput.ledger.jobs import jobs_of
from goodput.ledger.read import files_of
from goodput.ledger.sessions import Session
from goodput.renderers.json_report import parse_json
from goodput.report.model import Report

_TIME = re.compile(r"^\s*([0-9]*\.?[0-9]+)\s*(ns|us|ms|s|min|m|h|d)\s*$")
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}


@dataclass(frozen=True, slots=True)
class Fleet:
    """What was found.

    Attributes:
        jobs: their accounts.
        title: where they are from.
        is_directory: whether many were asked for.
        unread: what could not be accounted for, in sentences.
    """

    jobs: tuple[JobAccount, ...]
    title: str
    is_directory: bool
    unread: tuple[str, ...] = ()


def nanoseconds(text: str) -> int:
    """A time with its unit: `90s`, `6m`, `3h`, `2d`.

    Raises:
        UsageError: it is none, or zero.
    """
    match = _TIME.match(text)
    value = round(float(match[1]) * _UNITS[match[2]]) if match else 0
    if value <= 0:
        raise UsageError(f"{text!r} is no time; write one such as 90s, 6m, 3h or 2d")
    return value


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the ledgers.

    Attributes:
        report: a file with the ideal step time.
        capacity: a file of roofs, for `report` or for the FLOPs that the steps tell.
        dtype: the mode of those FLOPs.
        source: the format of the files; None to look.
        pattern: an expression that finds the steps of a log.
        window_ns: how long the stretches are that are accounted for by themselves.
        rolling_ns: how long the stretches are that end with the job.
        parts: how many parts a timeline has.
    """

    report: Path | None = None
    capacity: Path | None = None
    dtype: str | None = None
    source: str | None = None
    pattern: str | None = None
    window_ns: int | None = None
    rolling_ns: tuple[int, ...] = ()
    parts: int = 0


def accounted(paths: tuple[Path, ...], asked: Asked) -> Fleet:
    """The accounts of the ledgers at `paths`.

    Raises:
        UsageError: there is none, or what was asked for cannot be.
        NotMeasuredError: none of them holds an event.
    """
    ideal = _ideal(asked)
    many = len(paths) > 1 or paths[0].is_dir()
    sessions, unread = _sessions(paths, asked, many=many)
    found = jobs_of(sessions)
    del sessions
    jobs = []
    for job in found:
        try:
            stretches = (asked.window_ns, asked.rolling_ns, asked.parts)
            jobs.append(account_of(job, ideal, *stretches))
        except NotMeasuredError as error:
            unread.append(str(error))
    if not jobs:
        raise NotMeasuredError("; ".join(unread) or f"{paths[0]} holds no event")
    if len(jobs) > 1 and not many:
        unread.append(
            f"{paths[0]} holds the events of {len(jobs)} jobs, which are accounted for one by one"
        )
    is_many = len(jobs) > 1 or any(path.is_dir() for path in paths)
    return Fleet(tuple(jobs), ", ".join(map(str, paths)), is_many, tuple(unread))


def _sessions(
    paths: tuple[Path, ...], asked: Asked, *, many: bool
) -> tuple[list[Session], list[str]]:
    """What the files hold, and which of several could not be read."""
    sessions: list[Session] = []
    unread: list[str] = []
    for file in dict.fromkeys(file for path in paths for file in files_of(path)):
        try:
            sessions += sessions_of(file, asked.source, asked.pattern)
        except GoodputError as error:
            if not many:
                raise
            unread.append(str(error))
    return sessions, unread


def _ideal(asked: Asked) -> Ideal | None:
    if asked.report is not None:
        return ideal_of(asked.report, asked.capacity)
    if asked.capacity is None:
        return None
    roofs = read_capacity(asked.capacity).flops_per_s
    if asked.dtype not in roofs:
        raise UsageError(
            "--capacity holds the steps' own FLOPs against the roof of their mode: add --dtype, "
            f"one of {', '.join(roofs)}; or give --report"
        )
    source = f"the steps' own FLOPs over the {asked.dtype} roof of {asked.capacity.name}"
    return Ideal(None, roofs[asked.dtype].rate, source)


def ideal_of(path: Path, capacity: Path | None) -> Ideal:
    """The ideal step time in a recording, a trace, or a report of `run`, `show` or `count`.

    Raises:
        UsageError: it holds none.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}; goodput run writes a recording")
    roofs = None if capacity is None else read_capacity(capacity)
    report = _report_of(path, roofs)
    seconds = report.totals.useful_seconds
    source = f"{path.name}: useful FLOPs over the roof"
    if roofs is not None and seconds is None:
        seconds = _held_against(report, roofs)
    if seconds is None and len(report.devices) == 1:
        seconds = report.devices[0].useful_seconds
        source = f"{path.name} on {report.devices[0].device}"
    if not seconds:
        raise UsageError(
            f"{path} tells no ideal step time: its useful FLOPs have no roof; add --capacity FILE, "
            "or count it with --on DEVICE"
        )
    return Ideal(round(seconds * _UNITS["s"]), None, source)


def _report_of(path: Path, capacity: Capacity | None) -> Report:
    content = path.read_bytes()
    if content.lstrip().startswith(b"{") and b'"goodput.report/' in content[:200]:
        return parse_json(content)
    return load(path).report(capacity=capacity)


def _held_against(report: Report, capacity: Capacity) -> float | None:
    """Useful FLOPs by mode over the roof of each; None where a mode has none."""
    flops = report.totals.useful_flops_by_mode
    roofs = capacity.flops_per_s
    if not flops or any(mode not in roofs for mode in flops):
        return None
    return sum(count / roofs[mode].rate for mode, count in flops.items())
