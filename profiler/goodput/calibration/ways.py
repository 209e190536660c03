"""Which kernels compete for a figure of a device, through the framework that measures it.

torch's side has the vendor's libraries and, on a GPU, Triton; where torch is not there, or does not
see the device, JAX's side has XLA and Pallas, and NumPy on a CPU. Chooses, times nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from goodput_kernels import (
    convolution,
    jax_latency,
    jax_matmul,
    jax_memory,
    jax_pointwise,
    latency,
    matmul,
    memory,
    numpy_matmul,
    numpy_memory,
    pointwise,
    register_chain,
)
from goodput_kernels.candidate import Candidate
from goodput_kernels.convolution import Convolution
from goodput_kernels.operands import RANDOM
from goodput_kernels.threads import one_thread
from goodput_kernels.triton_presence import installed as triton_installed

TORCH, JAX = "torch", "jax"
"""The frameworks that can measure a device."""

_CPU_VALUES_PER_CORE = 1 << 16
_CPU_VALUES_ALONE = 1 << 14
_DEVICE_VALUES = 1 << 22


@dataclass(frozen=True, slots=True)
class Target:
    """The device as the kernels need it.

    Attributes:
        device: what the framework calls it. torch: `cpu` or `cuda` (HIP bears that name too);
            JAX: its `kind`.
        kind: as in `DeviceIdentity`.
        cores: cores in use; 1 for a device.
        cache_bytes: size of the last-level cache.
        units: multiprocessors or compute units; cores of a CPU.
        framework: `TORCH` or `JAX`.
    """

    device: str
    kind: str
    cores: int
    cache_bytes: int
    units: int = 1
    framework: str = TORCH

    @property
    def on_cpu(self) -> bool:
        """Whether it is this machine's CPU."""
        return self.device == "cpu"

    @property
    def by_torch(self) -> bool:
        """Whether torch measures it."""
        return self.framework == TORCH

    @property
    def compiles_triton(self) -> bool:
        """Whether Triton's kernels can run on it beside torch's."""
        return self.by_torch and not self.on_cpu and triton_installed()


def products(
    target: Target, mode: str, batch: int, m: int, n: int, k: int, data: str = RANDOM
) -> tuple[Candidate, ...]:
    """Every way to do this product that is tried for every program."""
    if target.by_torch:
        return matmul.candidates(mode, batch, m, n, k, target.device, data)
    found = jax_matmul.candidates(mode, batch, m, n, k, target.kind, data=data)
    if target.on_cpu:
        return (*found, *numpy_matmul.candidates(mode, batch, m, n, k, data))
    return found


def other_products(
    target: Target, mode: str, batch: int, m: int, n: int, k: int
) -> tuple[Candidate, ...]:
    """Ways of other frameworks, which only a full measurement tries: XLA:CPU, Triton."""
    if not target.by_torch:
        return ()
    if target.on_cpu:
        return jax_matmul.cpu_candidates(mode, batch, m, n, k)
    if not target.compiles_triton:
        return ()
    from goodput_kernels import triton_matmul

    return triton_matmul.candidates(mode, batch, m, n, k, target.device)


def convolutions(target: Target, problem: Convolution) -> tuple[Candidate, ...]:
    """Every way to do this convolution; JAX has none of ours."""
    return convolution.candidates(problem, target.device) if target.by_torch else ()


def movers(target: Target, mix: str, footprint_bytes: int) -> tuple[Candidate, ...]:
    """Every way to move bytes in `mix` that is tried for every program."""
    if target.by_torch:
        return memory.candidates(mix, footprint_bytes, target.device)
    found = jax_memory.candidates(mix, footprint_bytes, target.kind)
    return (*found, *numpy_memory.candidates(mix, footprint_bytes)) if target.on_cpu else found


def other_movers(target: Target, mix: str, footprint_bytes: int) -> tuple[Candidate, ...]:
    """Ways of other frameworks, which only a full measurement tries."""
    if not target.by_torch:
        return ()
    if target.on_cpu:
        return jax_memory.cpu_candidates(mix, footprint_bytes)
    if not target.compiles_triton:
        return ()
    from goodput_kernels import triton_memory

    return triton_memory.candidates(mix, footprint_bytes, target.device)


def special_functions(target: Target) -> tuple[Candidate, ...]:
    """Kernels that do nothing but a special function."""
    count = _values(target)
    if not target.by_torch:
        return jax_pointwise.special_candidates(count, target.kind)
    found = pointwise.special_candidates(count, target.device)
    if target.on_cpu:
        # One thread may beat all where others share the cores: whatever was reached is a roof.
        alone = pointwise.special_candidates(_CPU_VALUES_ALONE, target.device)
        return (*found, *map(one_thread, alone))
    return (*found, register_chain.special_candidate())


def multiply_adds(target: Target) -> tuple[Candidate, ...]:
    """Kernels that do nothing but multiply-adds."""
    count = _values(target)
    if not target.by_torch:
        return jax_pointwise.multiply_add_candidates(count, target.kind)
    found = pointwise.multiply_add_candidate(count, target.device)
    if target.on_cpu:
        alone = pointwise.multiply_add_candidate(_CPU_VALUES_ALONE, target.device)
        return (found, one_thread(alone))
    return (found, register_chain.multiply_add_candidate())


def shortest(target: Target) -> tuple[Candidate, ...]:
    """The shortest operators."""
    if target.by_torch:
        return latency.candidates(target.device)
    return jax_latency.candidates(target.kind)


def _values(target: Target) -> int:
    return target.cores * _CPU_VALUES_PER_CORE if target.on_cpu else _DEVICE_VALUES
