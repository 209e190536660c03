"""What moved between two recordings, operator by operator: more calls, more work, or slower. Pure.

The seconds of an operator in a step are calls x work of a call / efficiency, with the work as ideal
seconds on the same roofs for both. The logarithmic mean splits a difference of two such products
into three parts that sum to it exactly, whichever recording comes first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from goodput.capacity.profile import Capacity
from goodput.errors import NotComparableError
from goodput.report.build import build
from goodput.report.model import OperatorRow, Report
from goodput.report.per_step import Key, seconds_by_step
from goodput.report.verdicts import Cause
from goodput.trace.recording import Recording
from goodput.trace.table import Trace

_BAND = (5.0, 95.0)
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Term:
    """Seconds of a step that were added, by what they come from.

    Attributes:
        count: by more or fewer calls.
        work: by calls that need more or less, in ideal seconds; None where that is not known.
        efficiency: by calls that reach less or more of their roofs; where the work is not known,
            by longer or shorter calls.
    """

    count: float
    work: float | None
    efficiency: float

    @property
    def seconds(self) -> float:
        """All of them together."""
        return self.count + (self.work or 0.0) + self.efficiency


@dataclass(frozen=True, slots=True)
class Moved:
    """One operator of a phase and a math mode in both recordings.

    Attributes:
        operator, phase, dtype: which.
        before, after: seconds of a step.
        calls: of a step, in both.
        term: what the difference comes from.
        band: seconds within which steps of one run differ: less is no difference.
    """

    operator: str
    phase: str
    dtype: str
    before: float
    after: float
    calls: tuple[float, float]
    term: Term
    band: float

    @property
    def shown(self) -> bool:
        """Whether the difference is outside of the noise band."""
        return abs(self.after - self.before) > self.band


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure of the step in both recordings; None where not known."""

    name: str
    unit: str
    before: float | None
    after: float | None
    band: float = 0.0

    @property
    def change(self) -> float | None:
        """The relative change."""
        if self.before is None or self.after is None or not self.before:
            return None
        return self.after / self.before - 1


@dataclass(frozen=True, slots=True)
class RecordingDifference:
    """What moved from one recording to another.

    Attributes:
        titles: the programs.
        headlines: figures of the step.
        operators: by the seconds that moved, most first.
        causes: what explains the step's difference, with a sentence each.
        notes: what should be known of the two.
    """

    titles: tuple[str, str]
    headlines: tuple[Headline, ...]
    operators: tuple[Moved, ...]
    causes: tuple[tuple[Cause, str], ...]
    notes: tuple[str, ...]


def difference(
    first: tuple[Recording, Capacity | None], second: tuple[Recording, Capacity | None]
) -> RecordingDifference:
    """What moved from `first` to `second`, each with the roofs that were saved with it.

    Operators are held against the first one's roofs in both, so that a roof that moved moves none.

    Raises:
        NotComparableError: they are of two devices or frameworks.
        NotMeasuredError: one of them holds no whole step.
    """
    (before, roofs), (after, own) = first, second
    _check_alike(before, after)
    reports = build(before, roofs), build(after, own)
    alike = reports[0], build(after, roofs or own)
    moved = _operators(before, after, alike)
    headlines = _headlines(before, after, reports)
    return RecordingDifference(
        (before.program, after.program),
        headlines,
        moved,
        _causes({one.name: one for one in headlines}, reports),
        _notes(before, after, reports),
    )


def _check_alike(before: Recording, after: Recording) -> None:
    names = [r.trace.device.name if r.trace.device else "" for r in (before, after)]
    if all(names) and names[0] != names[1]:
        raise NotComparableError(
            f"the recordings are of two devices, {names[0]} and {names[1]}: their seconds are not "
            "comparable; goodput count --on tells what the counts come to on either"
        )
    frameworks = before.trace.framework, after.trace.framework
    if frameworks[0] != frameworks[1]:
        raise NotComparableError(
            f"one recording is of {frameworks[0]} and one of {frameworks[1]}, whose operators have "
            "no names in common"
        )


def split(
    before: tuple[float, float, float | None], after: tuple[float, float, float | None]
) -> Term:
    """What a difference of an operator's seconds comes from.

    Args:
        before: its seconds, calls and ideal seconds in a step; None where not known.
        after: the same.
    """
    (old, calls, ideal), (new, more, needed) = before, after
    if old <= 0 or new <= 0 or calls <= 0 or more <= 0:
        return Term(new - old, None, 0.0)  # it came or went
    mean = old if math.isclose(old, new, rel_tol=_SAME) else (new - old) / math.log(new / old)
    count = mean * math.log(more / calls)
    if not ideal or not needed:
        return Term(count, None, new - old - count)
    ratio = (needed / more) / (ideal / calls)
    work = 0.0 if math.isclose(ratio, 1.0, rel_tol=_SAME) else mean * math.log(ratio)
    return Term(count, work, new - old - count - work)


