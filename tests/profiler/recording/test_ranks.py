"""The ranks of one job: their places, their files, one gathering, and one report."""

from __future__ import annotations

import socket
import sys
import tempfile

import numpy as np
import pytest

from goodput.device import DeviceIdentity
from goodput.readers import recording_file
from goodput.recording import ranks
from goodput.recording.ranks import Place
from goodput.trace.recording import Recording
from goodput.trace.table import Invocations, StepTime, Trace

CPU = DeviceIdentity("cpu", "a CPU, 2 cores", 2)


def recording(rank=0, seconds=1.0, device=CPU, place="host/cpu", flops=10):
    rows = {
        "step": [0, 0, 1],
        "operator": [1, 2, 1],
        "flops": [flops, 0, flops],
        "modelled": [True, True, True],
        "device_seconds": [0.1, 0.2, 0.1],
    }
    steps = tuple(StepTime(n, seconds, seconds / 2, seconds / 2, 0.0, 10) for n in range(2))
    trace = Trace(
        device=device,
        framework="torch",
        steps=steps,
        invocations=Invocations.of(rows),
        strings=("", "aten::mm", f"only::rank{rank}"),
        rank=rank,
        world_size=2,
    )
    return Recording(
        program="train.py",
        created="2026-01-31T12:00:00+00:00",
        trace=trace,
        wall_seconds=(seconds, seconds),
        basis="host",
        tokens_per_step=100.0,
        environment={"device_place": place},
    )


def places(job="job", world_size=2):
    return [Place(rank, world_size, rank, world_size, job) for rank in range(world_size)]


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_place_without_a_launcher():
    place = ranks.here({})
    assert place == Place()
    assert place.reports
    assert not place.is_distributed


def test_the_place_that_torchrun_tells():
    variables = {
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "TORCHELASTIC_RUN_ID": "abc",
        "MASTER_PORT": "29500",
    }
    place = ranks.here(variables)
    assert (place.rank, place.world_size) == (3, 4)
    assert (place.local_rank, place.local_world_size) == (1, 2)
    assert place.job.startswith("abc-29500-0-")
    assert not place.reports
    assert ranks.here({"WORLD_SIZE": "1", "RANK": "0"}) == Place()


def test_one_file_a_rank(tmp_path):
    path = tmp_path / "train.goodput"
    assert ranks.path_of_rank(path, Place()) == path
    assert ranks.path_of_rank(path, places()[1]).name == "train.rank1.goodput"


def test_rank_0_gathers_and_leaves_nothing(tmp_path):
    first, second = places()
    ranks.gather(recording(1, 2.0), 1.0, place=second)
    gathered = ranks.gather(recording(0), 1.0, place=first)
    assert [r.trace.rank for r in gathered] == [0, 1]
    assert gathered[1].wall_seconds == (2.0, 2.0)
    assert gathered[0].warnings == ()
    assert list(tmp_path.iterdir()) == []


def test_waiting_is_bounded_and_the_missing_are_told():
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    (alone,) = ranks.gather(recording(0), 3.0, place=places()[0], now=lambda: now[0], sleep=sleep)
    assert 3.0 <= now[0] <= 3.2
    assert "ranks 1 are not in this report" in alone.warnings[0]


def test_a_single_process_neither_waits_nor_writes(tmp_path):
    single = recording(0)
    assert ranks.gather(single, 0.0, place=Place()) == (single,)
    assert list(tmp_path.iterdir()) == []


def test_ranks_on_one_device_are_summed_over_the_slowest_wall():
    whole = ranks.combined((recording(0, 1.0), recording(1, 1.5, flops=7)))
    assert whole.wall_seconds == (1.5, 1.5)
    assert len(whole.trace.steps) == 2
    assert int(whole.trace.invocations.flops.sum()) == 2 * 10 + 2 * 7
    names = [whole.trace.strings[i] for i in whole.trace.invocations.operator]
    assert names.count("aten::mm") == 4
    assert {"only::rank0", "only::rank1"} <= set(names)
    assert whole.tokens_per_step == 200.0
    assert any("rank 1 is the slowest of 2" in w and "1.500 times" in w for w in whole.warnings)
    assert any("ranks 0, 1 share one device" in w for w in whole.warnings)


def test_ranks_on_their_own_devices_are_not_summed():
    first = recording(0, 1.0, place="host/0")
    whole = ranks.combined((first, recording(1, 2.0, place="host/1")))
    assert whole.wall_seconds == (1.0, 1.0)
    assert np.array_equal(whole.trace.invocations.flops, first.trace.invocations.flops)
    assert any("rank 1 is the slowest" in w for w in whole.warnings)


def test_one_recording_stays_as_it_is():
    single = recording(0)
    assert ranks.combined((single,)) is single


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
