"""One gathering of what the ranks of a host recorded, and one report of it."""

from __future__ import annotations

import socket
import sys
import tempfile

import pytest

from goodput.readers import recording_file
from goodput.recording import meeting
from goodput.recording.ranks import Place


def places(job="job", world_size=2):
    return [Place(rank, world_size, rank, world_size, job) for rank in range(world_size)]


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_rank_0_gathers_and_leaves_nothing(tmp_path, recording):
    first, second = places()
    meeting.gather(recording(1, 2.0), 1.0, place=second)
    gathered = meeting.gather(recording(0), 1.0, place=first)
    assert [r.trace.rank for r in gathered] == [0, 1]
    assert gathered[1].wall_seconds == (2.0, 2.0)
    assert gathered[0].warnings == ()
    assert list(tmp_path.iterdir()) == []


def test_waiting_is_bounded_and_the_missing_are_told(recording):
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    (alone,) = meeting.gather(recording(0), 3.0, place=places()[0], now=lambda: now[0], sleep=sleep)
    assert 3.0 <= now[0] <= 3.2
    assert "ranks 1 are not in this report" in alone.warnings[0]


def test_a_single_process_neither_waits_nor_writes(tmp_path, recording):
    single = recording(0)
    assert meeting.gather(single, 0.0, place=Place()) == (single,)
    assert list(tmp_path.iterdir()) == []


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


def test_two_processes_of_torchrun(scripts):
    pytest.importorskip("torch")
    path = scripts.write(TRAINING, "train.py")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = scripts.launch(
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--master-addr", "127.0.0.1", "--master-port", str(port)),
        *("-m", "goodput", "run", "--warmup", "3", "--steps", "5", str(path)),
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("program goodput") == 1
    found = sorted(scripts.folder.glob("*.goodput"))
    assert [item.name for item in found] == ["train.rank0.goodput", "train.rank1.goodput"]
    second = recording_file.load(found[1])[0]
    assert (second.trace.rank, second.trace.world_size) == (1, 2)
    assert len(second.wall_seconds) == 5
    assert "is the slowest of 2" in process.stdout
    assert "share one device" in process.stdout


def test_a_wrapped_launcher_is_answered_with_the_right_command(scripts):
    path = scripts.write(TRAINING, "train.py")
    process = scripts.launch(
        *(sys.executable, "-m", "goodput", "run", "-m", "torch.distributed.run"),
        *("--nproc-per-node", "2", str(path)),
    )
    assert process.returncode == 2
    assert f"torchrun --nproc-per-node 2 -m goodput run {path}" in process.stderr
    assert process.stdout == ""
