"""What a measured program left behind, whatever its framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from goodput.device import DeviceIdentity
from goodput.frontends.step_instruments import PassResults


@dataclass(frozen=True, slots=True)
class Measured:
    """What a program left behind.

    Attributes:
        results: what the passes measured.
        trace_path: the profiled steps; None where there were none.
        device: what it ran on.
        environment: versions and settings.
        kind: `training`, `inference`, `explicit`, or "" where no step was found.
        warnings: sentences for the report.
        framework: `torch` or `jax`, whose profiler wrote the profiled steps.
        tokens: of a step, where the framework itself tells.
    """

    results: PassResults
    trace_path: Path | None
    device: DeviceIdentity
    environment: dict[str, str] = field(default_factory=dict)
    kind: str = ""
    warnings: tuple[str, ...] = ()
    framework: str = "torch"
    tokens: int | None = None


class MeasuredProgram(Protocol):
    """A program of one framework under measurement."""

    @property
    def late_imports(self) -> Mapping[str, Callable[[], None]]:
        """What is to be called when the program has imported a module of its framework."""

    def attach(self) -> None:
        """Starts to look for steps."""

    def step(self) -> None:
        """The program says itself that a step ends here: from now on only that counts."""

    def expect_explicit_steps(self) -> None:
        """From now on only `step` makes boundaries; what was found before is forgotten."""

    def finish(self) -> Measured:
        """Takes everything off and says what was measured."""
