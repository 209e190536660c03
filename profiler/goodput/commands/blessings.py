"""What `goodput baseline` does with files: case by case, so that one fault stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from goodput.commands.streams import tell
from goodput.errors import GoodputError, NotComparableError
from goodput.gates import baselines, declarations, run_file
from goodput.gates.baselines import Baseline
from goodput.gates.blessing import blessed, differences, is_unchanged
from goodput.gates.declarations import Gates
from goodput.gates.observed_run import CaseRun
from goodput.report.metrics import metric_of

_PRECEDENCE = (2, 3, 5, 1, 4, 6)


@dataclass(frozen=True, slots=True)
class _Place:
    run: CaseRun
    path: Path


def bless(file: Path, cases: tuple[str, ...], reason: str) -> int:
    """Writes the baselines of a run; the exit status."""

    def one(place: _Place) -> None:
        old = baselines.read(place.path)
        if is_unchanged(place.run, old):
            click.echo(f"{_title(place)}: unchanged")
            return
        new = blessed(place.run, old, reason)
        told = differences(old, new)
        baselines.write(place.path, new)
        click.echo(f"{_title(place)}: blessed into {place.path}")
        for sentence in told:
            click.echo(f"  {sentence}")

    return _each(file, cases, one)


def diff(file: Path, cases: tuple[str, ...]) -> int:
    """Tells what blessing a run would change; writes nothing."""

    def one(place: _Place) -> None:
        old = baselines.read(place.path)
        if is_unchanged(place.run, old):
            click.echo(f"{_title(place)}: unchanged")
            return
        click.echo(f"{_title(place)}: would change")
        for sentence in differences(old, blessed(place.run, old, "")):
            click.echo(f"  {sentence}")

    return _each(file, cases, one)


def show(cases: tuple[str, ...]) -> int:
    """Tells every baseline: its figures, their drift since the first one, and why it was blessed.

    Raises:
        UsageError: nothing is declared, a case is not, or a baseline cannot be read.
        NotComparableError: there is none.
    """
    gates = declarations.found_from(Path.cwd())
    declarations.check_named(gates, cases)
    paths = sorted(gates.baselines.glob("*/*.json"))
    found = [path for path in paths if not cases or path.parent.name in cases]
    if not found:
        raise NotComparableError(
            f"there is no baseline in {gates.baselines}; write a run with goodput check --json "
            "run.json and bless it"
        )
    for path in found:
        baseline = baselines.read(path)
        if baseline is not None:
            _show(path, baseline)
    return 0


def _show(path: Path, baseline: Baseline) -> None:
    said = baseline.blessed
    at = f" at {said.commit}" if said.commit else ""
    click.echo(f"{baseline.case}, {baseline.tier}: {path}")
    click.echo(f"  blessed{at}: {said.reason} (baseline {baseline.blessings} of this program)")
    for name, value in sorted(baseline.values.items()):
        origin = baseline.origin.get(name)
        drift = (
            f" ({value / origin - 1:+.2%} since the first)" if origin and origin != value else ""
        )
        click.echo(f"  {name}: {metric_of(name).text(value)}{drift}")


def _title(place: _Place) -> str:
    device = f" on {place.run.device_name}" if place.run.device_name else ""
    return f"{place.run.case}, {place.run.tier}{device}"


def _each(file: Path, cases: tuple[str, ...], action: Callable[[_Place], None]) -> int:
    """Does `action` for every case of a run; a fault of one is told, and the others go on."""
    gates = declarations.found_from(Path.cwd())
    declarations.check_named(gates, cases)
    statuses: set[int] = set()
    places = list(_places(gates, file, cases))
    if not places:
        tell(f"{file} holds no run of a case that was asked for")
        return NotComparableError.exit_code
    for place in places:
        try:
            action(place)
        except GoodputError as error:
            tell(str(error))
            statuses.add(error.exit_code)
    return next((status for status in _PRECEDENCE if status in statuses), 0)


def _places(gates: Gates, file: Path, cases: tuple[str, ...]) -> Iterator[_Place]:
    for run in run_file.load(file).runs:
        if not cases or run.case in cases:
            yield _Place(
                run, baselines.path_of(gates.baselines, run.case, run.tier, run.device_name)
            )
