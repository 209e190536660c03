"""The tables of a measurement of peaks: rates, memory, latency, links and collectives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from goodput.capacity.measurement import SCALED, Curve, Measurement, Peaks
from goodput.renderers.peaks_figures import (
    MOVEMENT,
    Figure,
    best_of,
    figures_of,
    levels_of,
    rate_of,
    worst_status,
)
from goodput.renderers.tables import Column, Table, filled, fit
from goodput.units import UNKNOWN, percent, seconds, si

LEVELS = 6
"""Footprints of the memory table."""

_PAST_THE_CACHE = 4
_KERNEL_HEADER = "best shape and kernel"
_NO_ROOF = "no roof"


def tables_of(peaks: Peaks, width: int) -> tuple[Table, ...]:
    """The tables that have rows; kernels whose names do not fit get a table of their own."""
    figures = figures_of(peaks)
    rates, kernels = rate_table(figures), kernel_table(figures)
    whole = fit(rates, width).columns[-1] == rates.columns[-1]
    tables = (
        rates,
        *(() if whole else (kernels,)),
        memory_table(peaks),
        latency_table(peaks),
        transfer_table(peaks),
    )
    return tuple(table for table in tables if table.rows)


def rate_table(figures: Sequence[Figure]) -> Table:
    """A row for each unit of arithmetic and dtype."""
    columns = (
        Column("unit", tuple(figure.unit for figure in figures)),
        Column("dtype", tuple(figure.subject for figure in figures), least=14),
        _right("datasheet", [_rate(f.promised) for f in figures], spare=2),
        _right("ceiling", [_rate(f.ceiling) for f in figures], spare=4),
        _right("burst", [_rate(rate_of(f.burst)) for f in figures]),
        _right("sustained", [_rate(rate_of(f.sustained)) for f in figures], spare=1),
        _right("share", [percent(f.share) for f in figures]),
        _right("spread", [_spread(f.best) for f in figures], spare=3),
        Column("status", tuple(_status(f) for f in figures)),
        Column(_KERNEL_HEADER, tuple(_kernel(f.best) for f in figures), least=20, spare=5),
    )
    return Table("What each unit reaches", columns, tuple(_rate_notes(figures)))


def kernel_table(figures: Sequence[Figure]) -> Table:
    """What reached the burst rate of each unit and dtype, with its clock."""
    reached = [f for f in figures if f.best is not None and f.best.valid]
    columns = (
        Column("unit", tuple(f.unit for f in reached)),
        Column("dtype", tuple(f.subject for f in reached), least=14),
        _right("clock", [si(f.best.clock_hz if f.best else None, "Hz") for f in reached]),
        Column(_KERNEL_HEADER, tuple(_kernel(f.best) for f in reached), least=30),
    )
    return Table("What reached it", columns)


def _right(header: str, cells: Iterable[str], spare: int = 0) -> Column:
    return Column(header, tuple(cells), right=True, spare=spare)


def _rate(rate: float | None) -> str:
    return si(rate, "/s")


def _spread(one: Measurement | None) -> str:
    """The spread; one bout has none."""
    return percent(one.spread) if one is not None and len(one.bouts) > 1 else UNKNOWN


def _status(figure: Figure) -> str:
    """The status; where the sustained rate has another, both."""
    words = [_word(one) for one in (figure.burst, figure.sustained) if one is not None]
    return " / ".join(dict.fromkeys(words))


def _word(one: Measurement) -> str:
    return one.status if one.valid or one.rate is None else _NO_ROOF


def _kernel(one: Measurement | None) -> str:
    if one is None or not one.valid:
        return UNKNOWN
    shape = "x".join(str(size) for size in one.shape)
    return one.kernel if not shape or shape in one.kernel else f"{shape} {one.kernel}".rstrip()


def _rate_notes(figures: Sequence[Figure]) -> list[str]:
    notes = ["rates count FLOP; those of the special unit count function calls"]
    if any(figure.share is not None for figure in figures):
        notes.append("share: burst over the datasheet's dense rate, quoted at a nominal clock")
    for figure in figures:
        for one in (figure.burst, figure.sustained):
            if one is not None:
                notes += reasons_of(one)
    return notes


def reasons_of(one: Measurement) -> list[str]:
    """Why a figure is missing, was not measured this time, or is no roof."""
    name = " ".join(word for word in (one.unit, one.subject, one.regime) if word)
    if one.rate is None:
        return [f"{name} is {one.status}: {one.detail or 'no reason is known'}"]
    if one.status == SCALED and one.detail:
        return [f"{name} is scaled: {one.detail}"]
    if not one.valid:
        failed = "; ".join(f"{c.name}: {c.detail}" for c in one.checks if not c.passed)
        return [f"{name} reached {si(one.rate, f'{one.quantity}/s')} and is no roof: {failed}"]
    return []


def memory_table(peaks: Peaks) -> Table:
    """A row for each memory mix and pattern, a column for each of a few footprints."""
    own = [one for one in peaks.measurements if one.unit in MOVEMENT]
    levels = levels_of([one for one in own if one.unit == MOVEMENT[0]] or own, LEVELS)
    keys = dict.fromkeys(
        (one.unit, one.subject) for unit in MOVEMENT for one in own if one.unit == unit
    )
    rows = [[one for one in own if (one.unit, one.subject) == key] for key in keys]
    pins = peaks.capacity.datasheet.bytes_per_s if peaks.capacity.datasheet else None
    cache = peaks.device.last_level_cache_bytes
    columns = (
        Column("access", tuple(subject for _, subject in keys), least=10),
        *(
            _right(_level(high, cache), [si(rate_of(_at(row, low, high)), "B/s") for row in rows])
            for low, high in levels
        ),
        _right("of pins", [percent(_share(row, levels, pins)) for row in rows], spare=3),
        _right("spread", [_widest(row) for row in rows], spare=4),
        Column("status", tuple(worst_status(row) for row in rows), spare=2),
    )
    return Table(
        "Memory, by distinct bytes touched", columns, tuple(_memory_notes(own, cache, pins))
    )


def _at(row: Iterable[Measurement], low: int, high: int) -> Measurement | None:
    return best_of(one for one in row if low <= one.size <= high)


def _level(size: int, cache: int) -> str:
    """A footprint, marked where a cache holds it (`c`) or main memory surely serves it (`m`)."""
    mark = ""
    if cache:
        mark = " c" if size <= cache else " m" if size >= _PAST_THE_CACHE * cache else ""
    return f"{si(size, 'B')}{mark}"


def _share(
    row: Iterable[Measurement], levels: Sequence[tuple[int, int]], pins: float | None
) -> float | None:
    """The rate at the largest footprint over that of the memory's pins."""
    rate = rate_of(_at(row, *levels[-1])) if levels else None
    return rate / pins if rate is not None and pins else None


