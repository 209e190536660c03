"""Pallas kernels: what one of them does over its grid, beside its author's own estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from goodput.frontends.jax_calls import name_of
from goodput.units import si
from goodput.work import Work


@dataclass(frozen=True, slots=True)
class Kernel:
    """A Pallas kernel.

    Attributes:
        name: as its author named it.
        jaxpr: what one step of the grid does.
        grid: its size along each axis; None where values decide it.
        estimate: the FLOPs and the special functions that its `CostEstimate` says; None without.
    """

    name: str
    jaxpr: Any
    grid: tuple[int, ...] | None
    estimate: tuple[int, int] | None

    @property
    def steps(self) -> int:
        """The steps of its grid; one where their number is not known."""
        return math.prod(self.grid or ())

    @property
    def estimated(self) -> Work | None:
        """The work that its author says; the bytes are those of its operands."""
        if self.estimate is None:
            return None
        flops, special = self.estimate
        return Work(flops=flops, dense_flops=flops, special=special)

    def difference(self, work: Work) -> str:
        """The sentence for an estimate that says something else than `work`; "" where it agrees.

        Authors count products alone, or all arithmetic: both agree.
        """
        if self.estimate is None:
            return ""
        said, arithmetic = self.estimate[0], work.flops + work.vector_flops
        if work.flops <= said <= arithmetic + work.special:
            return ""
        return (
            f"the CostEstimate of {self.name} says {si(said, 'FLOP')}, its code over "
            f"{self.steps} grid steps does {si(work.flops, 'FLOP')} of products and "
            f"{si(work.vector_flops, 'FLOP')} else: the code is counted"
        )

    def undecided(self) -> str:
        """The sentence for a kernel whose inputs decide its loops, its branches or its grid."""
        taken = (
            "which has no CostEstimate, so it is not counted: give pallas_call a cost_estimate"
            if self.estimate is None
            else "so its CostEstimate is counted"
        )
        return f"values decide what {self.name} does, {taken}"


def kernel_of(eqn: Any) -> Kernel:
    """The kernel that a `pallas_call` runs."""
    grid, cost = eqn.params["grid_mapping"].grid, eqn.params.get("cost_estimate")
    sizes = [size for size in grid if isinstance(size, int)]
    return Kernel(
        name=name_of(eqn),
        jaxpr=eqn.params["jaxpr"],
        grid=tuple(sizes) if len(sizes) == len(grid) else None,
        estimate=None if cost is None else (cost.flops, cost.transcendentals),
    )
