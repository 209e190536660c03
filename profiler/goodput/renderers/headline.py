"""The headline: what fraction, of what, against what, and by which rules."""

from __future__ import annotations

from goodput.capacity.profile import Capacity, Peak
from goodput.renderers.ratios import SOFT, efficiency, ratio
from goodput.report.model import Report, StepSummary, Totals
from goodput.units import UNKNOWN, seconds, si

_CLOCKS = {
    "event": "device events",
    "window": "synchronised windows",
    "host": "host clock",
    "trace": "profiled steps of the trace",
}
_CONVENTIONS = {
    "exact": "exact (attention counts its unmasked pairs only)",
    "dense-attention": "dense-attention (every attention pair counts, masked or not)",
}
# Bookkeeping that is in the JSON and tells a reader nothing.
_UNTOLD = frozenset({"device_place", "device_index", "record_shapes", "with_stack"})
_MODES_SHOWN = 3


def headline(report: Report) -> tuple[tuple[str, str], ...]:
    """Label and text of each line, the most important one first."""
    lines = _untimed_step(report) if report.step.count == 0 else _timed_step(report)
    lines.append(("convention", _CONVENTIONS.get(report.convention, report.convention)))
    lines += [("capacity", text) for text in capacity_lines(report)]
    lines.append(("device", _device(report)))
    return tuple(lines)


def _timed_step(report: Report) -> list[tuple[str, str]]:
    totals = report.totals
    lines = [
        ("program goodput", _goodput(totals)),
        ("MFU", _against_datasheet(totals.mfu, report)),
        ("HFU", _against_datasheet(totals.hfu, report)),
    ]
    if report.coverage.untimed:
        lines.append(("operator times", f"{UNKNOWN}: {report.coverage.untimed}"))
    else:
        share = efficiency(totals.roofline_efficiency, bound=SOFT)
        lines.append(("roofline", f"{share} of the device time was ideal"))
    lines += [("step", _step(report.step)), ("useful", _useful(totals))]
    if report.coverage.untimed:
        lines += _other_work(totals)
    if totals.tokens_per_s is not None:
        lines.append(("tokens", si(totals.tokens_per_s, "token/s")))
    return lines


def _untimed_step(report: Report) -> list[tuple[str, str]]:
    """What is known of a step that was counted only; its rates are all unknown for one reason."""
    untimed = f"{UNKNOWN}: {report.coverage.untimed}"
    ratios = ("program goodput", f"{UNKNOWN} (no undisturbed step was timed; nor MFU and HFU)")
    return [
        ("useful", _useful(report.totals)),
        *_other_work(report.totals, formula=bool(report.rows_convention)),
        ("times", untimed),
        ratios,
    ]


def _other_work(totals: Totals, *, formula: bool = False) -> list[tuple[str, str]]:
    """What a step needs beside useful FLOPs, for a report whose tables have no times to tell.

    `formula` is whether the useful FLOPs are a formula's, so that the difference says nothing.
    """
    if totals.useful_flops is None:
        return []
    parts = [
        f"vector {si(totals.vector_flops, 'FLOP')}",
        f"special functions {si(totals.special)}",
        f"at least {si(totals.bytes, 'B')} moved",
    ]
    again = (totals.executed_flops or 0.0) - totals.useful_flops
    if again > 0 and not formula:
        parts.insert(0, f"recompute and padding {si(again, 'FLOP')}")
    lines = [("beside it", ", ".join(parts))]
    if totals.ideal_seconds is not None:
        text = f"{seconds(totals.ideal_seconds)}, if each operator reached its roof"
        lines.append(("ideal step", text))
    return lines


def _goodput(totals: Totals) -> str:
    text = f"{ratio(totals.program_goodput)} of the delivered capacity became useful model math"
    if totals.useful_flops is None:
        return f"{UNKNOWN} (no step was counted)"
    if totals.program_goodput is None:
        return f"{UNKNOWN} (no compute roof is known for what ran)"
    if totals.program_goodput_sustained is not None:
        text += f"; {ratio(totals.program_goodput_sustained)} of the sustained capacity"
    return text


