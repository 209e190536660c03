"""A Triton kernel as its compiler made it, in words that all who tell of one share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CompiledKernel:
    """A Triton kernel, as it was launched or for a chip that is not here.

    Attributes:
        architecture: e.g. `sm_90`, `gfx942`.
        kernel: the name of its function.
        config: constants and options, as Triton writes them.
        registers: of a thread.
        spilled_bytes: of a thread, to local memory.
        shared_bytes: of a block.
        matrix_instructions: how many stand in its assembly.
    """

    architecture: str
    kernel: str
    config: str
    registers: int
    spilled_bytes: int
    shared_bytes: int
    matrix_instructions: int
