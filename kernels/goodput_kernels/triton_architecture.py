"""What the Triton kernels must know of a chip: its name, its units, its shared memory.

Only chips whose code has been compiled and checked are named; on any other there is no candidate.
"""

from __future__ import annotations

from dataclasses import dataclass

INTERPRETED_UNITS = 3
"""Programs of a persistent kernel in Triton's interpreter: few, so that each has several tiles."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A chip as the compiler sees it.

    Attributes:
        name: as compilers call it: `sm_90`, `gfx942`.
        family: which kernels and tiles suit it: `ampere`, `hopper`, `blackwell`, `cdna3`
            or `cdna4`.
        shared_bytes: shared memory (LDS on AMD) that one block may take.
        float8: the float8 format that its matrix units take, in torch's words; None without one.
    """

    name: str
    family: str
    shared_bytes: int
    float8: str | None = None

    @property
    def lanes(self) -> int:
        """Threads of a warp (a wavefront on AMD)."""
        return 64 if self.family.startswith("cdna") else 32


_E4M3 = "float8_e4m3fn"

# Shared memory per block: CUDA C++ Programming Guide, "Technical Specifications per Compute
# Capability" (https://docs.nvidia.com/cuda/cuda-c-programming-guide/#compute-capabilities); LDS:
# the CDNA3 and CDNA4 instruction set guides. GeForce Blackwell (sm_120) has TMA but no tensor
# memory, and too little shared memory for the large tiles: it gets Ampere's kernels.
ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture("sm_80", "ampere", 166_912),
        Architecture("sm_86", "ampere", 101_376),
        Architecture("sm_87", "ampere", 166_912),
        Architecture("sm_89", "ampere", 101_376, _E4M3),
        Architecture("sm_90", "hopper", 232_448, _E4M3),
        Architecture("sm_100", "blackwell", 232_448, _E4M3),
        Architecture("sm_103", "blackwell", 232_448, _E4M3),
        Architecture("sm_120", "ampere", 101_376, _E4M3),
        # CDNA3 takes float8 without negative zero; CDNA4 takes the same format as everybody.
        Architecture("gfx942", "cdna3", 65_536, "float8_e4m3fnuz"),
        Architecture("gfx950", "cdna4", 163_840, _E4M3),
    )
}
"""Every chip that there are kernels for, by name."""


def architecture_of(device: str) -> Architecture | None:
    """The chip behind a torch device (`cuda` or `cuda:1`; HIP bears that name too), if known."""
    import torch

    if not device.startswith("cuda") or not torch.cuda.is_available():
        return None
    properties = torch.cuda.get_device_properties(device)
    if torch.version.hip is not None:
        return ARCHITECTURES.get(properties.gcnArchName.split(":")[0])
    return ARCHITECTURES.get(f"sm_{properties.major}{properties.minor}")


def units_of(device: str) -> int:
    """The number of multiprocessors (compute units) of a torch device."""
    import torch

    if not device.startswith("cuda"):
        return INTERPRETED_UNITS
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
