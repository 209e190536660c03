"""One gathering of what the ranks of a host recorded, and one report of it."""

from __future__ import annotations

import socket
import sys
import tempfile
from pathlib import Path

import pytest

from goodput.errors import NotMeasuredError
from goodput.readers import recording_file
from goodput.recording import meeting
from goodput.recording.meeting import End
from goodput.recording.ranks import Place


def place(rank, world_size=2, local_world_size=None):
    local = local_world_size or world_size
    return Place(rank, world_size, rank % local, local, f"job{rank // local}")


class Waiting:
    """A clock that only sleeping moves, and what else happens meanwhile."""

    def __init__(self, meanwhile=None):
        self.seconds = 0.0
        self.meanwhile = meanwhile or {}

    def sleep(self, seconds):
        self.seconds += seconds
        for moment in [m for m in self.meanwhile if m <= self.seconds]:
            self.meanwhile.pop(moment)()

    def gather(self, own, at, **options):
        path = Path("train.goodput")
        return meeting.gather(own, at, path, now=lambda: self.seconds, sleep=self.sleep, **options)


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_rank_0_gathers_and_leaves_nothing(tmp_path, recording):
    meeting.leave(End(recording(1, 2.0)), place(1))
    waiting = Waiting()
    gathered = waiting.gather(recording(0), place(0))
    assert [r.trace.rank for r in gathered.recordings] == [0, 1]
    assert gathered.recordings[1].wall_seconds == (2.0, 2.0)
    assert gathered.notes == ()
    assert gathered.all_saved
    assert waiting.seconds == 0.0
    assert list(tmp_path.iterdir()) == []


def test_rank_0_waits_for_a_rank_that_ends_later(recording):
    waiting = Waiting({7.0: lambda: meeting.leave(End(recording(1)), place(1))})
    gathered = waiting.gather(recording(0), place(0))
    assert [r.trace.rank for r in gathered.recordings] == [0, 1]
    assert 7.0 <= waiting.seconds < 7.2


def test_a_rank_that_recorded_nothing_is_not_waited_for_and_says_why(recording):
    meeting.leave(End(None, "it never imported torch"), place(1))
    waiting = Waiting()
    gathered = waiting.gather(recording(0), place(0))
    assert waiting.seconds == 0.0
    assert [r.trace.rank for r in gathered.recordings] == [0]
    assert gathered.notes == ("rank 1 recorded nothing: it never imported torch",)


def test_waiting_is_bounded_and_the_late_are_told(tmp_path, recording):
    waiting = Waiting()
    gathered = waiting.gather(recording(0), place(0, 4), timeout_seconds=3.0)
    assert 3.0 <= waiting.seconds <= 3.2
    assert len(gathered.recordings) == 1
    (note,) = gathered.notes
    assert note.startswith("ranks 1 to 3 had not ended 3 s after rank 0")
    assert "`goodput show train.rank1.goodput`" in note
    assert list(tmp_path.iterdir()) == []


def test_ranks_of_other_hosts_are_told_and_not_waited_for(recording):
    meeting.leave(End(recording(1)), place(1, 4, 2))
    waiting = Waiting()
    gathered = waiting.gather(recording(0), place(0, 4, 2))
    assert waiting.seconds == 0.0
    assert len(gathered.recordings) == 2
    (note,) = gathered.notes
    assert note.startswith(
        "2 of 4 ranks are in this report, those of this host; the recordings of ranks 2 to 3"
    )
    assert "`goodput show train.rank2.goodput`" in note


def test_one_rank_a_host_neither_waits_nor_writes(tmp_path, recording):
    gathered = Waiting().gather(recording(0), place(0, 2, 1))
    assert "1 of 2 ranks" in gathered.notes[0]
    assert list(tmp_path.iterdir()) == []


def test_a_rank_of_another_host_leaves_nothing_there(tmp_path, recording):
    meeting.leave(End(recording(2)), place(2, 4, 2))
    assert list(tmp_path.iterdir()) == []


def test_rank_0_without_a_recording_still_hears_of_the_others(tmp_path, recording):
    meeting.leave(End(recording(1)), place(1))
    gathered = Waiting().gather(None, place(0))
    assert [r.trace.rank for r in gathered.recordings] == [1]
    assert list(tmp_path.iterdir()) == []


def test_a_rank_that_could_not_save_is_told(recording):
    meeting.leave(End(recording(1), unsaved="the disk is full"), place(1))
    gathered = Waiting().gather(recording(0), place(0))
    assert len(gathered.recordings) == 2
    assert not gathered.all_saved
    assert gathered.notes == ("rank 1 has no file of its own: the disk is full",)


def test_a_single_process_neither_waits_nor_writes(tmp_path, recording):
    single = recording(0)
    gathered = Waiting().gather(single, Place(), timeout_seconds=0.0)
    assert gathered.recordings == (single,)
    assert gathered.notes == ()
    assert list(tmp_path.iterdir()) == []


def test_a_place_to_meet_that_cannot_be_made_is_told(tmp_path, monkeypatch, recording):
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(NotMeasuredError, match="rank 1 could not hand over"):
        meeting.leave(End(recording(1)), place(1))
    waiting = Waiting()
    gathered = waiting.gather(recording(0), place(0))
    assert waiting.seconds == 0.0
    assert len(gathered.recordings) == 1
    assert "could not be gathered (Not a directory)" in gathered.notes[0]


TRAINING = """
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    torch.manual_seed(0)
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(64, 64))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for step in range(40):
        model(torch.randn(32, 64)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    dist.destroy_process_group()
"""


def torchrun(scripts, script):
    path = scripts.write(script, "train.py")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return scripts.launch(
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--master-addr", "127.0.0.1", "--master-port", str(port)),
        *("-m", "goodput", "run", "--warmup", "3", "--steps", "5", str(path)),
    )


def test_two_processes_of_torchrun(scripts):
    pytest.importorskip("torch")
    process = torchrun(scripts, TRAINING)
    if "exitcode: 5" in process.stderr:  # others on the cores: a roof was measured too low
        process = torchrun(scripts, TRAINING)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("program goodput") == 1
    found = sorted(scripts.folder.glob("*.goodput"))
    assert [item.name for item in found] == ["train.rank0.goodput", "train.rank1.goodput"]
    second = recording_file.load(found[1])[0]
    assert (second.trace.rank, second.trace.world_size) == (1, 2)
    assert len(second.wall_seconds) == 5
    assert "is the slowest of 2" in process.stdout
    assert "share one device" in process.stdout


@pytest.mark.slow
def test_a_rank_that_never_trains_delays_nobody_and_costs_no_status(scripts):
    pytest.importorskip("torch")
    script = TRAINING.replace(
        "dist.init", "import os; os.environ['RANK'] == '1' and exit()\n    dist.init"
    )
    process = torchrun(scripts, script.replace('"gloo"', '"gloo", rank=0, world_size=1'))
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("program goodput") == 1
    assert "rank 1 recorded nothing: no step was seen" in " ".join(process.stdout.split())
    assert [item.name for item in scripts.folder.glob("*.goodput")] == ["train.rank0.goodput"]


def test_a_wrapped_launcher_is_answered_with_the_right_command(scripts):
    path = scripts.write(TRAINING, "train.py")
    process = scripts.launch(
        *(sys.executable, "-m", "goodput", "run", "-m", "torch.distributed.run"),
        *("--nproc-per-node", "2", str(path)),
    )
    assert process.returncode == 2
    assert f"torchrun --nproc-per-node 2 -m goodput run {path}" in process.stderr
    assert process.stdout == ""
