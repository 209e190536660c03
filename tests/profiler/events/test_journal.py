"""The journal: nothing said is lost, whatever the disk does, and nobody waits."""

import errno
import os

import pytest

from goodput.events.journal import ROOM, Journal
from goodput.events.wire import Entry
from goodput.ledger.read import read


class Disk:
    """A disk that can be full, or take a few bytes only."""

    def __init__(self):
        self.full = False
        self.most = None

    def write(self, file, content):
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(file, content[: self.most])


class Clock:
    def __init__(self):
        self.time = 10**18

    def __call__(self):
        self.time += 1
        return self.time


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def told():
    return []


@pytest.fixture
def journal(tmp_path, disk, told):
    # Its thread is not started: the test flushes.
    clock = Clock()
    made = Journal(tmp_path / "run.jsonl", list, clock, told.append, disk.write)
    yield made
    made.abandon()


def numbers(path):
    return [step for session in read(path) for step in session.steps.number.tolist()]


def step(number):
    return Entry("step", start_ns=number, end_ns=number + 1, step=number)


def test_what_is_said_is_written_in_its_order(journal, tmp_path):
    for number in range(100):
        journal.say(step(number))
    journal.flush()
    assert numbers(tmp_path / "run.jsonl") == list(range(100))


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_whole_lines(journal, disk, tmp_path):
    disk.most = 7
    for number in range(20):
        journal.say(step(number))
        journal.flush()
    assert numbers(tmp_path / "run.jsonl") == list(range(20))


def test_a_full_disk_loses_nothing_and_is_told_once(journal, disk, told, tmp_path):
    journal.say(step(1))
    journal.flush()
    disk.full = True
    for number in range(2, 50):
        journal.say(step(number))
        journal.flush()
    assert len(told) == 1
    assert "No space left" in told[0]
    disk.full = False
    journal.flush()
    journal.flush()
    (session,) = read(tmp_path / "run.jsonl")
    assert session.steps.number.tolist() == list(range(1, 50))
    assert any("no event is lost" in note for note in session.notes)
    assert "written again" in told[1]


def test_what_finds_no_room_is_counted(journal, disk, tmp_path):
    disk.full = True
    journal.say(Entry("custom", start_ns=1, end_ns=2, name="x" * (ROOM + 1)))
    journal.flush()
    for number in range(3):
        journal.say(step(number))
    journal.flush()
    disk.full = False
    journal.flush()
    journal.flush()
    (session,) = read(tmp_path / "run.jsonl")
    assert any("3 events are lost" in note for note in session.notes)


def test_a_line_that_a_killed_writer_left_cut_off_is_ended(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text('{"event":"step","start_ns":1,"end_ns":2,"step":1}\n{"event":"st')
    journal = Journal(path, list, Clock(), [].append)
    journal.say(step(2))
    journal.flush()
    journal.abandon()
    assert numbers(path) == [1, 2]


def test_a_journal_that_cannot_be_opened_says_so(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        Journal(tmp_path / "nowhere" / "run.jsonl", list, Clock(), [].append)
