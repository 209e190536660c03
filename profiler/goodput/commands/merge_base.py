"""The merge base with a ref: its files, where the cases run too, in turns with the work tree's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from goodput.commands.case_runs import CountedRun, Site, counted, modelled
from goodput.gates.baselines import Baseline
from goodput.gates.blessing import held_against
from goodput.gates.declarations import Case
from goodput.gates.observed_run import CaseRun
from goodput.report.verdicts import Tier

_SHORT = 12


@dataclass(slots=True)
class MergeBase:
    """The files of the merge base, where the cases run too, in turns with the work tree's."""

    ref: str
    tree: Site
    root: Path
    notes: tuple[str, ...] = ()
    _counts: dict[str, CountedRun] = field(default_factory=dict)
    _cases: dict[str, Case] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The ref, and the commit."""
        return f"the merge base with {self.ref}, {self.tree.commit[:_SHORT]}"

    @property
    def place(self) -> Site | None:
        """Its files."""
        return self.tree

    def exact(self, case: Case, folder: Path) -> tuple[Baseline | None, CountedRun | None]:
        """The counts of a case there, counted now."""
        found = counted(case, self.tree, folder / "base", None, proofs=1)
        self._counts[case.name], self._cases[case.name] = found, case
        if found.run.error:
            return None, None
        return held_against(found.run, self.tree.commit), found

    def of(self, run: CaseRun) -> Baseline | None:
        """What a run's case comes to there."""
        found = self._counts.get(run.case)
        if found is None or found.run.error or run.tier is Tier.MEASURED:
            return None
        if run.tier is Tier.EXACT:
            return held_against(found.run, self.tree.commit)
        there = modelled(self._cases[run.case], found, self.root)
        return None if there.error else held_against(there, self.tree.commit)

    def why_not(self, case: str) -> str:
        """Why a case cannot be held against it; "" where it can."""
        found = self._counts.get(case)
        return f"at {self.name}: {found.run.error}" if found and found.run.error else ""
