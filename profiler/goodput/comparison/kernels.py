"""Compiled Triton kernels in the report, and what a datasheet says that they need at least."""

from __future__ import annotations

from goodput.comparison.experiment import Collected, Plan
from goodput.comparison.roofs import of_launch, on_chip
from goodput.comparison.wire import Resources
from goodput.report.compared import KernelResources, Predicted


def kernel_of(one: Resources) -> KernelResources:
    """A kernel as it stands in the report, with the least time that a launch can take."""
    launch = of_launch(one)
    chip, ideal = on_chip(launch, one.architecture) if launch else ("", None)
    return KernelResources(
        one.architecture,
        one.kernel,
        one.config,
        one.registers,
        one.spilled_bytes,
        one.shared_bytes,
        one.matrix_instructions,
        chip=chip,
        least_seconds=ideal.seconds if ideal else None,
        bound=ideal.bound if ideal and ideal.seconds else "",
    )


def predicted(plan: Plan, collected: Collected, place: int) -> tuple[Predicted, ...]:
    """What the reference's work needs, at least, of each chip that kernels were compiled for."""
    counted = collected.counts.get((place, plan.described.reference))
    if counted is None:
        return ()
    chips = dict.fromkeys(
        one.architecture
        for entry in plan.entries
        for one in collected.resources.get((place, entry), ())
    )
    found = []
    for architecture in chips:
        name, ideal = on_chip(counted, architecture)
        if ideal.seconds is not None:
            found.append(Predicted(architecture, name, ideal.seconds, ideal.bound))
    return tuple(found)
