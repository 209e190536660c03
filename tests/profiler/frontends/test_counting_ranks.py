"""Sharded programs on two processes: the work of one device, and what it sends and receives."""

import multiprocessing
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from goodput.frontends.torch_counter import WorkCounter
from goodput.frontends.torch_places import Surroundings

REPOSITORY = Path(__file__).resolve().parents[3]
RANKS, ROWS, WIDTH, HIDDEN = 2, 8, 32, 64
LAYER = 2 * ROWS * WIDTH * HIDDEN
PARAMETERS = 2 * WIDTH * HIDDEN * 4  # bytes

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this torch has no gloo",
)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x: Any) -> Any:
        return self.down(torch.relu(self.up(x)))


def sharded(how: str) -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        parallelize_module,
    )

    model, mesh = Block(), init_device_mesh("cpu", (RANKS,))
    if how == "tensor parallel":
        plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
        return parallelize_module(model, mesh, plan)
    if how == "fully sharded":
        return fully_shard(model, mesh=mesh)
    return nn.parallel.DistributedDataParallel(model)


def rank_of(rank: int, store: str, how: str, answers: Any) -> None:
    """One rank: its second step, counted."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS
    )
    model, x = sharded(how), torch.randn(ROWS, WIDTH)
    model(x).sum().backward()
    counter = WorkCounter(Surroundings(lambda: None, lambda: None))
    counter.enter()
    model(x).sum().backward()
    counter.leave()
    counted = counter.result()
    rows = [
        (entry.operator, entry.phase, None if entry.work is None else entry.work)
        for entry in counted.entries
    ]
    answers.put((counted.failure, rows))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def counted_ranks(tmp_path_factory: pytest.TempPathFactory) -> Any:
    def run(how: str) -> list[tuple[str, list[Any]]]:
        # A spawned process has this path, and imports this file by its name from there.
        sys.path.insert(0, str(REPOSITORY))
        context = multiprocessing.get_context("spawn")
        answers = context.Queue()
        store = Path(tmp_path_factory.mktemp("ranks")) / "store"
        ranks = [
            context.Process(target=rank_of, args=(rank, str(store), how, answers))
            for rank in range(RANKS)
        ]
        for rank in ranks:
            rank.start()
        try:
            return [answers.get(timeout=60) for _ in ranks]
        finally:
            sys.path.remove(str(REPOSITORY))
            for rank in ranks:
                rank.join(20)
                rank.kill()

    return run


# Bytes of a collective on one device: read, then written. A gradient of x is not needed.
EXPECTED = {
    "tensor parallel": (
        3 * LAYER // 2 + 2 * LAYER // 2,
        {"_c10d_functional::all_reduce": (ROWS * WIDTH * 4, ROWS * WIDTH * 4)},
    ),
    "fully sharded": (
        5 * LAYER,
        {
            "c10d::_allgather_base_": (PARAMETERS // 2, PARAMETERS),
            "c10d::_reduce_scatter_base_": (PARAMETERS, PARAMETERS // 2),
        },
    ),
    "data parallel": (5 * LAYER, {"c10d::allreduce_": (PARAMETERS, PARAMETERS)}),
}


QUICK = "fully sharded"


@pytest.mark.parametrize(
    "how",
    [how if how == QUICK else pytest.param(how, marks=pytest.mark.slow) for how in EXPECTED],
)
def test_each_device_counts_its_own(how: str, counted_ranks: Any) -> None:
    useful, collectives = EXPECTED[how]
    for failure, rows in counted_ranks(how):
        assert failure == ""
        assert [name for name, _, work in rows if work is None] == []
        assert sum(work.flops for _, _, work in rows) == useful
        for name, (read, written) in collectives.items():
            found = [work for operator, _, work in rows if operator == name]
            assert sum(work.bytes_read for work in found) == read, name
            assert sum(work.bytes_written for work in found) == written, name
