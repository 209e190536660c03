"""Which device a number belongs to: identity only, no rates and no discovery."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """A device as the framework names it.

    Attributes:
        kind: `cpu`, `cuda`, `hip`, `tpu`...
        name: the exact runtime name, e.g. `NVIDIA H100 80GB HBM3`; for a CPU its model name and
            the number of cores in use. Empty where a trace does not say.
        units: streaming multiprocessors, compute units or cores; 0 where unknown.
        memory_bytes: total memory; 0 where unknown.
        last_level_cache_bytes: size of the last-level cache; 0 where unknown.
    """

    kind: str
    name: str
    units: int = 0
    memory_bytes: int = 0
    last_level_cache_bytes: int = 0
