"""Collectives over torch.distributed, whose process group the caller has made. All ranks call.

A message is what nccl-tests calls so: the whole buffer of an all-reduce or a broadcast, all that is
gathered, all that is scattered, all that one rank sends to all
(https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from goodput_kernels.candidate import Candidate
from goodput_kernels.operands import small_integers
from goodput_kernels.verification import MOST_VALUES, Kernel, verify

if TYPE_CHECKING:
    import torch

_ITEM = 4


def bus_factor(name: str, ranks: int) -> float:
    """Bytes through the busiest link a byte of the message: bus bandwidth over message bandwidth.

    Args:
        name: one of `COLLECTIVES`.
        ranks: that take part.
    """
    others = (ranks - 1) / ranks
    return {
        "all-reduce": 2 * others,
        "all-gather": others,
        "reduce-scatter": others,
        "all-to-all": others,
        "broadcast": 1.0,
    }[name]


def candidates(name: str, message_bytes: int, device: str = "cpu") -> tuple[Candidate, ...]:
    """`name`, one of `COLLECTIVES`, of about `message_bytes` of float32 over the default group."""
    from torch import distributed

    ranks = distributed.get_world_size()
    each = max(message_bytes // _ITEM // ranks, 1)
    make = partial(COLLECTIVES[name], each, device)
    candidate = Candidate(
        name=f"{name} of {message_bytes} bytes over {ranks} ranks",
        library=distributed.get_backend(),
        unit="bytes",
        amount=each * ranks * _ITEM,
        prepare=lambda: make().call,
        working_set_bytes=2 * each * ranks * _ITEM,
        verify=lambda: verify(make(), "values"),
    )
    return (candidate,)


def _message(rank: int, elements: int, device: str) -> torch.Tensor:
    """What `rank` begins with: each rank's values differ, and all know those of the others."""
    return small_integers(elements, device, first=rank)


def _kernel(
    result: torch.Tensor,
    call: Callable[[], object],
    expected: torch.Tensor,
    target: torch.Tensor | None = None,
) -> Kernel:
    def run() -> object:
        call()
        return result

    return Kernel(
        run,
        result.numel(),
        lambda places: expected[places].double(),
        limit=0.0,
        target=target,
        sampled=MOST_VALUES,
    )


def _all_messages(elements: int, device: str) -> torch.Tensor:
    """`[ranks, elements]`: what all ranks begin with."""
    import torch
    from torch import distributed

    ranks = range(distributed.get_world_size())
    return torch.stack([_message(rank, elements, device) for rank in ranks])


def _all_reduce(each: int, device: str) -> Kernel:
    from torch import distributed

    elements = each * distributed.get_world_size()
    # In place, so that it grows with each call, up to infinity: a link takes no notice.
    values = _message(distributed.get_rank(), elements, device)
    expected = _all_messages(elements, device).sum(0)
    return _kernel(values, partial(distributed.all_reduce, values), expected)


def _broadcast(each: int, device: str) -> Kernel:
    from torch import distributed

    elements = each * distributed.get_world_size()
    values = _message(distributed.get_rank(), elements, device)
    expected = _message(0, elements, device)
    return _kernel(values, partial(distributed.broadcast, values, src=0), expected)


def _all_gather(each: int, device: str) -> Kernel:
    import torch
    from torch import distributed

    ranks, rank = distributed.get_world_size(), distributed.get_rank()
    result = torch.empty(each * ranks, device=device)
    call = partial(distributed.all_gather_into_tensor, result, _message(rank, each, device))
    return _kernel(result, call, _all_messages(each, device).flatten(), target=result)


def _reduce_scatter(each: int, device: str) -> Kernel:
    import torch
    from torch import distributed

    ranks, rank = distributed.get_world_size(), distributed.get_rank()
    result = torch.empty(each, device=device)
    message = _message(rank, each * ranks, device)
    call = partial(distributed.reduce_scatter_tensor, result, message)
    expected = _all_messages(each * ranks, device).sum(0).reshape(ranks, each)[rank]
    return _kernel(result, call, expected, target=result)


def _all_to_all(each: int, device: str) -> Kernel:
    import torch
    from torch import distributed

    ranks, rank = distributed.get_world_size(), distributed.get_rank()
    result = torch.empty(each * ranks, device=device)
    message = _message(rank, each * ranks, device)
    call = partial(distributed.all_to_all_single, result, message)
    messages = _all_messages(each * ranks, device).reshape(ranks, ranks, each)
    return _kernel(result, call, messages[:, rank].flatten(), target=result)


COLLECTIVES: dict[str, Callable[[int, str], Kernel]] = {
    "all-reduce": _all_reduce,
    "all-gather": _all_gather,
    "reduce-scatter": _reduce_scatter,
    "all-to-all": _all_to_all,
    "broadcast": _broadcast,
}
"""Makers by name."""