def _widest(row: Iterable[Measurement]) -> str:
    spreads = [one.spread for one in row if len(one.bouts) > 1]
    return percent(max(spreads)) if spreads else UNKNOWN


def _memory_notes(own: Iterable[Measurement], cache: int, pins: float | None) -> list[str]:
    notes = []
    if cache:
        notes.append(
            f"c: inside the last-level cache of {si(cache, 'B')}; m: at least "
            f"{_PAST_THE_CACHE} times it, so main memory"
        )
    if pins is not None:
        notes.append(f"of pins: at the largest footprint, over the datasheet's {si(pins, 'B/s')}")
    return notes + [reason for one in own for reason in reasons_of(one)]


def latency_table(peaks: Peaks) -> Table:
    """The seconds of the shortest kernels."""
    own = [one for one in peaks.measurements if one.unit == "latency"]
    columns = (
        Column("latency", tuple(one.subject for one in own), least=16),
        _right("time", [_duration(one) for one in own]),
        _right("spread", [_spread(one) for one in own]),
        Column("status", tuple(one.status for one in own)),
        Column("kernel", tuple(_kernel(one) for one in own), least=20, spare=1),
    )
    return Table("Launch latency", columns, tuple(note for one in own for note in reasons_of(one)))


def _duration(one: Measurement) -> str:
    rate = rate_of(one)
    return seconds(1 / rate if rate else None)


def transfer_table(peaks: Peaks) -> Table:
    """A row for each link and collective: its best rate, and the line through its times."""
    units = ("link", "collective")
    keys = dict.fromkeys(
        (one.unit, one.subject) for unit in units for one in peaks.measurements if one.unit == unit
    )
    rows = [[one for one in peaks.measurements if (one.unit, one.subject) == key] for key in keys]
    best = [best_of(row) for row in rows]
    curves = {(curve.unit, curve.subject): curve for curve in peaks.curves}
    lines = [curves.get(key) for key in keys]
    columns = (
        Column("unit", tuple(unit for unit, _ in keys)),
        Column("what", tuple(subject for _, subject in keys), least=16),
        _right("rate", [si(rate_of(one), "B/s") for one in best]),
        _right("at", [si(one.size, "B") if one and one.size else UNKNOWN for one in best]),
        _right("latency", [seconds(line.latency_seconds if line else None) for line in lines]),
        _right("slope", [si(line.bytes_per_s if line else None, "B/s") for line in lines], spare=1),
        _right("off by", [_off(line) for line in lines], spare=2),
        _right("spread", [_spread(one) for one in best], spare=3),
        Column("status", tuple(worst_status(row) for row in rows)),
    )
    notes = [reason for row in rows for one in row for reason in reasons_of(one)]
    if any(line is not None for line in lines):
        notes.insert(0, "latency, slope: of the line seconds = latency + bytes / slope")
    if any(unit == "collective" for unit, _ in keys):
        notes.insert(0, "rate of a collective: its bus bandwidth")
    return Table("Links and collectives", filled(columns), tuple(notes))


def _off(line: Curve | None) -> str:
    return percent(line.worst if line else None)
