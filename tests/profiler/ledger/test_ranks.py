"""Several ranks: lanes, weights, sizes, clocks and stragglers."""

import random

import pytest

from goodput.events import buckets as b

SECOND = 10**9


def rank_files(lines, ranks, write, **keys):
    for rank in range(ranks):
        name = "run.jsonl" if rank == 0 else f"run.rank{rank}.jsonl"
        job = lines(name)
        job.open(rank=rank, world_size=keys.get("world", ranks), host=f"host{rank}", job="run")
        write(rank, job)
        path = job.write()
    return path.with_name("run.jsonl")


def test_each_rank_is_split_by_itself(lines, account):
    def write(rank, job):
        job.steps(1, 10, 1)
        if rank == 2:
            job.span("data_wait", 3)
        else:
            job.wait(3)
        job.end()

    total = account(rank_files(lines, 3, write)).total
    assert total.buckets == {
        "kept steps": 30 * SECOND,
        "data_wait": 3 * SECOND,
        "unattributed": 6 * SECOND,
    }
    assert total.device_ns == 39 * SECOND


@pytest.mark.parametrize("seed", range(20))
def test_buckets_sum_over_ranks_sizes_and_lives(seed, lines, account):
    dice = random.Random(seed)  # noqa: S311 - a repeatable case

    def write(rank, job):
        own = random.Random(f"{seed} {rank}")  # noqa: S311 - a repeatable case
        for life in range(3):
            if life:
                job.wait(own.uniform(0, 5)).open(rank=rank, world_size=4, job="run")
                job.span("checkpoint_load", own.uniform(0, 2), step=5 * life)
            job.steps(5 * life + 1, 5 * life + 7, own.uniform(0.1, 3))
            job.span("checkpoint_save", own.uniform(0, 2), step=5 * life + 5)
            if own.random() < 0.3:
                job.moment("size", devices=own.randint(1, 6))
        if rank == 0:
            job.span("allocation", 0, devices=dice.randint(4, 9))
        job.end()

    found = account(rank_files(lines, 4, write), window_ns=3 * SECOND)
    total = found.total
    assert sum(total.buckets.values()) == total.device_ns
    for parts in (found.windows, [life.account for life in found.incarnations]):
        assert sum(part.device_ns for part in parts) == total.device_ns
        for name in b.NAMES:
            assert sum(part.buckets.get(name, 0) for part in parts) == total.buckets.get(name, 0)
        for part in parts:
            assert sum(part.buckets.values()) == part.device_ns


def test_one_rank_stands_for_those_that_wrote_nothing(lines, account):
    found = account(rank_files(lines, 1, lambda _, job: job.steps(1, 4, 1).end(), world=64))
    assert found.devices == 64
    assert found.total.device_ns == 4 * 64 * SECOND
    assert any("1 of 64 ranks" in note for note in found.notes)


def test_a_job_that_shrinks_and_grows(lines, account):
    job = lines().open(devices=8).steps(1, 10, 1)
    job.moment("size", devices=6).steps(11, 20, 1).moment("size", devices=8).steps(21, 30, 1)
    total = account(job.end().write()).total
    assert total.device_ns == (80 + 60 + 80) * SECOND
    job.add("allocation", start_ns=0, end_ns=0, devices=8)
    total = account(job.write()).total
    assert total.device_ns == 240 * SECOND
    assert total.buckets["elastic down"] == 20 * SECOND
    assert total.infrastructure == 220 / 240


@pytest.mark.parametrize("skew", [-90, 7, 3600])
def test_a_clock_that_is_wrong_is_told_and_set(skew, lines, account):
    def write(_rank, job):
        job.steps(1, 20, 2).span("checkpoint_save", 1, step=20).end()

    def skewed(rank, job):
        if rank == 1:
            job.lines.clear()
            job.now = skew * SECOND
            job.open(rank=1, world_size=2, host="host1", job="run")
        write(rank, job)

    straight = account(rank_files(lines, 2, write))
    found = account(rank_files(lines, 2, skewed))
    assert found.total == straight.total
    assert straight.notes == ()
    (note,) = found.notes
    assert "host1" in note
    assert ("behind" if skew < 0 else "ahead") in note


def test_ranks_that_are_a_little_apart_are_let_be(lines, account):
    def write(rank, job):
        job.wait(0.3 * rank).steps(1, 20, 2).end()

    assert account(rank_files(lines, 2, write)).notes == ()


def test_the_slowest_rank_is_named(lines, account):
    def write(rank, job):
        job.steps(1, 9, 1.5 if rank == 2 else 1.0).end()

    spread = account(rank_files(lines, 4, write)).spread
    assert (spread.ranks[0].rank, spread.ranks[0].host) == (2, "host2")
    assert spread.ranks[0].slowest == 1.0
    assert spread.ranks[0].median_ns == 1.5 * SECOND
    assert spread.steps == 9
    assert spread.mean_ns == 0.5 * SECOND


def test_a_checkpoint_is_whole_when_every_rank_that_began_it_finished(lines, account):
    def write(rank, job):
        job.steps(1, 5, 1)
        if rank == 1:
            job.add("checkpoint_save", step=5, start_ns=job.now).wait(2).moment("alive")
        else:
            job.span("checkpoint_save", 2, step=5)

    total = account(rank_files(lines, 2, write)).total
    assert total.buckets["unsaved steps"] == 10 * SECOND
    assert total.buckets["checkpoint_save"] == 4 * SECOND


def test_a_checkpoint_of_one_rank_keeps_the_steps_of_all(lines, account):
    def write(rank, job):
        job.steps(1, 5, 1)
        if rank == 0:
            job.span("checkpoint_save", 2, step=5)
        else:
            job.wait(2)
        job.steps(6, 7, 1)

    total = account(rank_files(lines, 2, write)).total
    assert total.buckets["kept steps"] == 10 * SECOND
    assert total.buckets["unsaved steps"] == 4 * SECOND


def test_a_rank_that_dies_is_down_and_the_others_are_not(lines, account):
    def write(rank, job):
        job.steps(1, 5, 1)
        if rank == 0:
            job.add("step", step=6, start_ns=job.now).wait(10).moment("alive")

    total = account(rank_files(lines, 2, write)).total
    assert total.buckets["down"] == 10 * SECOND
    assert total.buckets["unfinished steps"] == 10 * SECOND