def _against_datasheet(value: float | None, report: Report) -> str:
    if report.totals.useful_flops is None:
        return f"{UNKNOWN} (no step was counted)"
    if value is not None:
        return f"{ratio(value)} of the dense datasheet peak"
    if report.capacity is None or report.capacity.datasheet is None:
        return f"{UNKNOWN} (no datasheet row for this device)"
    return f"{UNKNOWN} (the datasheet row has no peak for a mode that ran)"


def _step(step: StepSummary) -> str:
    basis = step.basis or UNKNOWN
    clock = _CLOCKS.get(basis, basis)
    if step.count == 1:
        return f"{seconds(step.median)} (1 step, {clock})"
    spread = f"{seconds(step.p05)} to {seconds(step.p95)}"
    return f"{seconds(step.median)} median, {spread} (p05 to p95 of {step.count} steps, {clock})"


def _useful(totals: Totals) -> str:
    if totals.useful_flops is None:
        return f"{UNKNOWN} (no step was counted)"
    text = f"{si(totals.useful_flops, 'FLOP')} a step"
    if totals.useful_flops_per_s is not None:
        text += f", {si(totals.useful_flops_per_s, 'FLOP/s')} per device"
    modes = sorted(totals.useful_flops_by_mode.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{mode or 'no mode'} {si(flops, 'FLOP')}" for mode, flops in modes if flops)
    return f"{text} ({shares})" if shares else text


def _device(report: Report) -> str:
    name = report.device.name or f"unnamed {report.device.kind}" if report.device else UNKNOWN
    told = sorted((key, text) for key, text in report.environment.items() if key not in _UNTOLD)
    software = ", ".join(f"{key} {text}" for key, text in told)
    return f"{name} ({software})" if software else name


def capacity_lines(report: Report) -> list[str]:
    """The roofs that the program ran under, each with how it is known."""
    capacity = report.capacity
    if capacity is None and report.step.count == 0:
        return [f"{UNKNOWN} (counts need none; --capacity FILE adds ideal seconds)"]
    if capacity is None:
        return [f"{UNKNOWN} (name a file with --capacity FILE to get the ratios)"]
    used = sorted(report.totals.useful_flops_by_mode.items(), key=lambda item: -item[1])
    modes = [mode for mode, flops in used if flops and mode in capacity.flops_per_s]
    roofs = [(mode, capacity.flops_per_s[mode]) for mode in modes[:_MODES_SHOWN]]
    figures = [(f"{mode} {si(peak.rate, 'FLOP/s')}", known(peak)) for mode, peak in roofs]
    figures += _memory(capacity)
    # Figures that are known the same way, as those of one datasheet row, share a line.
    sources = dict.fromkeys(source for _, source in figures)
    return [
        f"{', '.join(text for text, its in figures if its == source)}, {source}"
        for source in sources
    ]


def _memory(capacity: Capacity) -> list[tuple[str, str]]:
    points = capacity.bandwidth.get("copy") or next(iter(capacity.bandwidth.values()), ())
    if not points:
        return []
    text = f"memory {si(points[-1].peak.rate, 'B/s')}"
    if len(points) > 1:
        first, last = points[0], points[-1]
        text = (
            f"memory {si(first.peak.rate, 'B/s')} at {si(first.footprint_bytes, 'B')} to "
            f"{si(last.peak.rate, 'B/s')} at {si(last.footprint_bytes, 'B')}"
        )
    return [(text, known(points[-1].peak))]


def known(peak: Peak) -> str:
    """How a roof is known, e.g. `measured 2026-08-01: torch.mm 1024x1024x1024`."""
    provenance = peak.provenance
    day = f" {provenance.measured_at[:10]}" if provenance.measured_at else ""
    text = f"{provenance.source}{day}: {provenance.detail}"
    if not provenance.detail or provenance.detail.startswith(provenance.source):
        text = provenance.detail or f"{provenance.source}{day}"
    return text if provenance.url in text else f"{text}, {provenance.url}"
