"""One rank of a measurement of collectives: run as a process of its own, once for each rank.

    python -m goodput.frontends.torch_collectives RANK RANKS BACKEND STORE SIZE...

Rank 0 writes its samples to stdout as JSON. All ranks do the same calls in the same order, so how
many there are is settled by count and not by each rank's clock.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from goodput_kernels import collectives
from goodput_kernels.candidate import Candidate

BOUTS, TRAINS = 3, 5
_TRAIN_SECONDS = 0.02
_MOST_CALLS = 1000
_TIMEOUT = timedelta(seconds=60)
_GAP_SECONDS = 1.0


def measure(rank: int, device: str, sizes: list[int]) -> list[dict[str, Any]]:
    """The samples of every collective at every size: seconds a call, bout by bout."""
    torch.set_num_threads(1)
    measured = [
        (name, size, candidate)
        for name in collectives.COLLECTIVES
        for size in sizes
        for candidate in collectives.candidates(name, size, device)
    ]
    found: list[dict[str, Any]] = []
    for name, size, candidate in measured:
        verification = candidate.verify() if candidate.verify is not None else None
        found.append(
            {
                "name": name,
                "size": size,
                "amount": candidate.amount,
                "label": candidate.label,
                "error": verification.error if verification else 0.0,
                "limit": verification.limit if verification else 0.0,
                "compared": verification.compared if verification else "",
                "bouts": [],
            }
        )
    for bout in range(BOUTS):
        start = time.perf_counter()
        for row, (_, _, candidate) in zip(found, measured, strict=True):
            row["bouts"].append(_bout(candidate, device))
        if bout + 1 < BOUTS:
            time.sleep(max(0.0, _GAP_SECONDS - (time.perf_counter() - start)))
    return found if rank == 0 else []


def _bout(candidate: Candidate, device: str) -> list[float]:
    call = candidate.prepare()
    call()
    once = _agreed(_seconds(call, 1, device), device)
    calls = min(max(math.ceil(_TRAIN_SECONDS / max(once, 1e-9)), 1), _MOST_CALLS)
    return [_seconds(call, calls, device) / calls for _ in range(TRAINS)]


def _seconds(call: Callable[[], object], calls: int, device: str) -> float:
    """From the moment that all ranks are ready to the moment that this one is done."""
    distributed.barrier()
    _wait(device)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    _wait(device)
    return time.perf_counter() - start


def _agreed(seconds: float, device: str) -> float:
    """Rank 0's figure on every rank."""
    value = torch.tensor([seconds], dtype=torch.float64, device=device)
    distributed.broadcast(value, src=0)
    return float(value.item())


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def main(arguments: list[str]) -> None:
    """Take part as one rank."""
    rank, ranks = int(arguments[0]), int(arguments[1])
    backend, store, *sizes = arguments[2:]
    device = "cpu" if backend == "gloo" else f"cuda:{rank}"
    if device != "cpu":
        torch.cuda.set_device(rank)
    distributed.init_process_group(
        backend, init_method=f"file://{store}", rank=rank, world_size=ranks, timeout=_TIMEOUT
    )
    try:
        found = measure(rank, device, [int(size) for size in sizes])
    finally:
        distributed.destroy_process_group()
    if rank == 0:
        sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
