"""Memory traffic of one mix over one footprint in Triton, 16 bytes a load.

The mixes are those of `goodput_kernels.memory`. Footprint: bytes of distinct memory. Traffic: each
tensor read once, each written once a call; a read leaves one sum a program.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import triton
import triton.language as tl

from goodput_kernels.candidate import Candidate
from goodput_kernels.operands import small_integers
from goodput_kernels.triton_architecture import Architecture, architecture_of, units_of
from goodput_kernels.triton_compile import Source, compiled_call
from goodput_kernels.verification import MOST_VALUES, ROUNDOFF, Kernel, verify

if TYPE_CHECKING:
    import torch

_ITEM = 4
_FACTOR = 2.0
_FILLER = 1.5
_ALIGNMENT = 16
"""Sizes are multiples of it, so that Triton knows that whole vectors fit."""

_LARGEST = 2**31 - 2**16
"""Elements that 32 bits can count, with a block to spare."""


@triton.jit
def read_kernel(
    source: tl.tensor,
    sums: tl.tensor,
    elements: tl.tensor,
    programs: tl.tensor,
    block: tl.constexpr,
) -> None:
    """The sum of the blocks that each program comes by."""
    total = tl.zeros((block,), tl.float32)
    first = tl.program_id(0) * block
    for start in tl.range(first, elements, programs * block):
        places = start + tl.arange(0, block)
        total += tl.load(source + places, mask=places < elements, other=0.0)
    tl.store(sums + tl.program_id(0), tl.sum(total))


@triton.jit
def write_kernel(
    target: tl.tensor,
    elements: tl.tensor,
    programs: tl.tensor,
    filler: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """`filler` everywhere."""
    for start in tl.range(tl.program_id(0) * block, elements, programs * block):
        places = start + tl.arange(0, block)
        values = tl.full((block,), filler, tl.float32)
        tl.store(target + places, values, mask=places < elements)


@triton.jit
def copy_kernel(
    source: tl.tensor,
    target: tl.tensor,
    elements: tl.tensor,
    programs: tl.tensor,
    block: tl.constexpr,
) -> None:
    """The source."""
    for start in tl.range(tl.program_id(0) * block, elements, programs * block):
        places = start + tl.arange(0, block)
        inside = places < elements
        tl.store(target + places, tl.load(source + places, mask=inside), mask=inside)


@triton.jit
def in_place_kernel(
    values: tl.tensor, elements: tl.tensor, programs: tl.tensor, block: tl.constexpr
) -> None:
    """Each value negated where it lies."""
    for start in tl.range(tl.program_id(0) * block, elements, programs * block):
        places = start + tl.arange(0, block)
        inside = places < elements
        tl.store(values + places, -tl.load(values + places, mask=inside), mask=inside)


@triton.jit
def triad_kernel(
    left: tl.tensor,
    right: tl.tensor,
    target: tl.tensor,
    elements: tl.tensor,
    programs: tl.tensor,
    factor: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """The left and `factor` times the right."""
    for start in tl.range(tl.program_id(0) * block, elements, programs * block):
        places = start + tl.arange(0, block)
        inside = places < elements
        a = tl.load(left + places, mask=inside)
        b = tl.load(right + places, mask=inside)
        tl.store(target + places, a + factor * b, mask=inside)


@dataclass(frozen=True, slots=True)
class Sweep:
    """How a tensor is walked over.

    Attributes:
        block: elements that a program moves at a time.
        warps: warps of a program.
        per_unit: programs a multiprocessor, each of which walks on; 0 for one program a block.
    """

    block: int
    warps: int
    per_unit: int = 0

    @property
    def name(self) -> str:
        """E.g. `4096-w8`, or `4096-w8-persistent8`."""
        suffix = f"-persistent{self.per_unit}" if self.per_unit else ""
        return f"{self.block}-w{self.warps}{suffix}"

    def programs(self, elements: int, units: int) -> int:
        """How many are launched."""
        blocks = -(-elements // self.block)
        return min(blocks, self.per_unit * units) if self.per_unit else blocks


# A thread has 4 or 8 vectors of 16 bytes under way.
SWEEPS = (Sweep(2048, 4), Sweep(8192, 8), Sweep(4096, 8, 8))
"""What is tried for every mix."""


@dataclass(frozen=True, slots=True)
class _Mix:
    """A kernel and what it works on: `elements` values in each of its tensors."""

    kernel: Any
    tensors: tuple[str, ...]
    constants: dict[str, float]
    make: Callable[[_Walk], Kernel]


@dataclass(frozen=True, slots=True)
class _Walk:
    """One mix over one footprint."""

    mix: str
    elements: int
    sweep: Sweep
    device: str

    @property
    def programs(self) -> int:
        return self.sweep.programs(self.elements, units_of(self.device))

    def tensors(self, count: int) -> list[torch.Tensor]:
        return [small_integers(self.elements, self.device, first) for first in range(count)]

    def call(self, *tensors: torch.Tensor) -> Callable[[], object]:
        """Launches the kernel and returns the last tensor, which it writes to."""
        mix = _MIXES[self.mix]
        arguments = (*tensors, self.elements, self.programs)
        constants = mix.constants | options(self.sweep)

        def call() -> object:
            mix.kernel[(self.programs,)](*arguments, block=self.sweep.block, **constants)
            return tensors[-1]

        return compiled_call(call, f"{self.mix} {self.sweep.name}")


def options(sweep: Sweep) -> dict[str, Any]:
    """What the compiler is told beside the kernel."""
    return {"num_warps": sweep.warps, "enable_fp_fusion": True}


def candidates(
    mix: str,
    footprint_bytes: int,
    device: str = "cuda",
    architecture: Architecture | None = None,
) -> tuple[Candidate, ...]:
    """Each way to move bytes in `mix`, one of `goodput_kernels.memory.MIXES`.

    None on a chip without kernels. `device` may be `cpu` in Triton's interpreter alone, where
    `architecture` says for which chip.
    """
    if (architecture or architecture_of(device)) is None:
        return ()
    tensors = 1 if mix == "read" else len(_MIXES[mix].tensors)
    elements = max(footprint_bytes // (_ITEM * tensors * _ALIGNMENT), 1) * _ALIGNMENT
    if elements > _LARGEST:
        return ()
    walks = (_Walk(mix, elements, sweep, device) for sweep in SWEEPS)
    return tuple(_candidate(walk, tensors, footprint_bytes) for walk in walks)


def _candidate(walk: _Walk, tensors: int, footprint_bytes: int) -> Candidate:
    moved = walk.elements * tensors * _ITEM
    make = partial(_MIXES[walk.mix].make, walk)
    return Candidate(
        name=f"{walk.mix}-{walk.sweep.name} of {footprint_bytes} bytes",
        library="Triton",
        unit="bytes",
        amount=2 * moved if walk.mix == "in-place" else moved,
        prepare=lambda: make().call,
        working_set_bytes=moved,
        verify=lambda: verify(make(), "sums" if walk.mix == "read" else "values"),
    )


def source(mix: str, sweep: Sweep) -> Source:
    """The kernel as it is compiled."""
    found = _MIXES[mix]
    return Source(
        kernel=found.kernel,
        signature=dict.fromkeys(found.tensors, "*fp32")
        | dict.fromkeys(("elements", "programs"), "i32"),
        constants=found.constants | {"block": sweep.block},
        options=options(sweep),
    )


def _read(walk: _Walk) -> Kernel:
    (values,) = walk.tensors(1)
    sums = values.new_empty(walk.programs)
    # Exact up to 2^24, and then one rounding an addition; see `verification`.
    limit = ROUNDOFF["float32"] * math.sqrt(walk.elements / walk.programs)
    return Kernel(
        walk.call(values, sums),
        walk.programs,
        lambda rows: _sums(walk, values)[rows.to(values.device)],
        limit,
        sums,
        sampled=MOST_VALUES,
    )


def _sums(walk: _Walk, values: torch.Tensor) -> torch.Tensor:
    """What each program should come to, in float64."""
    import torch

    whole = len(values) // walk.sweep.block * walk.sweep.block
    blocks = values[:whole].view(-1, walk.sweep.block).sum(1, dtype=torch.float64)
    rest = values[whole:].sum(dtype=torch.float64)
    padding = -(len(blocks) + 1) % walk.programs
    each = torch.cat([blocks, rest[None], rest.new_zeros(padding)])
    return each.view(-1, walk.programs).sum(0)


def _write(walk: _Walk) -> Kernel:
    (target,) = walk.tensors(1)
    return _values(walk, walk.call(target), lambda at: at.double() * 0 + _FILLER, target)


def _copy(walk: _Walk) -> Kernel:
    values, target = walk.tensors(2)
    return _values(walk, walk.call(values, target), lambda at: values[at].double(), target)


def _in_place(walk: _Walk) -> Kernel:
    (values,) = walk.tensors(1)
    return _values(walk, walk.call(values), lambda at: -values[at].double(), None)


def _triad(walk: _Walk) -> Kernel:
    left, right, target = walk.tensors(3)
    call = walk.call(left, right, target)
    return _values(walk, call, lambda at: left[at].double() + _FACTOR * right[at].double(), target)


def _values(
    walk: _Walk,
    call: Callable[[], object],
    expected: Callable[[torch.Tensor], torch.Tensor],
    target: torch.Tensor | None,
) -> Kernel:
    # Small integers: exact.
    return Kernel(call, walk.elements, expected, 0.0, target, sampled=MOST_VALUES)


_MIXES = {
    "read": _Mix(read_kernel, ("source", "sums"), {}, _read),
    "write": _Mix(write_kernel, ("target",), {"filler": _FILLER}, _write),
    "copy": _Mix(copy_kernel, ("source", "target"), {}, _copy),
    "in-place": _Mix(in_place_kernel, ("values",), {}, _in_place),
    "two-in-one-out": _Mix(triad_kernel, ("left", "right", "target"), {"factor": _FACTOR}, _triad),
}
