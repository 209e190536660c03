"""The recordings of several ranks as one of a device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from goodput.recording import combination
from goodput.trace.recording import WorkEntry, WorkPass
from goodput.trace.table import Invocations
from goodput.work import Work


def test_ranks_on_one_device_are_summed_over_the_slowest_wall(recording):
    whole = combination.combined((recording(0, 1.0), recording(1, 1.5, flops=7)))
    assert whole.wall_seconds == (1.5, 1.5)
    assert len(whole.trace.steps) == 2
    assert int(whole.trace.invocations.flops.sum()) == 2 * 10 + 2 * 7
    names = [whole.trace.strings[i] for i in whole.trace.invocations.operator]
    assert names.count("aten::mm") == 4
    assert {"only::rank0", "only::rank1"} <= set(names)
    assert whole.tokens_per_step == 200.0
    assert any("rank 1 is the slowest of 2" in w and "1.500 times" in w for w in whole.warnings)
    assert any("ranks 0 to 1 share one device" in w for w in whole.warnings)


def test_ranks_on_their_own_devices_are_not_summed(recording):
    first = recording(0, 1.0, place="host/0")
    whole = combination.combined((first, recording(1, 2.0, place="host/1")))
    assert whole.wall_seconds == (1.0, 1.0)
    assert np.array_equal(whole.trace.invocations.flops, first.trace.invocations.flops)
    assert any("rank 1 is the slowest" in w for w in whole.warnings)


def test_one_recording_stays_as_it_is(recording):
    single = recording(0)
    assert combination.combined((single,)) is single
    noted = combination.combined((single,), ("rank 1 recorded nothing: no step",))
    assert noted.warnings == ("rank 1 recorded nothing: no step",)


def test_a_rank_that_was_not_timed_is_no_slowest_and_is_not_summed(recording):
    counted = recording(1)
    counted = replace(counted, wall_seconds=(), trace=replace(counted.trace, steps=()))
    whole = combination.combined((recording(0), counted))
    assert whole.wall_seconds == (1.0, 1.0)
    (warning,) = whole.warnings
    assert warning.startswith("rank 1 shared this device without a profiled step")


def counted_only(recording, flops, walls=()):
    """A rank that was counted, perhaps timed, and never profiled."""
    entry = WorkEntry("aten::mm", "forward", "", "", "float32", Work(flops=flops))
    empty = replace(recording.trace, steps=(), invocations=Invocations.of({}))
    work = WorkPass(entries=(entry,))
    return replace(recording, trace=empty, work=work, wall_seconds=walls, tokens_per_step=None)


def test_counted_ranks_on_one_device_are_summed_too(recording):
    ranks = (counted_only(recording(0), 10, (1.0,)), counted_only(recording(1), 7, (1.5,)))
    whole = combination.combined(ranks)
    assert sum(entry.work.flops for entry in whole.work.entries) == 17
    assert whole.wall_seconds == (1.5,)
    assert not whole.trace.steps
    assert any("ranks 0 to 1 share one device" in w for w in whole.warnings)


def test_a_counted_rank_alone_on_its_device_is_told_nothing(recording):
    ranks = (counted_only(recording(0), 10), counted_only(recording(1, place="host/1"), 7))
    whole = combination.combined(ranks)
    assert whole.work.entries == ranks[0].work.entries
    assert whole.warnings == ()
