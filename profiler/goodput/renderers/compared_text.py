"""A comparison for a terminal: the answer in one sentence, then the tables that it rests on."""

from __future__ import annotations

from goodput.renderers.compared_tables import tables_of
from goodput.renderers.terminal import WIDTH, labelled, painter, sentences, table_lines
from goodput.report.compared import Comparison
from goodput.units import percent, si


def render_comparison(comparison: Comparison, *, width: int = WIDTH, colour: bool = False) -> str:
    """The comparison in lines of at most `width` characters.

    Args:
        comparison: what to say.
        width: 80 to 120 is what the tables were made for.
        colour: whether escape sequences may be used.
    """
    title = painter(colour, bold=True)
    blocks = [
        title(f"goodput compare: {comparison.operator}"),
        labelled(head_lines(comparison), width),
        *(table_lines(table, width, title) for table in tables_of(comparison)),
        sentences("warning", comparison.warnings, width, painter(colour, fg="yellow")),
        labelled([("result", comparison.sentence)], width) if comparison.sentence else "",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def head_lines(comparison: Comparison) -> list[tuple[str, str]]:
    """Label and text of each line about how it was measured."""
    lines = [
        ("reference", comparison.reference or "none"),
        ("measured", _measured(comparison)),
        ("trust", _trust(comparison)),
        ("caches", _caches(comparison)),
        ("clocks", _clocks(comparison)),
        ("capacity", _capacity(comparison)),
        ("device", _device(comparison)),
        ("seed", str(comparison.seed)),
    ]
    return [(label, text) for label, text in lines if text]


def _trust(comparison: Comparison) -> str:
    if comparison.compiled or not comparison.device:
        return ""
    return f"{comparison.trust}: {', '.join(comparison.checks)}"


def _measured(comparison: Comparison) -> str:
    if not comparison.device:
        return ""
    own = "the median of its calls"
    if comparison.share < 0.5:
        own = f"the {100 * comparison.share:.0f}th percentile of its calls (a CPU is shared)"
    return f"{comparison.processes} fresh processes; each counts once, by {own}"


def _caches(comparison: Comparison) -> str:
    if not comparison.flush_bytes:
        return ""
    held = f"the last one holds {si(comparison.cache_bytes, 'B')}"
    known = held if comparison.cache_bytes else "how much the last one holds is not known"
    return f"{si(comparison.flush_bytes, 'B')} are written before each train of calls; {known}"


def _clocks(comparison: Comparison) -> str:
    clocks = comparison.clocks
    if clocks is None:
        return ""
    low, middle, high = (si(hz, "Hz") for hz in (clocks.low_hz, clocks.median_hz, clocks.high_hz))
    held = f"; held down by power or heat in {percent(clocks.slowed, 0)} of readings"
    return f"{low} to {high}, median {middle}{held if clocks.slowed else ''}"


def _capacity(comparison: Comparison) -> str:
    capacity = comparison.capacity
    if comparison.compiled:
        return ""
    if capacity is None:
        return "unknown: no share of it is told, and no time is held against its limit"
    rates = [f"{m} {si(p.rate, 'FLOP/s')}" for m, p in capacity.flops_per_s.items()]
    points = [p.peak.rate for p in capacity.bandwidth.get("copy", ())]
    if points:
        rates.append(f"memory {si(max(points), 'B/s')} to {si(min(points), 'B/s')}")
    return ", ".join(rates)


def _device(comparison: Comparison) -> str:
    name = comparison.capacity.device.name if comparison.capacity else comparison.device
    software = ", ".join(f"{n} {v}" for n, v in sorted(comparison.environment.items()))
    return f"{name or comparison.device} ({software})" if software else name
