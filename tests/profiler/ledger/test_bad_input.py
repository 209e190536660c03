"""Ledgers as they should not be: told, never misread, and the buckets sum all the same."""

import json

import pytest

from goodput.errors import NotMeasuredError, SchemaVersionError, TraceFormatError

SECOND = 10**9


def sums(found):
    assert sum(found.total.buckets.values()) == found.total.device_ns
    return found.total


def noted(found, text):
    return any(text in note for note in found.notes)


def test_an_empty_ledger(lines, accounts):
    assert accounts(lines().write()) == []


def test_a_ledger_that_covers_no_time(lines, account):
    with pytest.raises(NotMeasuredError, match="covers no time"):
        account(lines().open().write())


def test_a_step_that_ends_before_it_starts(lines, account):
    job = lines().open().steps(1, 3, 1)
    job.add("step", step=4, start_ns=5 * SECOND, end_ns=4 * SECOND).wait(1).end()
    found = account(job.write())
    assert noted(found, "1 step event ends before the start")
    assert sums(found).steps.kept == 3


def test_a_step_that_ends_twice(lines, account):
    job = lines().open().steps(1, 2, 1)
    job.add("step", step=2, start_ns=SECOND, end_ns=3 * SECOND).wait(1).end()
    found = account(job.write())
    assert noted(found, "1 steps were written twice")
    assert sums(found).buckets["kept steps"] == 2 * SECOND


def test_a_step_that_never_ends(lines, account):
    job = lines().open().steps(1, 2, 1)
    job.add("step", step=3, start_ns=job.now).wait(5).moment("alive")
    found = account(job.write())
    assert sums(found).buckets["unfinished steps"] == 5 * SECOND
    assert found.total.steps.unsaved == 2


def test_a_step_that_was_told_as_open_and_ended(lines, account):
    job = lines().open()
    job.add("step", step=1, start_ns=0).wait(1).moment("alive")
    job.now = 0
    total = sums(account(job.span("step", 3, step=1).end().write()))
    assert total.buckets == {"kept steps": 3 * SECOND}


def test_a_clock_that_jumps_back_within_a_process(lines, account):
    job = lines().open().steps(1, 5, 10)
    job.now -= 25 * SECOND
    found = account(job.steps(6, 8, 10).end().write())
    assert noted(found, "jumped back 1 times, by up to 15.0 s")
    assert sums(found).steps.kept == 8


def test_a_clock_that_jumps_back_between_processes(lines, account):
    job = lines().open().steps(1, 5, 10).span("checkpoint_save", 1, step=5)
    job.now -= 30 * SECOND
    found = account(job.open().span("checkpoint_load", 1, step=5).steps(6, 8, 10).end().write())
    assert noted(found, "started again 30.0 s before its last event")
    assert sums(found).steps.kept == 8


def test_two_jobs_in_one_file(lines, accounts):
    job = lines().open(job="one").steps(1, 2, 1).end()
    job.open(job="two").steps(1, 3, 1).end()
    one, two = accounts(job.write())
    assert (one.job, two.job) == ("one", "two")
    assert (sums(one).steps.kept, sums(two).steps.kept) == (2, 3)


def test_unknown_events_are_kept_and_told(lines, account):
    job = lines().open().steps(1, 2, 1).span("teleport", 3, colour="red").end()
    found = account(job.write())
    assert noted(found, "1 events of the unknown kind 'teleport' are kept")
    assert sums(found).buckets["unattributed"] == 3 * SECOND


def test_a_newer_schema(lines, account):
    with pytest.raises(SchemaVersionError, match="newer goodput"):
        account(lines().add("open", schema="goodput.ledger/2", time_ns=0).write())


def test_another_schema(lines, account):
    with pytest.raises(TraceFormatError, match="not a goodput ledger"):
        account(lines().add("open", schema="something/1", time_ns=0).write())


def test_a_last_line_that_is_cut_off(lines, account):
    job = lines().open().steps(1, 4, 1)
    found = account(job.write('{"event":"step","step":5,"start_ns":4000'))
    assert noted(found, "the last line is cut off")
    assert sums(found).steps.unsaved == 4


def test_lines_that_are_no_events(lines, account):
    job = lines().open().steps(1, 2, 1)
    job.lines += [
        "not json",
        json.dumps({"event": 3}),
        "[]",
        json.dumps({"event": "step", "start_ns": 10**30}),
    ]
    found = account(job.end().write())
    assert noted(found, "4 lines are no events")
    assert sums(found).steps.kept == 2


def test_every_prefix_of_a_file_reads(lines, account, tmp_path):
    # A ledger that is read while it is written may end anywhere.
    job = lines().open().span("initialisation", 1).steps(1, 3, 1)
    whole = job.span("checkpoint_save", 1, step=3).steps(4, 5, 1).end().write().read_bytes()
    for length in range(200, len(whole) + 1, 3):
        part = tmp_path / "part.jsonl"
        part.write_bytes(whole[:length])
        total = sums(account(part))
        assert total.steps.done <= 5
        assert total.buckets.get("unattributed", 0) == 0


def test_steps_without_a_number_are_left_out(lines, account):
    job = lines().open().steps(1, 2, 1).span("step", 1).end()
    found = account(job.write())
    assert noted(found, "1 steps have no number")
    assert sums(found).steps.kept == 2


def test_a_ledger_without_an_open_line(lines, account):
    found = account(lines("bare.jsonl").steps(1, 2, 1).write())
    assert found.job == "bare"
    assert sums(found).steps.unsaved == 2


def test_what_is_written_before_the_first_process_is_of_its_job(lines, account):
    job = lines("other.jsonl").span("queue", 30).span("allocation", 5, devices=2)
    found = account(job.open(job="77", devices=2).steps(1, 5, 1).end().write())
    assert found.job == "77"
    assert sums(found).buckets == {
        "kept steps": 10 * SECOND,
        "queue": 60 * SECOND,
        "allocation": 10 * SECOND,
    }


def test_a_program_goodput_above_one_is_an_error(lines, account):
    from goodput.events.account import Ideal

    job = lines().open().steps(1, 10, 1).end().write()
    assert account(job, Ideal(SECOND, None, "")).errors == ()
    assert "another step" in account(job, Ideal(2 * SECOND, None, "")).errors[0]
