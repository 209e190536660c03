"""The tables of a measurement of peaks: rates, memory, latency, links and collectives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from goodput.capacity.measurement import SCALED, SUSTAINED, TRUTH, Curve, Measurement, Peaks
from goodput.renderers.peaks_figures import (
    Figure,
    best_of,
    figures_of,
    levels_of,
    rate_of,
    worst_status,
)
from goodput.renderers.tables import Column, Table, filled, fit
from goodput.units import UNKNOWN, percent, seconds, si

MOST_LEVELS, LEAST_LEVELS = 6, 4
"""Footprints of the memory table: on a wide terminal, on a narrow one."""

_WIDE_ENOUGH = 110
_PAST_THE_CACHE = 4
_KERNEL_HEADER = "best shape and kernel"
_PINS_HEADER = "of pins"
_NO_ROOF = "no roof"
_SHORTER = (("forward", "fwd"), ("backward", "bwd"), ("the fastest function", "fastest"))


def tables_of(peaks: Peaks, width: int) -> tuple[Table, ...]:
    """The tables that have rows; what the first has no room for gets a table of its own."""
    figures = figures_of(peaks)
    rates = rate_table(figures)
    shown = {column.header for column in fit(rates, width).columns}
    left_out = [column for column in rates.columns if column.header not in shown]
    tables = (
        rates,
        *((kernel_table(figures, left_out),) if left_out else ()),
        memory_table(peaks, width),
        irregular_table(peaks),
        latency_table(peaks),
        transfer_table(peaks),
    )
    return tuple(table for table in tables if table.rows)


def rate_table(figures: Sequence[Figure]) -> Table:
    """A row for each unit of arithmetic and dtype."""
    columns = (
        Column("unit", tuple(figure.unit for figure in figures)),
        _subjects(figures),
        *_told(
            _right("datasheet", [_rate(f.promised) for f in figures], spare=2),
            _right("ceiling", [_rate(f.ceiling) for f in figures], spare=4),
        ),
        _right("burst", [_rate(rate_of(f.burst)) for f in figures]),
        *_told(
            _right("sustained", [_rate(rate_of(f.sustained)) for f in figures], spare=1),
            _right("share", [percent(f.share) for f in figures]),
            _right("spread", [_spread(f.best) for f in figures], spare=3),
        ),
        Column("status", tuple(_status(f) for f in figures)),
        Column(_KERNEL_HEADER, tuple(_kernel(f.best) for f in figures), spare=5),
    )
    return Table("What each unit reaches", columns, tuple(_rate_notes(figures)))


def kernel_table(figures: Sequence[Figure], left_out: Sequence[Column] = ()) -> Table:
    """What reached the rate of each unit and dtype, with what the table of rates left out."""
    reached = [place for place, f in enumerate(figures) if rate_of(f.best) is not None]
    best = [figures[place].best for place in reached]
    columns = (
        Column("unit", tuple(figures[place].unit for place in reached)),
        _subjects([figures[place] for place in reached]),
        *(
            replace(column, cells=tuple(column.cells[place] for place in reached))
            for column in left_out
            if column.header != _KERNEL_HEADER
        ),
        *_told(_right("clock", [si(one.clock_hz if one else None, "Hz") for one in best], spare=5)),
        Column(_KERNEL_HEADER, tuple(map(_kernel, best)), least=30),
    )
    return Table("What reached it", columns)


def _subjects(figures: Sequence[Figure]) -> Column:
    return Column("dtype", tuple(_shorter(figure.subject) for figure in figures), least=20)


def _shorter(subject: str) -> str:
    for word, short in _SHORTER:
        subject = subject.replace(word, short)
    return subject


def _told(*columns: Column) -> tuple[Column, ...]:
    """The columns that say anything: on a device without a datasheet row, many do not."""
    return tuple(column for column in columns if set(column.cells) - {"", UNKNOWN})


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
    special = any(figure.unit == "special" for figure in figures)
    notes = ["rates in FLOP/s" + ("; of the special unit in function calls/s" if special else "")]
    if any(figure.share is not None for figure in figures):
        notes.append("share: burst over the datasheet's dense rate, quoted at a nominal clock")
    if not any(rate_of(figure.sustained) for figure in figures):
        notes.append("no sustained rate was measured; --standard and --full do")
    every = [one for figure in figures for one in (figure.burst, figure.sustained)]
    return [*notes, *reasons_of(one for one in every if one is not None)]


def reasons_of(measurements: Iterable[Measurement]) -> list[str]:
    """Why figures are missing, were not measured this time, or are no roof: one line a reason."""
    names: dict[str, list[str]] = {}
    for one in measurements:
        if reason := _reason(one):
            regime = one.regime if one.regime == SUSTAINED else ""
            name = " ".join(word for word in (one.unit, one.subject, regime) if word)
            names.setdefault(reason, []).append(name)
    return [f"{', '.join(dict.fromkeys(own))}: {reason}" for reason, own in names.items()]


def _reason(one: Measurement) -> str:
    if one.rate is None:
        return f"{one.status}, {one.detail or 'no reason is known'}"
    if one.status == SCALED and one.detail:
        # What follows is the kernel and its samples, another for each figure.
        return f"scaled, {one.detail.partition('; ')[0]}"
    if not one.valid:
        untrue = [check for check in one.checks if not check.passed and check.name in TRUTH]
        failed = "; ".join(f"{check.name} ({check.detail})" for check in untrue)
        return f"{_NO_ROOF}, since {si(one.rate, f'{one.quantity}/s')} fails: {failed}"
    return ""


def memory_table(peaks: Peaks, width: int) -> Table:
    """A row for each memory mix, a column for each of a few footprints."""
    own = [one for one in peaks.measurements if one.unit == "memory"]
    levels = levels_of(own, MOST_LEVELS if width >= _WIDE_ENOUGH else LEAST_LEVELS)
    mixes = dict.fromkeys(one.subject for one in own)
    rows = [[one for one in own if one.subject == mix] for mix in mixes]
    pins = peaks.capacity.datasheet.bytes_per_s if peaks.capacity.datasheet else None
    cache = peaks.device.last_level_cache_bytes
    columns = (
        Column("access", tuple(mixes), least=16),
        *(
            _right(_level(high, cache), [si(rate_of(_at(row, low, high)), "B/s") for row in rows])
            for low, high in levels
        ),
        *_told(
            _right(_PINS_HEADER, [percent(_share(row, levels, pins)) for row in rows], spare=3),
            _right("spread", [_widest(row) for row in rows], spare=4),
        ),
        Column("status", tuple(worst_status(row) for row in rows), spare=2),
    )
    title = "Memory, by distinct bytes touched"
    shown = {column.header for column in fit(Table(title, columns), width).columns}
    notes = _memory_notes(cache, pins if _PINS_HEADER in shown else None)
    return Table(title, columns, (*notes, *reasons_of(own)))


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


def _memory_notes(cache: int, pins: float | None) -> list[str]:
    notes = []
    if cache:
        notes.append(
            f"c: inside the last-level cache of {si(cache, 'B')}; m: at least "
            f"{_PAST_THE_CACHE} times it, so main memory"
        )
    if pins is not None:
        notes.append(
            f"{_PINS_HEADER}: at the largest footprint, over the datasheet's {si(pins, 'B/s')}"
        )
    return notes


def irregular_table(peaks: Peaks) -> Table:
    """A row for each irregular pattern, in bytes that are of use."""
    own = [one for one in peaks.measurements if one.unit == "irregular"]
    columns = (
        Column("access", tuple(one.subject for one in own), least=16),
        _right("rate", [si(rate_of(one), "B/s") for one in own]),
        _right("of", [si(one.size, "B") if one.size else UNKNOWN for one in own]),
        *_told(_right("spread", [_spread(one) for one in own], spare=2)),
        Column("status", tuple(map(_word, own))),
        *_told(Column("kernel", tuple(map(_kernel, own)), least=20, spare=3)),
    )
    return Table("Irregular access", columns, tuple(reasons_of(own)))


def latency_table(peaks: Peaks) -> Table:
    """The seconds of the shortest kernels."""
    own = [one for one in peaks.measurements if one.unit == "latency"]
    columns = (
        Column("latency", tuple(one.subject for one in own), least=16),
        _right("time", [_duration(one) for one in own]),
        *_told(_right("spread", [_spread(one) for one in own], spare=2)),
        Column("status", tuple(map(_word, own))),
        *_told(Column("kernel", tuple(map(_kernel, own)), least=20, spare=3)),
    )
    return Table("Launch latency", columns, tuple(reasons_of(own)))


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
    notes = reasons_of(one for row in rows for one in row)
    if any(line is not None for line in lines):
        notes.insert(0, "latency, slope: of the line seconds = latency + bytes / slope")
    if any(unit == "collective" for unit, _ in keys):
        notes.insert(0, "rate of a collective: its bus bandwidth")
    return Table("Links and collectives", filled(columns), tuple(notes))


def _off(line: Curve | None) -> str:
    return percent(line.worst if line else None)
