"""`goodput.Ledger`: what a program says is what is read again."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import goodput
from goodput.errors import NotMeasuredError, UsageError
from goodput.events import wire
from goodput.events.wire import Entry
from goodput.ledger.accounts import account_of
from goodput.ledger.jobs import jobs_of
from goodput.ledger.read import files_of, read


class Clock:
    """Nanoseconds that pass only when the test says so."""

    def __init__(self):
        self.time = 1_700_000_000 * 10**9

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.jsonl"


def fail(clock, reason):
    clock.time += 5
    raise ValueError(reason)


def account(path):
    (job,) = jobs_of([session for file in files_of(path) for session in read(file)])
    return account_of(job)


def test_every_kind_of_event_comes_back(path, clock):
    ledger = goodput.Ledger(path, job="a job", now=clock)
    kinds = {
        "initialisation": ledger.initialisation(),
        "compile": ledger.compile(),
        "checkpoint_load": ledger.checkpoint_load(0),
        "data_wait": ledger.data_wait(),
        "evaluation": ledger.evaluation(),
        "custom": ledger.event("warm up"),
        "kept steps": ledger.step(1, tokens=100, flops=5.0),
        "checkpoint_save": ledger.checkpoint_save(),
    }
    for length, span in enumerate(kinds.values(), 1):
        with span:
            clock.time += length
    ledger.close()
    found = account(path)
    assert found.job == "a job"
    assert found.state == "clean end"
    assert found.total.buckets == {
        name: found.total.buckets[name] for name in found.total.buckets
    } | {name: length for length, name in enumerate(kinds, 1)}
    assert found.total.custom == {"warm up": 6}
    assert found.total.tokens == 100
    assert found.total.device_ns == sum(range(1, 9))


def test_moments_and_stretches_of_the_job_come_back(path, clock):
    ledger = goodput.Ledger(path, devices=4, now=clock)
    start = clock.time
    ledger.queue(start - 30, start - 10)
    ledger.allocation(start - 10, start, devices=8)
    clock.time += 10
    ledger.size(2)
    clock.time += 10
    ledger.failure("a cause")
    ledger.window(start - 30, start + 20)
    ledger.close(clean=False)
    found = account(path)
    assert found.causes[0].cause == "a cause"
    total = found.total
    assert total.buckets["queue"] == 20 * 4
    assert total.buckets["allocation"] == 10 * 4
    assert total.buckets["elastic down"] == 10 * 4 + 10 * 4 + 10 * 6
    assert total.buckets["unattributed"] == 10 * 4 + 10 * 2
    assert sum(total.buckets.values()) == total.device_ns == 20 * 4 + 30 * 8


def test_a_block_that_raises_is_not_done(path, clock):
    ledger = goodput.Ledger(path, now=clock)
    with pytest.raises(ValueError, match="no"), ledger.step(1):
        fail(clock, "no")
    ledger.close()
    assert account(path).total.buckets == {"unfinished steps": 5}


def test_the_block_of_a_ledger_tells_why_it_ended(path, clock):
    def program():
        with goodput.Ledger(path, now=clock) as ledger:
            with ledger.step(1):
                clock.time += 5
            fail(clock, "a reason")

    with pytest.raises(ValueError, match="a reason"):
        program()
    found = account(path)
    assert found.state == "ValueError: a reason"
    assert found.total.steps.unsaved == 1


def test_ranks_write_files_of_their_own_and_are_read_together(path, clock):
    ledgers = [goodput.Ledger(path, rank=r, world_size=2, now=clock) for r in range(2)]
    for ledger in ledgers:
        span = ledger.step(1).begin()
        clock.time += 7
        span.finish()
        span.finish()
    for ledger in ledgers:
        ledger.close()
        ledger.close()
    assert len(files_of(path.with_name("run.rank0.jsonl").with_name("run.jsonl"))) == 2
    found = account(path)
    assert found.devices == 2
    assert found.total.buckets["kept steps"] == 14


def test_a_save_in_the_background_keeps_what_was_done_when_it_began(path, clock):
    ledger = goodput.Ledger(path, now=clock)

    def step(number):
        with ledger.step(number):
            clock.time += 10

    step(1)
    save = ledger.checkpoint_save(blocking=False).begin()
    step(2)
    save.finish()
    ledger.close(clean=False)
    total = account(path).total
    assert total.buckets == {"kept steps": 10, "unsaved steps": 10}


def test_wrong_use_is_told(path):
    with pytest.raises(UsageError, match="devices=0"):
        goodput.Ledger(path, devices=0)
    with pytest.raises(NotMeasuredError, match="cannot be opened"):
        goodput.Ledger(path / "nowhere" / "x.jsonl")


def test_two_writers_of_one_file_are_refused(path, clock):
    first = goodput.Ledger(path, now=clock)
    with pytest.raises(NotMeasuredError, match="another process writes"):
        goodput.Ledger(path, now=clock)
    first.close()
    goodput.Ledger(path, now=clock).close()


def test_what_is_open_is_told_once_with_a_sign_of_life(path, clock):
    ledger = goodput.Ledger(path, now=clock)
    span = ledger.step(3).begin()
    first, second = ledger._beat(), ledger._beat()
    assert first[0] == Entry(wire.STEP, start_ns=clock.time, step=3)
    assert [entry.event for entry in second] == ["alive"]
    span.finish()
    ledger.close()


# --- other processes ------------------------------------------------------------------------------


def run(tmp_path, repository, text, *, wait=True):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(text))
    paths = f"{repository / 'profiler'}{os.pathsep}{repository / 'kernels'}"
    process = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if wait:
        process.communicate(timeout=120)
    return process


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        ("", "clean end"),
        ("raise ValueError('lost')", "ValueError: lost"),
        ("ledger.close(clean=False)", "ended early"),
        ("import os; ledger._journal.flush(); os._exit(1)", "no end was written"),
    ],
)
def test_the_end_of_a_program_is_told(tmp_path, repository, path, ending, state):
    text = f"""
    import goodput
    ledger = goodput.Ledger("run.jsonl")
    with ledger.step(1):
        pass
    {ending}
    """
    run(tmp_path, repository, text)
    assert account(path).state.startswith(state)


def test_a_forked_worker_writes_nothing(tmp_path, repository, path):
    text = """
    import os, goodput
    ledger = goodput.Ledger("run.jsonl")
    with ledger.step(1):
        if os.fork() == 0:
            with ledger.data_wait():
                pass
            ledger.close()
            os._exit(0)
        os.wait()
    """
    run(tmp_path, repository, text)
    found = account(path)
    assert found.total.steps.kept == 1
    assert "data_wait" not in found.total.buckets


SAYS = """
import goodput, itertools
ledger = goodput.Ledger("run.jsonl")
print("open", flush=True)
for number in itertools.count():
    with ledger.step(number):
        pass
    print(number, ledger.now(), flush=True)
    with ledger.data_wait():
        for _ in range(300):
            pass
