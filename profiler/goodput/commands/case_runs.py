"""Runs the cases of a project in fresh processes and gathers what they saw. Judges nothing."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

import goodput
import goodput_kernels
from goodput.errors import GoodputError, NotMeasuredError, UsageError
from goodput.gates import processes, program_check
from goodput.gates.baselines import PROOFS, Baseline
from goodput.gates.declarations import Case
from goodput.gates.observation import Observation, Place
from goodput.gates.observed_run import CaseRun
from goodput.report.verdicts import Tier

_ROOTS = [str(Path(package.__path__[0]).parent) for package in (goodput, goodput_kernels)]
_START = (
    f"import sys; sys.path[1:1] = {_ROOTS!r}; from goodput.commands.observing import main; main()"
)


PREDICTION = "goodput.prediction/1"
"""The rule behind a prediction."""


class _Answer(msgspec.Struct, frozen=True):
    """What a fresh process says: an observation, or why there is none."""

    observation: Observation | None = None
    error: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """Where cases run.

    Attributes:
        root: the folder that programs run in.
        commit: of its work tree.
        top, instead_of: of a tree of another commit, its top and that of the work tree, from which
            nothing may be imported then.
    """

    root: Path
    commit: str = ""
    top: Path | None = None
    instead_of: Path | None = None


@dataclass(frozen=True, slots=True)
class CountedRun:
    """A case that was counted, and the file of its counts where it succeeded."""

    run: CaseRun
    counts: Path | None


def request_of(case: Case) -> dict[str, object]:
    """What a fresh process is asked of a case."""
    return {
        "target": case.target,
        "script": case.script,
        "batch": case.batch,
        "seq": case.seq,
        "train": case.train,
        "targets": case.targets,
    }


def reproduce(case: Case, tier: Tier) -> str:
    """The command that runs a case in a tier again."""
    return f"goodput check --tier {tier} --case {case.name}"


def counted(
    case: Case, place: Site, scratch: Path, baseline: Baseline | None, proofs: int = PROOFS
) -> CountedRun:
    """The counts of a case: one process, and two more where it does not agree with its baseline.

    What is to be blessed, or to be called a change, is seen by three fresh processes.

    Args:
        case: what is counted.
        place: where.
        scratch: a folder of its own.
        baseline: the exact one; None where there is none.
        proofs: processes that must agree on what differs.
    """
    started = time.monotonic()
    run = CaseRun(
        case.name,
        Tier.EXACT,
        case.fingerprint,
        commit=place.commit,
        reproduce=reproduce(case, Tier.EXACT),
    )
    try:
        first = _observed(case, place, scratch / "0", 0)
        seen = [first]
        if baseline is None or not _agrees(first, baseline):
            seen += [_observed(case, place, scratch / str(n), n) for n in range(1, proofs)]
    except GoodputError as error:
        return CountedRun(replace(run, error=str(error), status=error.exit_code), None)
    run = replace(
        run,
        processes=tuple(one.values for one in seen),
        operators=first.operators,
        toolchain=first.toolchain,
        method=first.method,
        places=tuple(_inside(one, place.root) for one in first.places),
        notes=first.notes,
        seconds=time.monotonic() - started,
    )
    return CountedRun(run, scratch / "0" / "counts.goodput")


def modelled(case: Case, counts: CountedRun, root: Path) -> CaseRun:
    """What the counts of a case come to on the roofs that it names."""
    run = replace(
        counts.run,
        tier=Tier.MODELLED,
        processes=(),
        operators={},
        places=(),
        reproduce=reproduce(case, Tier.MODELLED),
    )
    if counts.counts is None:
        return run
    from goodput.commands.counted import roofs_of
    from goodput.commands.given import read_capacity
    from goodput.gates.prediction import predicted
    from goodput.readers import recording_file

    try:
        if case.capacity:
            capacity = read_capacity(root / case.capacity)
        else:
            capacity = roofs_of([case.device])[0]
    except GoodputError as error:
        fault = f"case {case.name}: {error}"
        return replace(run, error=fault, status=error.exit_code)
    found = predicted(recording_file.load(counts.counts)[0], capacity)
    return replace(
        run,
        processes=(found.values,),
        operators=found.operators,
        method=f"{run.method} {PREDICTION}",
        device={"name": capacity.device.name},
        profile=found.profile,
        notes=found.notes,
    )


def _inside(found: Place, root: Path) -> Place:
    """A place by its name from the project's folder, as code scanning wants it."""
    path = Path(found.file)
    inside = path.is_relative_to(root.resolve())
    return replace(found, file=str(path.relative_to(root.resolve()))) if inside else found


def _agrees(seen: Observation, baseline: Baseline) -> bool:
    return (
        dict(seen.values) == dict(baseline.values)
        and dict(seen.toolchain) == dict(baseline.toolchain)
        and seen.method == baseline.method
    )


def _observed(case: Case, place: Site, folder: Path, seed: int) -> Observation:
    """What one fresh process counts; each has another order of hashes.

    Raises:
        UsageError: the case names nothing.
        NotMeasuredError: the program failed, or could not be counted.
    """
    wrong = program_check.fault(case, place.root)
    if wrong:
        raise UsageError(f"case {case.name}: {wrong}")
    content, said = answered(case, request_of(case), place, folder, seed)
    answer = msgspec.json.decode(content, type=_Answer)
    if answer.observation is None:
        raise NotMeasuredError(f"case {case.name}: {answer.error}{said}")
    return answer.observation


def answered(
    case: Case, request: Mapping[str, object], place: Site, folder: Path, seed: int
) -> tuple[bytes, str]:
    """What one fresh process answers, and what it said last where the answer does not say it.

    Raises:
        NotMeasuredError: it ended without an answer.
    """
    folder.mkdir(parents=True)
    tops = {"top": os.fspath(place.top or ""), "instead_of": os.fspath(place.instead_of or "")}
    whole = {**request, **tops}
    command = [sys.executable, "-c", _START, msgspec.json.encode(whole).decode()]
    ended = processes.run(
        [*command, os.fspath(folder)], place.root, case.timeout_seconds, _environment(seed)
    )
    file = folder / "answer.json"
    if not file.is_file():
        raise NotMeasuredError(f"case {case.name}: {ended.reason(case.timeout_seconds)}")
    content = file.read_bytes()
    repeats = ended.said.encode() in content
    return content, f" ({ended.said})" if ended.said and not repeats else ""


def _environment(seed: int) -> Mapping[str, str]:
    return {"PYTHONHASHSEED": str(seed + 1)}


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what processes leave behind.

    Raises:
        NotMeasuredError: there is no place for one.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="goodput-check-")
    except OSError as error:
        raise NotMeasuredError(f"there is no place for temporary files: {error}") from error
    with folder as name:
        yield Path(name)
