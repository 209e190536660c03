"""Chains of one operation on values that never leave their registers: vector and special peaks.

Each thread keeps several accumulators, so that one operation need not wait for the last; their sum
is stored, so that none is dropped. Every chain contracts to a fixed point, so that an error of one
step shrinks in the next (the integers wrap round).

Not here: sin and tanh, which Triton computes in software, without the special-function units; and
float16, which the compiler packs in pairs only by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import triton
import triton.language as tl

from goodput_kernels.candidate import Candidate
from goodput_kernels.triton_architecture import Architecture, architecture_of, units_of
from goodput_kernels.triton_compile import Source, compiled_call, triton_type
from goodput_kernels.verification import MOST_VALUES, ROUNDOFF, Kernel, verify

if TYPE_CHECKING:
    import torch

STEPS = 16
"""Steps of each accumulator between two ends of the loop, so that the loop itself costs little."""

ACCUMULATORS = 4
"""Chains side by side, of `PER_THREAD` values each: a step takes 4 to 8 cycles to come back."""

PER_THREAD = 2
"""Values of an accumulator in a thread: AMD and Blackwell multiply and add float32 in pairs."""

ROUNDS = 64
"""How often the loop runs."""

WARPS = 8
_BLOCKS_PER_UNIT = 32

MULTIPLY_ADDS = {"float32": 0.5, "float64": 0.5, "int32": 3}
"""The factor of the multiply-add chain by dtype."""

SPECIAL = ("exp2", "rsqrt", "sigmoid")
"""The special functions that there are chains of; a sigmoid is two of them, and counts as one."""


@triton.jit
def multiply_add(a: tl.tensor, scale: tl.tensor, x: tl.tensor) -> tl.tensor:
    """`a * scale + x`, rounded once."""
    if x.dtype.is_floating():
        return tl.fma(a, scale, x)
    else:  # noqa: RET505 - Triton compiles both where nothing is else
        return a * scale + x


@triton.jit
def multiply_add_kernel(
    values: tl.tensor,
    result: tl.tensor,
    rounds: tl.tensor,
    factor: tl.constexpr,
    steps: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """`a = factor * a + x`, `steps * rounds` times, from four values of a."""
    places = tl.program_id(0) * block + tl.arange(0, block)
    x = tl.load(values + places)
    scale = tl.full((block,), factor, x.dtype)
    a, b, c, d = x, x + x, -x, x * x
    for _ in tl.range(rounds):
        for _ in tl.static_range(steps):
            a, b = multiply_add(a, scale, x), multiply_add(b, scale, x)
            c, d = multiply_add(c, scale, x), multiply_add(d, scale, x)
    tl.store(result + places, (a + b) + (c + d))


@triton.jit
def special_kernel(
    values: tl.tensor,
    result: tl.tensor,
    rounds: tl.tensor,
    function: tl.constexpr,
    steps: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """`a = function(a)`, `steps * rounds` times, from four values of a."""
    places = tl.program_id(0) * block + tl.arange(0, block)
    x = tl.load(values + places)
    a, b, c, d = x, x + 1, x + 2, x + 3
    for _ in tl.range(rounds):
        for _ in tl.static_range(steps):
            if function == "exp2":
                a, b, c, d = tl.exp2(-a), tl.exp2(-b), tl.exp2(-c), tl.exp2(-d)
            elif function == "rsqrt":
                a, b, c, d = tl.rsqrt(a), tl.rsqrt(b), tl.rsqrt(c), tl.rsqrt(d)
            else:
                a, b, c, d = tl.sigmoid(-a), tl.sigmoid(-b), tl.sigmoid(-c), tl.sigmoid(-d)
    tl.store(result + places, (a + b) + (c + d))


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain on one device.

    Attributes:
        operation: `multiply-add` or one of `SPECIAL`.
        dtype: torch's name of it.
        lanes: threads of a warp.
        rounds: how often the loop runs.
        device: torch's name.
    """

    operation: str
    dtype: str
    lanes: int
    rounds: int = ROUNDS
    device: str = "cuda"

    @property
    def block(self) -> int:
        """Values of one program."""
        return WARPS * self.lanes * PER_THREAD

    @property
    def elements(self) -> int:
        """Values in all: several times what the device holds at a time."""
        return self.block * _BLOCKS_PER_UNIT * units_of(self.device)

    @property
    def kernel(self) -> Any:
        """The Triton kernel."""
        return multiply_add_kernel if self.operation == "multiply-add" else special_kernel

    @property
    def constants(self) -> dict[str, Any]:
        """Its compile-time arguments."""
        special = self.operation != "multiply-add"
        own = {"function": self.operation} if special else {"factor": MULTIPLY_ADDS[self.dtype]}
        return own | {"steps": STEPS, "block": self.block}

    def step(self, a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """One step as torch does it."""
        if self.operation == "multiply-add":
            return a * MULTIPLY_ADDS[self.dtype] + x
        if self.operation == "rsqrt":
            return a.rsqrt()
        return (-a).exp2() if self.operation == "exp2" else (-a).sigmoid()


def multiply_add_candidates(
    dtype: str = "float32",
    device: str = "cuda",
    rounds: int = ROUNDS,
    architecture: Architecture | None = None,
) -> tuple[Candidate, ...]:
    """Multiply-adds, two operations each, of `dtype`, one of `MULTIPLY_ADDS`.

    None on a chip without kernels. `device` may be `cpu` in Triton's interpreter alone, where
    `architecture` says for which chip.
    """
    return _candidates("multiply-add", dtype, device, rounds, architecture)


def special_candidates(
    device: str = "cuda", rounds: int = ROUNDS, architecture: Architecture | None = None
) -> tuple[Candidate, ...]:
    """Each of `SPECIAL` in float32; `device` and `architecture` as above."""
    found = (_candidates(name, "float32", device, rounds, architecture) for name in SPECIAL)
    return tuple(candidate for chains in found for candidate in chains)


def _candidates(
    operation: str, dtype: str, device: str, rounds: int, architecture: Architecture | None
) -> tuple[Candidate, ...]:
    chip = architecture or architecture_of(device)
    if chip is None:
        return ()
    chain = Chain(operation, dtype, chip.lanes, rounds, device)
    each, unit = (2, "flops") if operation == "multiply-add" else (1, "special")
    steps = ACCUMULATORS * STEPS * rounds
    found = Candidate(
        name=f"{operation} chain of {STEPS * rounds} {dtype}",
        library="Triton",
        unit=unit,
        amount=each * steps * chain.elements,
        prepare=lambda: _kernel(chain).call,
        working_set_bytes=2 * chain.elements * int(dtype[-2:]) // 8,
        verify=lambda: verify(_kernel(chain), "values"),
    )
    return (found,)


def source(chain: Chain) -> Source:
    """The chain's kernel as it is compiled."""
    import torch

    pointer = f"*{triton_type(getattr(torch, chain.dtype))}"
    signature = {"values": pointer, "result": pointer, "rounds": "i32"}
    return Source(chain.kernel, signature, chain.constants, options())


def options() -> dict[str, Any]:
    """What the compiler is told beside the kernel."""
    return {"num_warps": WARPS, "enable_fp_fusion": True}


def chained(chain: Chain, values: torch.Tensor) -> torch.Tensor:
    """What the chain makes of `values`, in float64, or in integers that wrap round as its own."""
    x = values.double() if values.dtype.is_floating_point else values
    special = chain.operation != "multiply-add"
    accumulators = [x, x + 1, x + 2, x + 3] if special else [x, x + x, -x, x * x]
    for _ in range(STEPS * chain.rounds):
        accumulators = [chain.step(a, x) for a in accumulators]
    a, b, c, d = accumulators
    return ((a + b) + (c + d)).double()


def _kernel(chain: Chain) -> Kernel:
    import torch

    values = _values(chain)
    result = torch.empty_like(values)
    grid = (chain.elements // chain.block,)

    def call() -> object:
        chain.kernel[grid](values, result, chain.rounds, **chain.constants, **options())
        return result

    # A special-function unit is good to 2 units in the last place or 3, and the rest of a sigmoid
    # to as many again.
    limit = 0.0 if chain.dtype == "int32" else 16 * ROUNDOFF[chain.dtype]
    return Kernel(
        compiled_call(call, f"the {chain.operation} chain"),
        chain.elements,
        lambda places: chained(chain, values[places.to(values.device)]),
        limit,
        result,
        sampled=MOST_VALUES,
    )


def _values(chain: Chain) -> torch.Tensor:
    import torch

    if chain.dtype == "int32":
        return torch.arange(1, chain.elements + 1, dtype=torch.int32, device=chain.device)
    # From 0.5 to 1.5: no denormals, no special cases that a library has a slow path for.
    dtype = getattr(torch, chain.dtype)
    return torch.linspace(0.5, 1.5, chain.elements, dtype=dtype, device=chain.device)