"""


def killed_after(tmp_path, repository, path, delay):
    """A writer that is killed: it printed each step when it had said it, and when that was."""
    path.unlink(missing_ok=True)
    process = run(tmp_path, repository, SAYS, wait=False)
    assert process.stdout.readline() == "open\n"
    time.sleep(delay)  # the moment of the kill is what is tried, not what is measured
    process.send_signal(signal.SIGKILL)
    lines = process.communicate(timeout=60)[0].splitlines()
    words = [line.split() for line in lines]
    return [tuple(map(int, own)) for own in words if len(own) == 2]


def check_survivor(path, said):
    (session,) = read(path)
    numbers = session.steps.number.tolist()
    assert numbers == list(range(len(numbers))), "misread"
    assert set(session.notes) <= {
        "the last line is cut off: the writer was killed, or still writes"
    }
    lost = [moment for number, moment in said[:-1] if number >= len(numbers)]
    assert not lost or said[-2][1] - lost[0] <= 10**9
    if session.first == session.last:
        return  # killed before anything but its opening was written
    total = account(path).total
    assert sum(total.buckets.values()) == total.device_ns


@pytest.mark.parametrize("delay", [0.0, 0.11, 0.37, 0.71])
def test_a_killed_writer_loses_a_second_at_most(tmp_path, repository, path, delay):
    check_survivor(path, killed_after(tmp_path, repository, path, delay))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_a_writer_killed_at_200_random_moments(tmp_path, repository, path, part):
    import random

    dice = random.Random(part)  # noqa: S311 - repeatable moments
    for _ in range(10):
        check_survivor(path, killed_after(tmp_path, repository, path, dice.uniform(0, 1.5)))
