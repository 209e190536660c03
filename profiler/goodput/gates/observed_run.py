"""One case of a run, as it is kept: what every process saw, whole, so that it can be judged again.

Judges nothing. `goodput.run/1` is the file that `goodput check --json` writes beside its verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from goodput.gates.observation import OperatorFigures, Place
from goodput.report.verdicts import Tier


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison says of one variant on one case: its verdict, and why."""

    verdict: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CaseRun:
    """What the processes of one case and tier saw.

    Attributes:
        case: its name.
        tier: how the figures are known.
        fingerprint: what was run.
        processes: the figures of each fresh process, by metric.
        operators: of the first process, by `operator phase mode`; of the measured tier the median
            seconds of those that were profiled after they were timed.
        toolchain: the versions that pinned figures depend on.
        method: the rule behind the figures.
        device: must-match identity of the device; empty for the exact tier.
        surroundings: what is told and need not match: driver, power limit, threads.
        profile: digest of the capacity that a prediction is from.
        commit: of the work tree.
        places, notes: as in an `Observation`.
        counts: exact figures beside times, to tell a changed numerator.
        before: what processes of the other side saw that ran in turns with these, if any.
        before_counts, before_operators: its exact figures, and its operators.
        again, before_again: further processes of both, to confirm a regression.
        variants: what became of each in a comparison, by `operator variant, case`.
        error, status: why there are no figures, and the exit status of that.
        reproduce: the command that does it again.
        seconds: that the processes took.
    """

    case: str
    tier: Tier
    fingerprint: Mapping[str, object] = field(default_factory=dict)
    processes: tuple[Mapping[str, float], ...] = ()
    operators: Mapping[str, OperatorFigures] = field(default_factory=dict)
    toolchain: Mapping[str, str] = field(default_factory=dict)
    method: str = ""
    device: Mapping[str, object] = field(default_factory=dict)
    surroundings: Mapping[str, str] = field(default_factory=dict)
    profile: str = ""
    commit: str = ""
    places: tuple[Place, ...] = ()
    notes: tuple[str, ...] = ()
    counts: Mapping[str, float] = field(default_factory=dict)
    before: tuple[Mapping[str, float], ...] = ()
    before_counts: Mapping[str, float] = field(default_factory=dict)
    before_operators: Mapping[str, OperatorFigures] = field(default_factory=dict)
    again: tuple[Mapping[str, float], ...] = ()
    before_again: tuple[Mapping[str, float], ...] = ()
    variants: Mapping[str, Compared] = field(default_factory=dict)
    error: str = ""
    status: int = 0
    reproduce: str = ""
    seconds: float = 0.0

    @property
    def device_name(self) -> str:
        """The device's name, "" where there is none."""
        return str(self.device.get("name", ""))

    @property
    def agreed(self) -> dict[str, float]:
        """The figures that all processes gave alike."""
        if not self.processes:
            return {}
        first, *others = self.processes
        return {
            name: value
            for name, value in first.items()
            if all(other.get(name) == value for other in others)
        }

    @property
    def unsteady(self) -> dict[str, tuple[float | None, ...]]:
        """The figures that processes did not agree on, with what each said."""
        names = sorted({name for values in self.processes for name in values})
        agreed = self.agreed
        return {
            name: tuple(values.get(name) for values in self.processes)
            for name in names
            if name not in agreed
        }
