"""What `goodput compare` and `goodput.compare` share: studies measured and judged."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from goodput.calibration.device import best_device
from goodput.calibration.roofs import Needs, capacity_of
from goodput.capacity.profile import Capacity
from goodput.commands.given import capacity_for
from goodput.commands.progress import progress
from goodput.commands.streams import tell
from goodput.comparison.declared import Case, Study, named
from goodput.comparison.declared import cases as cases_of
from goodput.comparison.experiment import TIMEOUT_SECONDS, Experiment, Place, Plan, described
from goodput.comparison.judging import judged
from goodput.comparison.roofs import contractions_of, ideal_of
from goodput.comparison.source import pickled
from goodput.comparison.trust import LEVELS
from goodput.comparison.wire import Described
from goodput.errors import UsageError, first_line
from goodput.frontends.nvidia_clocks import ClockWatch, Reading
from goodput.measure.clock import HostClock
from goodput.measure.families import processes_for
from goodput.measure.statistics import median
from goodput.renderers.compared_html import render_comparison_html
from goodput.renderers.compared_text import render_comparison
from goodput.report.compared import ClockRange, Comparison

Progress = Callable[[str], None]

# Bits of NVML's clocks event reasons: idle; power caps, slowdowns by heat, a power brake.
_IDLE = 0x01
_SLOWED = 0x04 | 0x08 | 0x20 | 0x40 | 0x80


@dataclass(frozen=True, slots=True)
class Choice:
    """What of the studies is wanted, and how.

    Attributes:
        variants: words; a variant is in if one of them is in its name. None: all.
        parameters: values of case parameters as text; a case is in if it has all of them.
        processes: fresh ones; None by the number of comparisons.
        trust: the level.
        targets: chips to compile Triton kernels for, instead of timing.
        capacity: roofs that are given; True to measure them, False to do without.
        timeout_seconds: that a process may be silent.
        seed: of all values and orders; None for a new one.
    """

    variants: tuple[str, ...] = ()
    parameters: Mapping[str, str] | None = None
    processes: int | None = None
    trust: str = "standard"
    targets: tuple[str, ...] = ()
    capacity: Capacity | str | os.PathLike[str] | bool = True
    timeout_seconds: float = TIMEOUT_SECONDS
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Compared(Comparison):
    """A comparison that shows itself: as text, and in a notebook as tables."""

    def __str__(self) -> str:
        """The text of the command."""
        return render_comparison(self)

    def _repr_html_(self) -> str:
        """The tables."""
        return render_comparison_html(self)


def compare(
    *,
    reference: Callable[..., Any],
    variants: Mapping[str, Callable[..., Any]],
    inputs: Callable[..., Any],
    cases: Sequence[Case | Mapping[str, Any]] = (),
    processes: int | None = None,
    trust: str = "standard",
    capacity: Capacity | str | os.PathLike[str] | bool = True,
    seed: int | None = None,
) -> Compared:
    """Measures variants of one operator against a reference, each sample a fresh process.

    Fresh processes load the functions from the file that defines them, which must do nothing else
    when it is imported (`if __name__ == "__main__":`); those of a notebook need cloudpickle.

    Args:
        reference: says what is right, and what work is useful.
        variants: by name.
        inputs: makes the arguments of a call from a case's parameters.
        cases: those of `goodput.cases`, or parameters by name; one without parameters if empty.
        processes: fresh ones; as many as a proof needs without it.
        trust: `fast`, `standard` or `audit`.
        capacity: True measures the roofs of the device, False does without, a file or a capacity
            gives them.
        seed: of all values and orders; a new one without it.

    Returns:
        The comparison, which a notebook shows as a table.

    Raises:
        UsageError: a function cannot be had in another process, or an argument is wrong.
        NotMeasuredError: no framework is installed.
    """
    study = Study(named(reference))
    study.refer(named(reference), reference)
    for name, call in variants.items():
        study.add(name, call)
    study.cases = [_case(one, inputs) for one in (cases or cases_of())]
    place = Place(study=pickled(study))
    choice = Choice(processes=processes, trust=trust, capacity=capacity, seed=seed)
    with progress() as show:
        found = comparisons(place, choice, show)[0]
    return Compared(**{one.name: getattr(found, one.name) for one in fields(found)})


def _case(given: Case | Mapping[str, Any], inputs: Callable[..., Any]) -> Case:
    if not isinstance(given, Case):
        return Case(dict(given), inputs)
    return given if given.inputs is not None else replace(given, inputs=inputs)


def comparisons(
    place: Place, choice: Choice, show: Progress = lambda _: None
) -> tuple[Comparison, ...]:
    """All studies at `place`, measured one after the other.

    Raises:
        UsageError: the file cannot be loaded, or has nothing of what is wanted.
    """
    if choice.trust not in LEVELS:
        raise UsageError(f"there is no trust level {choice.trust}; take {', '.join(LEVELS)}")
    show("loading")
    found = described(place, choice.timeout_seconds)
    plans = [plan for study in found if (plan := _plan(place, study, choice)) is not None]
    if not plans:
        raise UsageError(_nothing_of(found, choice))
    return tuple(_measured(plan, choice, show) for plan in plans)


def _plan(place: Place, study: Described, choice: Choice) -> Plan | None:
    """What is to be measured of one study; None where nothing of it is wanted."""
    wanted = choice.parameters or {}
    cases = tuple(
        number
        for number, parameters in enumerate(study.parameters)
        if all(parameters.get(name) == value for name, value in wanted.items())
    )
    others = [
        name
        for name in study.calls
        if name != study.reference
        and (not choice.variants or any(word in name for word in choice.variants))
    ]
    if not cases and (wanted or study.parameters):
        return None
    if not others and choice.variants:
        return None
    entries = (*filter(None, [study.reference]), *others)
    pairs = len(cases) * len(entries) * (len(entries) - 1) // 2
    return Plan(
        place=place,
        described=study,
        cases=cases,
        entries=entries,
        processes=choice.processes or processes_for(pairs),
        trust=choice.trust,
        seed=secrets.randbits(62) if choice.seed is None else choice.seed,
        timeout_seconds=choice.timeout_seconds,
        targets=choice.targets,
    )


def _nothing_of(found: Sequence[Described], choice: Choice) -> str:
    calls = ", ".join(name for study in found for name in study.calls)
    cases = "; ".join(name for study in found for name in study.cases)
    asked = [*(f"-k {word}" for word in choice.variants)]
    asked += [f"--case {key}={value}" for key, value in (choice.parameters or {}).items()]
    return f"nothing is left of {' '.join(asked)}: there are {calls}, on {cases or 'no cases'}"


def _measured(plan: Plan, choice: Choice, show: Progress) -> Comparison:
    experiment = Experiment(plan, show)
    fault = _undeclared(plan)
    if fault:
        experiment.collected.refuse(fault)
        return replace(judged(plan, experiment.collected), warnings=(fault,))
    if choice.targets:
        experiment.compile_for_targets()
        return judged(plan, experiment.collected)
    experiment.count()
    capacity = _roofs(experiment, choice, show)
    reference = plan.described.reference
    counts = experiment.collected.counts
    bound = {
        case: ideal_of(counts[case, reference], capacity).bound
        for case in plan.cases
        if (case, reference) in counts
    }
    # The driver takes an index or a UUID, as the variable does; all workers use its first.
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0] or "0"
    with ClockWatch(HostClock(), gpu) as watch:
        experiment.sample(bound)
    found = judged(plan, experiment.collected, capacity)
    return found if found.device == "cpu" else replace(found, clocks=clocks_of(watch.readings))


def clocks_of(readings: Sequence[Reading]) -> ClockRange | None:
    """The clocks of a device that was at work; None where none was told."""
    working = [one for one in readings if one.clock_hz and not one.reasons & _IDLE]
    clocks = [one.clock_hz for one in working if one.clock_hz]
    if not clocks:
        return None
    slowed = sum(bool(one.reasons & _SLOWED) for one in working) / len(working)
    return ClockRange(min(clocks), median(clocks), max(clocks), slowed)


def _undeclared(plan: Plan) -> str:
    """What a study lacks so that nothing of it can be measured; "" where it is whole."""
    operator = plan.described.entry
    if not plan.described.reference:
        declare = f'@goodput.reference("{operator}")'
        return f"{operator} has no reference: decorate one function with {declare}"
    if not plan.cases:
        return f'{operator} has no cases: call goodput.cases("{operator}", inputs=..., ...)'
    if len(plan.entries) == 1 and not plan.described.faults:
        return f'{operator} has no variant: decorate one with @goodput.variant("{operator}")'
    return ""


def _roofs(experiment: Experiment, choice: Choice, show: Progress) -> Capacity | None:
    """The roofs that are given, or those of the device for the modes and products of the cases."""
    if choice.capacity is False:
        return None
    if choice.capacity is not True:
        return capacity_for(None, choice.capacity)
    counts = experiment.collected.counts.values()
    modes = tuple(dict.fromkeys(mode for one in counts for mode in one.useful_flops))
    products = tuple(dict.fromkeys(c for one in counts for c in contractions_of(one)))
    try:
        return capacity_of(best_device()[0], Needs(modes, products), progress=show)
    except RuntimeError as error:  # a device without memory left, or in a bad state
        tell(f"the roofs of the device could not be measured ({first_line(error)})")
        return None


def place_of(path: Path) -> Place:
    """The place of a user's file.

    Raises:
        UsageError: there is no such file.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}; give a Python file that declares variants")
    return Place(file=str(path.resolve()))
