"""Holds counts against counts: what moved, in whole numbers, and which operators moved it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from goodput.gates.baselines import Baseline
from goodput.gates.observation import OperatorFigures
from goodput.gates.observed_run import CaseRun
from goodput.report.metrics import BY_MODE, OF_KERNEL, Metric, is_worse, metric_of
from goodput.report.verdicts import Cause, Finding, OperatorChange, Verdict
from goodput.work import ITEM_BYTES

_TF32_BYTES = 3
"""Between float32 and bfloat16: what its products are in speed."""

_NUMERATORS = ("useful_flops",)
_SHOWN = 5


def compared(run: CaseRun, baseline: Baseline) -> tuple[Finding, ...]:
    """What became of every figure that the run or the baseline has.

    Figures that the run's processes did not agree on are inconclusive: they are not exact.
    """
    values, unsteady = run.agreed, run.unsteady
    findings = [*_precision(values, baseline.values)]
    for name in sorted({*values, *baseline.values, *unsteady}):
        stem, dot, _ = name.partition(".")
        if dot and stem in BY_MODE:
            continue  # told by their mean width, above
        if name in unsteady:
            findings.append(_shaky(name, unsteady[name], baseline.values.get(name)))
            continue
        findings.append(_held(name, values, run, baseline))
    return tuple(_placed(finding, run) for finding in findings)


def _held(name: str, values: Mapping[str, float], run: CaseRun, baseline: Baseline) -> Finding:
    metric = metric_of(name)
    before, value = baseline.values.get(name), values.get(name)
    origin = baseline.origin.get(name, before)
    if before is None or value is None:
        return _one_sided(metric, name, before, value)
    pinned = metric.pinned
    if pinned and run.toolchain.get(pinned) != baseline.toolchain.get(pinned):
        versions = f"{baseline.toolchain.get(pinned)} and {run.toolchain.get(pinned)}"
        return Finding(
            name,
            Verdict.PASS if before == value else Verdict.INCOMPARABLE,
            before,
            value,
            None if before == value else Cause.METHOD,
            origin=origin,
            sentence=f"{name} depends on the version of {pinned}, which moved: {versions}",
        )
    if before == value:
        return Finding(name, Verdict.PASS, before, value, origin=origin)
    worse = is_worse(metric, before, value)
    cause = Cause.NUMERATOR if name in _NUMERATORS else Cause.CODE
    return Finding(
        name,
        Verdict.REGRESSED if worse else Verdict.IMPROVED,
        before,
        value,
        cause,
        origin=origin,
        sentence=moved(metric, name, before, value),
    )


def moved(metric: Metric, name: str, before: float, value: float) -> str:
    """What a figure was and is."""
    change = f" ({value / before - 1:+.2%})" if before else ""
    return f"{name} was {metric.text(before)} and is {metric.text(value)}{change}"


def _one_sided(metric: Metric, name: str, before: float | None, value: float | None) -> Finding:
    stem = name.partition(".")[0]
    gone = value is None
    # A kernel that is no longer launched has no registers, and that is no loss of knowledge.
    verdict = Verdict.PASS if stem in OF_KERNEL and gone else Verdict.INCOMPARABLE
    was = f"was {metric.text(before)} and is not known now" if gone else ""
    new = f"is {metric.text(value)} and has no baseline; bless it"
    return Finding(name, verdict, before, value, Cause.METHOD, sentence=f"{name} {was or new}")


def _shaky(name: str, values: tuple[float | None, ...], before: float | None) -> Finding:
    """A figure that is not exact; worse than before where each process says so."""
    metric = metric_of(name)
    told = ", ".join(metric.text(value) for value in values)
    known = [value for value in values if value is not None]
    if before is not None and len(known) == len(values):
        least = min(known) if metric.higher_is_worse else max(known)
        if is_worse(metric, before, least):
            sentence = f"{name} was {metric.text(before)}, and fresh processes gave {told}"
            return Finding(name, Verdict.REGRESSED, before, least, Cause.CODE, sentence=sentence)
    return Finding(
        name,
        Verdict.INCONCLUSIVE,
        cause=Cause.NOISE,
        sentence=f"{name} is not exact: fresh processes gave {told}",
    )


def _precision(values: Mapping[str, float], before: Mapping[str, float]) -> Iterator[Finding]:
    """Whether the products moved to wider or narrower modes, whatever their sum did."""
    old, new = _width(before), _width(values)
    if old is None or new is None or old == new:
        return
    wider = new > old
    yield Finding(
        "mode_width",
        Verdict.REGRESSED if wider else Verdict.IMPROVED,
        old,
        new,
        Cause.PRECISION,
        sentence=f"products run in {'wider' if wider else 'narrower'} modes: "
        f"{_by_mode(before)} before, {_by_mode(values)} now",
    )


def _modes(values: Mapping[str, float]) -> dict[str, float]:
    stem = "executed_flops."
    return {name.removeprefix(stem): v for name, v in values.items() if name.startswith(stem)}


def _width(values: Mapping[str, float]) -> float | None:
    """Mean bytes of an element of the products' modes, by FLOPs."""
    modes = _modes(values)
    whole = sum(modes.values())
    if not whole:
        return None
    widths = {mode: _TF32_BYTES if mode == "tf32" else ITEM_BYTES.get(mode, 4) for mode in modes}
    return sum(flops * widths[mode] for mode, flops in modes.items()) / whole


def _by_mode(values: Mapping[str, float]) -> str:
    modes = _modes(values)
    whole = sum(modes.values())
    ranked = sorted(modes.items(), key=lambda item: -item[1])
    return ", ".join(f"{flops / whole:.0%} {mode}" for mode, flops in ranked)


def _placed(finding: Finding, run: CaseRun) -> Finding:
    """The finding with the line of the program that it comes from, where that is known."""
    if finding.verdict is not Verdict.REGRESSED:
        return finding
    for place in run.places:
        if place.metric == finding.metric:
            told = f"{finding.sentence}: {place.sentence}" if place.sentence else finding.sentence
            return replace(finding, file=place.file, line=place.line, sentence=told)
    return finding


def operators_moved(
    before: Mapping[str, OperatorFigures], now: Mapping[str, OperatorFigures]
) -> tuple[OperatorChange, ...]:
    """The operators that need more than before, most added first.

    Ideal seconds where they are known, else FLOPs, else bytes, else calls.
    """
    changes: list[OperatorChange] = []
    figures = (("seconds", "s"), ("executed_flops", "FLOP"), ("bytes", "B"), ("calls", ""))
    for figure, unit in figures:
        more = sorted(_more(before, now, figure, unit), key=lambda one: -one.change)
        known = {one.operator for one in changes}
        changes += [one for one in more if one.operator not in known]
    return tuple(changes[:_SHOWN])


def _more(
    before: Mapping[str, OperatorFigures],
    now: Mapping[str, OperatorFigures],
    figure: str,
    unit: str,
) -> Iterable[OperatorChange]:
    none = OperatorFigures()
    for name in sorted({*before, *now}):
        old = getattr(before.get(name, none), figure)
        new = getattr(now.get(name, none), figure)
        if new > old:
            yield OperatorChange(name, figure, unit, old, new)
