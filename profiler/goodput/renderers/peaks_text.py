"""A measurement of peaks for a terminal: what was measured, its tables, its roofline."""

from __future__ import annotations

from goodput.capacity.measurement import Peaks
from goodput.renderers.peaks_tables import tables_of
from goodput.renderers.roofline_lines import roofline_of
from goodput.renderers.roofline_text import TITLE, roofline_text
from goodput.renderers.terminal import WIDTH, labelled, painter, sentences, table_lines
from goodput.units import UNKNOWN, ranges, seconds, si

_POWER_LIMITED = 1.03


def render_peaks_text(peaks: Peaks, *, width: int = WIDTH, colour: bool = False) -> str:
    """The peaks in lines of at most `width` characters.

    Args:
        peaks: what to say.
        width: 80 to 120 is what the tables were made for.
        colour: whether escape sequences may be used.
    """
    title = painter(colour, bold=True)
    roofline = roofline_of(peaks)
    blocks = [
        title(f"goodput peak: {peaks.device.name or f'unnamed {peaks.device.kind}'}"),
        sentences("partial", filter(None, [peaks.partial]), width, painter(colour, fg="red")),
        labelled(head_lines(peaks), width),
        *(table_lines(table, width, title) for table in tables_of(peaks, width)),
        f"{title(TITLE)}\n{roofline_text(roofline, width)}" if roofline else "",
        sentences("warning", _warnings(peaks), width, painter(colour, fg="yellow")),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def head_lines(peaks: Peaks) -> tuple[tuple[str, str], ...]:
    """Label and text of each line about the device and the measurement."""
    around = peaks.surroundings
    software = ", ".join(f"{name} {version}" for name, version in sorted(around.software.items()))
    driver = f"driver {around.driver}" if around.driver else ""
    lines = (
        ("device", _device(peaks)),
        ("datasheet", _datasheet(peaks)),
        ("measured", _measured(peaks)),
        ("backends", ", ".join(around.backends)),
        ("software", ", ".join(filter(None, (software, driver)))),
        ("threads", _threads(peaks)),
        ("clock", _clock(peaks)),
        ("zeros", _zeros(peaks)),
        ("checks", _checks(peaks)),
        ("also there", "; ".join(around.others)),
    )
    return tuple((label, text) for label, text in lines if text)


def _device(peaks: Peaks) -> str:
    device = peaks.device
    facts = [
        device.kind,
        f"{device.units} units" if device.units else "",
        f"{si(device.memory_bytes, 'B')} of memory" if device.memory_bytes else "",
        f"last-level cache {si(device.last_level_cache_bytes, 'B')}"
        if device.last_level_cache_bytes
        else "",
    ]
    return f"{device.name or UNKNOWN} ({', '.join(filter(None, facts))})"


def _datasheet(peaks: Peaks) -> str:
    sheet = peaks.capacity.datasheet
    if sheet is None:
        return f"{UNKNOWN}: no row has this name, so MFU is {UNKNOWN} too"
    return f"row {sheet.name}: {sheet.source}" if sheet.source else f"row {sheet.name}"


def _measured(peaks: Peaks) -> str:
    when = peaks.measured_at[:16].replace("T", " ")
    took = seconds(peaks.seconds or None)
    return ", ".join(filter(None, (when, f"{peaks.level} in {took}", f"seed {peaks.seed}")))


def _threads(peaks: Peaks) -> str:
    around = peaks.surroundings
    if not around.threads:
        return ""
    return f"{around.threads}" + (f" on cores {ranges(around.affinity)}" if around.affinity else "")


def _clock(peaks: Peaks) -> str:
    around = peaks.surroundings
    seen = [one.clock_hz for one in peaks.measurements if one.clock_hz]
    words = [
        f"{si(min(seen), 'Hz')} to {si(max(seen), 'Hz')} while measuring" if seen else "",
        f"at most {si(around.max_clock_hz, 'Hz')}" if around.max_clock_hz else "",
        f"power limit {si(around.power_limit_watts, 'W')}" if around.power_limit_watts else "",
    ]
    return ", ".join(filter(None, words)) or f"{UNKNOWN}: the device does not tell"


def _zeros(peaks: Peaks) -> str:
    if not peaks.zeros_ratio:
        return ""
    told = ", ".join(f"{mode} {ratio:.2f}" for mode, ratio in peaks.zeros_ratio.items())
    limited = max(peaks.zeros_ratio.values()) > _POWER_LIMITED
    meaning = "power limits the device" if limited else "power does not limit the device"
    return f"{told} x the rate on random data: {meaning}"


def _checks(peaks: Peaks) -> str:
    checks = [check for one in peaks.measurements for check in one.checks]
    if not checks:
        return ""
    failed = sorted({check.name for check in checks if not check.passed})
    told = f"; not met: {', '.join(failed)}" if failed else ""
    return f"{sum(check.passed for check in checks)} of {len(checks)} met{told}"


def _warnings(peaks: Peaks) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*peaks.warnings, *peaks.capacity.warnings)))
