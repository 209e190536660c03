"""The quiet state that measuring wants of torch, and the stopwatch of a CUDA or HIP device.

Leaves the program's settings as they were. The event stopwatch has not been run on a device by us.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from goodput.frontends.torch_passes import uses_device

# A gate holds the queue while the host fills it, so that the train runs without gaps: about 20 us
# for each call at 2 GHz, twice what launching from Python takes, and at most 20 ms.
_GATE_CYCLES_PER_CALL = 40_000
_LONGEST_GATE_CYCLES = 40_000_000
_SECONDS_PER_MILLISECOND = 1e-3


@contextmanager
def quiet_torch(cores: int) -> Iterator[None]:
    """Inside, torch uses `cores` threads, records no gradients and casts nothing by itself.

    The script, or torchrun's OMP_NUM_THREADS=1, may have left fewer threads than there are cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            if uses_device():
                with torch.autocast("cuda", enabled=False):
                    yield
            else:
                yield
    finally:
        torch.set_num_threads(threads)


class EventStopwatch:
    """Times trains on the current CUDA or HIP stream by an event at each end."""

    def __init__(self) -> None:
        # torch.cuda._sleep spins for a number of cycles; torch's own tests are built on it.
        self._gate: Any = getattr(torch.cuda, "_sleep", None)

    def seconds(self, train: Sequence[Callable[[], object]]) -> float:
        """Device seconds between the events before and after the train."""
        event: Any = torch.cuda.Event  # untyped in torch
        first, last = event(enable_timing=True), event(enable_timing=True)
        torch.cuda.synchronize()
        if self._gate is not None:
            self._gate(min(len(train) * _GATE_CYCLES_PER_CALL, _LONGEST_GATE_CYCLES))
        first.record()
        for call in train:
            call()
        last.record()
        last.synchronize()
        milliseconds: float = first.elapsed_time(last)
        return milliseconds * _SECONDS_PER_MILLISECOND
