"""Memory traffic of one mix over one footprint, again and again, so that a small one stays cached.

Footprint: bytes of distinct memory. Traffic: each tensor read once, each written once a call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from goodput_kernels.candidate import Candidate
from goodput_kernels.operands import small_integers
from goodput_kernels.threads import one_thread
from goodput_kernels.verification import MOST_VALUES, ROUNDOFF, Kernel, verify

if TYPE_CHECKING:
    import torch

MIXES = ("read", "write", "copy", "in-place", "two-in-one-out")

_ITEM = 4
_BLOCK = 1 << 24
_FILLER = 1.5


@dataclass(frozen=True, slots=True)
class _Way:
    """One kernel that moves bytes.

    Attributes:
        library: that runs it.
        name: its operator.
        make: from the number of elements and the device.
        shared: whether a thread gets its share of the work, so that fewer of them may be better.
    """

    library: str
    name: str
    make: Callable[[int, str], Kernel]
    shared: bool = True


def candidates(mix: str, footprint_bytes: int, device: str = "cpu") -> tuple[Candidate, ...]:
    """The ways to move bytes in `mix`, one of `MIXES`.

    On a CPU on one thread as well: waking the others takes longer than a small footprint does,
    and on a busy machine the slowest of them is waited for.
    """
    ways = [way for way in _WAYS[mix] if way.library == "torch" or device == "cpu"]
    found = [_candidate(way, mix, footprint_bytes, device) for way in ways]
    if device == "cpu":
        found += [one_thread(c) for way, c in zip(ways, found, strict=True) if way.shared]
    return tuple(found)


def _candidate(way: _Way, mix: str, footprint_bytes: int, device: str) -> Candidate:
    tensors = _TENSORS[mix]
    elements = max(footprint_bytes // _ITEM // tensors, 1) * tensors
    passes = 2 if mix == "in-place" else 1  # in place, each byte is read and written
    make = partial(way.make, elements, device)
    return Candidate(
        name=f"{way.name} of {footprint_bytes} bytes",
        library=way.library,
        unit="bytes",
        amount=elements * _ITEM * passes,
        prepare=lambda: make().call,
        working_set_bytes=elements * _ITEM,
        verify=lambda: verify(make(), "values"),
    )


def _parts(elements: int, count: int, device: str) -> list[torch.Tensor]:
    """`count` tensors, each aligned as an allocator does, with `elements` values in all."""
    return [small_integers(elements // count, device, first) for first in range(count)]


def _kernel(
    call: Callable[[], object],
    elements: int,
    expected: Callable[[torch.Tensor], torch.Tensor],
    limit: float = 0.0,
    target: torch.Tensor | None = None,
) -> Kernel:
    return Kernel(call, elements, expected, limit, target, sampled=MOST_VALUES)


def _total(left: torch.Tensor, right: torch.Tensor | None = None) -> torch.Tensor:
    """The exact sum of `left`, or of its products with `right`, a block at a time."""
    blocks = (slice(at, at + _BLOCK) for at in range(0, len(left), _BLOCK))
    if right is None:
        return sum((left[block].double().sum() for block in blocks), left.new_zeros(()).double())
    return sum(
        (left[block].double() @ right[block].double() for block in blocks),
        left.new_zeros(()).double(),
    )


def _sum_limit(elements: int) -> float:
    # Exact up to 2^24, and then one rounding an addition; see `verification`.
    return ROUNDOFF["float32"] * math.sqrt(elements)


def _sum(elements: int, device: str) -> Kernel:
    values = small_integers(elements, device)
    return _kernel(values.sum, 1, lambda _: _total(values), _sum_limit(elements))


def _dot(elements: int, device: str) -> Kernel:
    import torch

    left, right = _parts(elements, 2, device)
    call = partial(torch.dot, left, right)
    return _kernel(call, 1, lambda _: _total(left, right), _sum_limit(elements))


def _numpy_dot(elements: int, _: str) -> Kernel:
    import numpy as np

    left, right = _parts(elements, 2, "cpu")
    call = partial(np.dot, left.numpy(), right.numpy())
    return _kernel(call, 1, lambda _: _total(left, right), _sum_limit(elements))


def _fill(elements: int, device: str) -> Kernel:
    target = small_integers(elements, device)
    return _kernel(partial(target.fill_, _FILLER), elements, _filled, target=target)


def _numpy_fill(elements: int, _: str) -> Kernel:
    target = small_integers(elements, "cpu")
    array = target.numpy()

    def fill() -> object:
        array.fill(_FILLER)
        return target

    return _kernel(fill, elements, _filled, target=target)


def _filled(places: torch.Tensor) -> torch.Tensor:
    return places.double() * 0 + _FILLER


def _copy(elements: int, device: str) -> Kernel:
    source, target = _parts(elements, 2, device)
    call = partial(target.copy_, source)
    return _kernel(call, elements // 2, lambda at: source[at].double(), target=target)


def _numpy_copy(elements: int, _: str) -> Kernel:
    import numpy as np

    source, target = _parts(elements, 2, "cpu")
    arrays = target.numpy(), source.numpy()

    def copy() -> object:
        np.copyto(*arrays)
        return target

    return _kernel(copy, elements // 2, lambda at: source[at].double(), target=target)


def _negate(elements: int, device: str) -> Kernel:
    values = small_integers(elements, device)
    return _kernel(values.neg_, elements, lambda at: -values[at].double())


def _numpy_negate(elements: int, _: str) -> Kernel:
    import numpy as np

    values = small_integers(elements, "cpu")
    call = partial(np.negative, values.numpy(), out=values.numpy())
    return _kernel(call, elements, lambda at: -values[at].double())


def _triad(elements: int, device: str) -> Kernel:
    import torch

    left, right, target = _parts(elements, 3, device)
    return _kernel(
        partial(torch.add, left, right, alpha=2, out=target),
        elements // 3,
        lambda at: left[at].double() + 2 * right[at].double(),
        target=target,
    )


def _numpy_add(elements: int, _: str) -> Kernel:
    import numpy as np

    left, right, target = _parts(elements, 3, "cpu")
    return _kernel(
        partial(np.add, left.numpy(), right.numpy(), out=target.numpy()),
        elements // 3,
        lambda at: left[at].double() + right[at].double(),
        target=target,
    )


_TENSORS = {"read": 2, "write": 1, "copy": 2, "in-place": 1, "two-in-one-out": 3}
"""Parts of the footprint by mix; a read is one tensor or two."""

_WAYS = {
    "read": (
        _Way("torch", "sum", _sum),
        _Way("torch", "dot", _dot),
        _Way("NumPy", "dot", _numpy_dot, shared=False),
    ),
    "write": (_Way("torch", "fill_", _fill), _Way("NumPy", "fill", _numpy_fill, shared=False)),
    "copy": (
        _Way("torch", "copy_", _copy, shared=False),
        _Way("NumPy", "copyto", _numpy_copy, shared=False),
    ),
    "in-place": (
        _Way("torch", "neg_", _negate),
        _Way("NumPy", "negative", _numpy_negate, shared=False),
    ),
    "two-in-one-out": (
        _Way("torch", "add", _triad),
        _Way("NumPy", "add", _numpy_add, shared=False),
    ),
}
