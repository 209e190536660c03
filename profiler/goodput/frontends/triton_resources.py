"""Registers, spills and shared memory of the Triton kernels that were launched, for named GPUs.

Compiles for GPUs that need not be here, by the assembler that comes with Triton. Launches nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from goodput.errors import first_line

_KERNELS = "goodput.frontends.triton_kernels"
"""Loaded once a program has imported Triton."""


@dataclass(frozen=True, slots=True)
class KernelResources:
    """What a kernel takes on a target; `fault` says why it is not known.

    Attributes:
        kernel: its name; those of one name are told apart by a number.
        target: e.g. `sm_90`.
        registers: 32-bit registers of a thread.
        spilled_bytes: of a thread, in memory for want of registers.
        shared_bytes: shared memory of a block.
        file, line: where the kernel stands.
        fault: "" where it was compiled.
    """

    kernel: str
    target: str
    registers: int = 0
    spilled_bytes: int = 0
    shared_bytes: int = 0
    file: str = ""
    line: int = 0
    fault: str = ""

    @property
    def title(self) -> str:
        """Kernel and target."""
        return f"{self.kernel}@{self.target}"


def forget() -> None:
    """From now on only kernels that are launched later are told."""
    kernels = sys.modules.get(_KERNELS)
    if kernels is not None:
        kernels.bounds.clear()


def resources(targets: Sequence[str]) -> tuple[KernelResources, ...]:
    """What every kernel that was launched in this process takes on each target.

    Raises:
        UsageError: a target is no architecture that is known.
    """
    kernels = sys.modules.get(_KERNELS)
    if not targets or kernels is None:
        return ()
    return tuple(_all(kernels, targets))


def _all(kernels: Any, targets: Sequence[str]) -> Iterator[KernelResources]:
    seen: dict[str, int] = {}
    for (name, *_), bound in kernels.bounds.items():
        seen[name] = seen.get(name, 0) + 1
        title = name if seen[name] == 1 else f"{name}#{seen[name]}"
        for target in targets:
            yield _compiled(title, bound, target)


def _compiled(name: str, bound: Any, target: str) -> KernelResources:
    from triton.errors import TritonError

    from goodput.frontends.triton_compiled import architecture, compiled

    code = bound.kernel.fn.__code__
    place = {"file": code.co_filename, "line": code.co_firstlineno}
    try:
        found = compiled(bound, architecture(target))
    except (TritonError, RuntimeError, OSError, ValueError) as error:
        return KernelResources(name, target, **place, fault=first_line(error))
    return KernelResources(
        name, target, found.registers, found.spilled_bytes, found.shared_bytes, **place
    )
