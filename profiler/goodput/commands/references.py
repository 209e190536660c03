"""What a check is held against: blessed baselines, a stored run, or the merge base with a ref."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from goodput.commands.case_runs import CountedRun, Site, counted, modelled
from goodput.errors import GoodputError, UsageError
from goodput.gates import baselines, run_file
from goodput.gates.baselines import Baseline
from goodput.gates.blessing import held_against
from goodput.gates.declarations import Case, Gates
from goodput.gates.observed_run import CaseRun
from goodput.gates.trees import merge_base
from goodput.report.verdicts import Tier

_SHORT = 12


class Reference(Protocol):
    """What runs are held against."""

    @property
    def name(self) -> str:
        """How a report calls it."""

    @property
    def place(self) -> Site | None:
        """Where its side of a timed case runs; None where that ran before."""

    def exact(self, case: Case, folder: Path) -> tuple[Baseline | None, CountedRun | None]:
        """The counts that a case is held against, and the run that they are of, if it ran now."""

    def of(self, run: CaseRun) -> Baseline | None:
        """What a run is held against; None where there is nothing.

        Raises:
            UsageError: it cannot be read.
        """

    def why_not(self, case: str) -> str:
        """Why a case cannot be held against it, where `no baseline` would not say it; else ""."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the report."""


@dataclass(frozen=True, slots=True)
class Blessed:
    """The baselines in the project's folder."""

    folder: Path

    @property
    def name(self) -> str:
        """Where they lie."""
        here = Path.cwd()
        shown = self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder
        return f"the baselines in {shown}"

    @property
    def place(self) -> Site | None:
        """They ran before."""
        return None

    def exact(self, case: Case, folder: Path) -> tuple[Baseline | None, CountedRun | None]:  # noqa: ARG002 - as others have it
        """The baseline, where it can be read: what is wrong with it is told when it is judged."""
        try:
            path = baselines.path_of(self.folder, case.name, Tier.EXACT)
            return baselines.read(path), None
        except GoodputError:
            return None, None

    def of(self, run: CaseRun) -> Baseline | None:
        """The baseline of a run's case, tier and device."""
        path = baselines.path_of(self.folder, run.case, run.tier, run.device_name)
        return baselines.read(path)

    def why_not(self, case: str) -> str:  # noqa: ARG002 - as others have it
        """Nothing more is known."""
        return ""

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run that was stored by `goodput check --json`."""

    path: Path
    runs: tuple[CaseRun, ...]
    commit: str

    @property
    def name(self) -> str:
        """The file, and the commit that it is of."""
        return f"{self.path}{f' of {self.commit}' if self.commit else ''}"

    @property
    def place(self) -> Site | None:
        """It ran before."""
        return None

    def exact(self, case: Case, folder: Path) -> tuple[Baseline | None, CountedRun | None]:  # noqa: ARG002 - as others have it
        """The counts of a case in it."""
        return self._of(case.name, Tier.EXACT), None

    def of(self, run: CaseRun) -> Baseline | None:
        """What it holds of a run's case and tier."""
        return self._of(run.case, run.tier)

    def _of(self, case: str, tier: Tier) -> Baseline | None:
        for kept in self.runs:
            if (kept.case, kept.tier) == (case, tier) and not kept.error:
                return held_against(kept, self.commit)
        return None

    def why_not(self, case: str) -> str:  # noqa: ARG002 - as others have it
        """Nothing more is known."""
        return ""

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()


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


@contextmanager
def reference(gates: Gates, against: str | None, scratch: Path) -> Iterator[Reference]:
    """What `--against` names: a file of a run, or a ref; without it, the blessed baselines.

    Raises:
        UsageError: it names neither.
    """
    if against is None:
        yield Blessed(gates.baselines)
        return
    if Path(against).is_file():
        kept = run_file.load(Path(against))
        yield StoredRun(Path(against), kept.runs, kept.commit)
        return
    if against.endswith(".json"):
        raise UsageError(f"--against: there is no file {against}")
    with merge_base(gates.root, against, scratch) as tree:
        yield MergeBase(against, Site(tree.root, tree.commit), gates.root, tree.notes)
