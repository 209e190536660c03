"""A timed case beside what it is held against, as plain data. Judges nothing."""

from __future__ import annotations

from dataclasses import dataclass

from goodput.gates.baselines import Baseline
from goodput.gates.declarations import Case
from goodput.gates.observed_run import CaseRun


@dataclass(frozen=True, slots=True)
class Held:
    """A timed case and what it is held against; None where there is nothing.

    `missing` says why there is nothing, where more is known than that.
    """

    case: Case
    run: CaseRun
    baseline: Baseline | None
    missing: str = ""
