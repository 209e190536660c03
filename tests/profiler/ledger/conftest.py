"""Ledgers written by hand."""

import json
from pathlib import Path

import pytest

from goodput.events.wire import SCHEMA, VERSION
from goodput.ledger.accounts import account_of
from goodput.ledger.jobs import jobs_of
from goodput.ledger.read import files_of, read

SECOND = 1_000_000_000


class Lines:
    """The lines of one rank's ledger; `now` is moved by what takes time."""

    def __init__(self, path: Path, *, unit: int = SECOND) -> None:
        self.path, self.unit, self.now = path, unit, 0
        self.lines: list[str] = []

    def add(self, event, **keys):
        self.lines.append(json.dumps({"event": event, **keys}))
        return self

    def open(self, **keys):
        return self.add("open", schema=f"{SCHEMA}/{VERSION}", time_ns=self.now, **keys)

    def span(self, event, length, **keys):
        start, self.now = self.now, self.now + round(length * self.unit)
        return self.add(event, start_ns=start, end_ns=self.now, **keys)

    def steps(self, first, last, length, **keys):
        for number in range(first, last + 1):
            self.span("step", length, step=number, **keys)
        return self

    def wait(self, length):
        self.now += round(length * self.unit)
        return self

    def moment(self, event, **keys):
        return self.add(event, time_ns=self.now, **keys)

    def end(self, *, clean=True):
        return self.moment("job_end", clean=clean)

    def write(self, tail=""):
        self.path.write_text("".join(line + "\n" for line in self.lines) + tail)
        return self.path


@pytest.fixture
def lines(tmp_path):
    """Makes the lines of a ledger, of rank 0 or of another."""

    def make(name="run.jsonl", **keys):
        return Lines(tmp_path / name, **keys)

    return make


@pytest.fixture
def accounts():
    """The accounts of the jobs in a ledger and its ranks' files."""

    def of(path, ideal=None, window_ns=None):
        sessions = [session for file in files_of(path) for session in read(file)]
        return [account_of(job, ideal, window_ns) for job in jobs_of(sessions)]

    return of


@pytest.fixture
def account(accounts):
    """The account of the one job in a ledger."""

    def of(path, ideal=None, window_ns=None):
        (found,) = accounts(path, ideal, window_ns)
        return found

    return of