def _operators(
    before: Recording, after: Recording, reports: tuple[Report, Report]
) -> tuple[Moved, ...]:
    old, new = _grouped(reports[0]), _grouped(reports[1])
    bands = _bands(before.trace), _bands(after.trace)
    moved = []
    for key in sorted({*old, *new}):
        a, b = old.get(key, _ABSENT), new.get(key, _ABSENT)
        band = math.hypot(bands[0].get(key, 0.0), bands[1].get(key, 0.0))
        term = split((a.seconds, a.calls, a.ideal), (b.seconds, b.calls, b.ideal))
        moved.append(Moved(*key, a.seconds, b.seconds, (a.calls, b.calls), term, band))
    return tuple(sorted(moved, key=lambda one: -abs(one.after - one.before)))


@dataclass(frozen=True, slots=True)
class _Sums:
    seconds: float = 0.0
    calls: float = 0.0
    ideal: float | None = 0.0

    def plus(self, row: OperatorRow) -> _Sums:
        known = self.ideal is not None and row.ideal_seconds is not None
        return _Sums(
            self.seconds + (row.device_seconds or 0.0),
            self.calls + row.calls,
            (self.ideal or 0.0) + (row.ideal_seconds or 0.0) if known else None,
        )


_ABSENT = _Sums()


def _grouped(report: Report) -> dict[Key, _Sums]:
    found: dict[Key, _Sums] = {}
    for row in report.operators:
        key = row.operator, row.phase, row.dtype
        found[key] = found.get(key, _ABSENT).plus(row)
    return found


def _bands(trace: Trace) -> dict[Key, float]:
    """Half the span of most steps' seconds, by operator."""
    return {key: _half_span(values) for key, values in seconds_by_step(trace).items()}


def _half_span(values: list[float] | tuple[float, ...]) -> float:
    if not values:
        return 0.0
    low, high = np.percentile(values, _BAND)
    return float(high - low) / 2


def _headlines(
    before: Recording, after: Recording, reports: tuple[Report, Report]
) -> tuple[Headline, ...]:
    a, b = reports
    band = math.hypot(_half_span(before.wall_seconds), _half_span(after.wall_seconds))
    roofs = _one_roof(a), _one_roof(b)
    cost = _product(a.step.median, roofs[0]), _product(b.step.median, roofs[1])
    return (
        Headline("step", "s", a.step.median, b.step.median, band),
        Headline("useful", "FLOP", a.totals.useful_flops, b.totals.useful_flops),
        Headline("executed", "FLOP", a.totals.executed_flops, b.totals.executed_flops),
        Headline("capacity", "FLOP/s", *roofs),
        Headline("cost", "FLOP", *cost),
        Headline("goodput", "%", a.totals.program_goodput, b.totals.program_goodput),
        Headline("mfu", "%", a.totals.mfu, b.totals.mfu),
    )


def _one_roof(report: Report) -> float | None:
    """The roof of the mode with most useful FLOPs."""
    modes = report.totals.useful_flops_by_mode
    if report.capacity is None or not modes:
        return None
    peak = report.capacity.flops_per_s.get(max(modes, key=lambda mode: modes[mode]))
    return peak.rate if peak else None


def _product(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a * b


_ROOF_MOVED = 0.03
"""A roof that moved by more than its spot check allows."""


def _causes(
    found: Mapping[str, Headline], reports: tuple[Report, Report]
) -> tuple[tuple[Cause, str], ...]:
    causes: list[tuple[Cause, str]] = []
    modes = [report.totals.useful_flops_by_mode for report in reports]
    useful, step, roof = found["useful"], found["step"], found["capacity"]
    if useful.change:
        causes.append((Cause.NUMERATOR, "the model needs other work: useful FLOPs moved"))
    elif modes[0] != modes[1]:
        causes.append((Cause.PRECISION, "the same useful FLOPs run in other math modes"))
    if roof.change is not None and abs(roof.change) > _ROOF_MOVED:
        causes.append((Cause.ANCHOR, "the denominator moved: the device delivers another rate"))
    if step.before is not None and step.after is not None:
        slower = step.after - step.before
        if abs(slower) <= step.band:
            causes.append((Cause.NOISE, "the step moved by less than steps of one run differ"))
        elif not causes:
            word = "slower" if slower > 0 else "faster"
            causes.append((Cause.CODE, f"the same work on the same device got {word}"))
    return tuple(causes)


def _notes(before: Recording, after: Recording, reports: tuple[Report, Report]) -> tuple[str, ...]:
    notes = ["the band is of steps within a run; runs differ by more, so it shows no regression"]
    for letter, recording, report in zip("AB", (before, after), reports, strict=True):
        if report.coverage.untimed:
            notes.append(f"{letter} has no operator times: {report.coverage.untimed}")
        if recording.basis == "trace":
            notes.append(f"{letter} was timed under a profiler")
    settings = [report.environment for report in reports]
    for name in sorted({*settings[0], *settings[1]}):
        was, now = settings[0].get(name), settings[1].get(name)
        if was != now:
            notes.append(f"{name} was {was or 'not told'} and is {now or 'not told'}")
    return tuple(notes)
