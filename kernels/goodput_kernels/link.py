"""Copies between the host and a device: pinned and pageable, each way and both at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from goodput_kernels.candidate import Candidate
from goodput_kernels.operands import small_integers
from goodput_kernels.verification import MOST_VALUES, Kernel, verify

if TYPE_CHECKING:
    import torch

DIRECTIONS = ("host-to-device", "device-to-host", "both")
"""Both: one copy each way, on two streams."""

_ITEM = 4


def candidates(direction: str, size_bytes: int, device: str = "cpu") -> tuple[Candidate, ...]:
    """`direction`, one of `DIRECTIONS`, with pinned and, one way, pageable memory of the host.

    None on a CPU, which has no link to itself.

    Args:
        direction: which way.
        size_bytes: of each copy.
        device: torch's name.
    """
    if device == "cpu":
        return ()
    kinds = (True,) if direction == "both" else (True, False)
    return tuple(_candidate(direction, size_bytes, pinned, device) for pinned in kinds)


def _candidate(direction: str, size_bytes: int, pinned: bool, device: str) -> Candidate:
    elements = max(size_bytes // _ITEM, 1)
    ways = 2 if direction == "both" else 1
    make = partial(_WAYS[direction], elements, pinned, device)
    return Candidate(
        name=f"{direction} {'pinned' if pinned else 'pageable'} {size_bytes} bytes",
        library="torch",
        unit="bytes",
        amount=ways * elements * _ITEM,
        prepare=lambda: make().call,
        working_set_bytes=2 * ways * elements * _ITEM,
        verify=lambda: verify(make(), "values"),
    )


def _host(elements: int, pinned: bool, first: int = 0) -> torch.Tensor:
    values = small_integers(elements, "cpu", first)
    return values.pin_memory() if pinned else values


def _to_device(elements: int, pinned: bool, device: str) -> Kernel:
    source = _host(elements, pinned)
    return _kernel(source, small_integers(elements, device, first=1), pinned)


def _to_host(elements: int, pinned: bool, device: str) -> Kernel:
    return _kernel(small_integers(elements, device), _host(elements, pinned, first=1), pinned)


def _kernel(source: torch.Tensor, target: torch.Tensor, pinned: bool) -> Kernel:
    # From pageable memory the host copies into a pinned buffer of the driver's, and waits for it.
    call = partial(target.copy_, source, non_blocking=pinned)
    return Kernel(
        call,
        len(source),
        lambda places: source[places].double().cpu(),
        limit=0.0,
        target=target,
        collect=_arrived,
        sampled=MOST_VALUES,
    )


def _arrived(result: torch.Tensor) -> torch.Tensor:
    """`result` on the host, when the copy that is under way has ended."""
    import torch

    torch.cuda.synchronize()
    return result.cpu()


def _both(elements: int, pinned: bool, device: str) -> Kernel:
    import torch

    one = _to_device(elements, pinned, device)
    other = _to_host(elements, pinned, device)
    stream: Any = torch.cuda.Stream  # its constructor is not annotated
    streams = stream(), stream()
    call = partial(_on_streams, (one.call, other.call), streams)

    def expected(places: torch.Tensor) -> torch.Tensor:
        halves = places[places < elements], places[places >= elements] - elements
        return torch.cat([one.expected(halves[0]), other.expected(halves[1])])

    return Kernel(
        call,
        2 * elements,
        expected,
        limit=0.0,
        collect=lambda results: torch.cat([_arrived(result) for result in results]),
        sampled=MOST_VALUES,
    )


def _on_streams(
    calls: tuple[Callable[[], object], ...], streams: tuple[torch.cuda.Stream, ...]
) -> list[object]:
    """Each call on a stream of its own, between what the current stream had and will have."""
    import torch

    current = torch.cuda.current_stream()
    results = []
    for call, stream in zip(calls, streams, strict=True):
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            results.append(call())
    for stream in streams:
        current.wait_stream(stream)
    return results


_WAYS = {"host-to-device": _to_device, "device-to-host": _to_host, "both": _both}
