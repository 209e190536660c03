"""What a check is held against: blessed baselines, a stored run, or the merge base with a ref."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from goodput.errors import GoodputError, UsageError
from goodput.gates import baselines, run_file
from goodput.gates.baselines import Baseline
from goodput.gates.blessing import held_against
from goodput.gates.declarations import Case, Gates
from goodput.gates.observed_run import CaseRun
from goodput.report.verdicts import Tier

if TYPE_CHECKING:
    from goodput.commands.case_runs import CountedRun, Site


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
    """The baselines in the project's folder.

    Attributes:
        folder: where they lie.
        declared: the cases of the project.
    """

    folder: Path
    declared: tuple[str, ...] = ()

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
        """Which baselines nothing is held against any more: a gate that was taken away is told."""
        left = [
            path.name
            for path in sorted(self.folder.glob("*"))
            if path.name not in self.declared and self._is_of_a_case(path)
        ]
        if not left:
            return ()
        noun = "a case that is" if len(left) == 1 else "cases that are"
        return (f"there are baselines of {noun} not declared: {', '.join(left)}",)

    def _is_of_a_case(self, path: Path) -> bool:
        """Whether the baselines in a folder are of a case: those of tests have longer names."""
        try:
            found = [baselines.read(file) for file in path.glob("*.json")]
        except GoodputError:
            return False
        return any(one is not None and one.case == path.name for one in found)


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


@contextmanager
def reference(gates: Gates, against: str | None, scratch: Path) -> Iterator[Reference]:
    """What `--against` names: a file of a run, or a ref; without it, the blessed baselines.

    Raises:
        UsageError: it names neither.
    """
    kept = stored_reference(gates, against)
    if kept is not None:
        yield kept
        return
    # Reading stored files is to start at once: what runs git and processes is loaded here.
    from goodput.commands.case_runs import Site
    from goodput.commands.merge_base import MergeBase
    from goodput.gates.trees import merge_base

    with merge_base(gates.root, str(against), scratch) as tree:
        site = Site(tree.root, tree.commit, tree.top, tree.instead_of)
        yield MergeBase(str(against), site, gates.root, tree.notes)


def stored_reference(gates: Gates, against: str | None) -> Reference | None:
    """What was stored before: the blessed baselines, or the run in a file; None of a ref.

    Raises:
        UsageError: there is no such file, or it is no run.
    """
    if against is None:
        return Blessed(gates.baselines, tuple(case.name for case in gates.cases))
    if Path(against).is_file():
        kept = run_file.load(Path(against))
        return StoredRun(Path(against), kept.runs, kept.commit)
    if against.endswith(".json"):
        raise UsageError(f"--against: there is no file {against}")
    return None
