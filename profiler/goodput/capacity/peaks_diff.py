"""What moved between two measurements of one device, and what may have moved it. Pure.

A figure has moved where its change is larger than what both measurements scatter by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from goodput.capacity.measurement import OK, SCALED, UNITS, Measurement, Peaks
from goodput.device import DeviceIdentity
from goodput.errors import NotComparableError
from goodput.units import ranges, si

SCHEMA = "goodput.peaks-difference/1"

MOVED, SAME, ONLY_A, ONLY_B = "moved", "same", "only in A", "only in B"

LEAST = 0.01
"""Smaller changes are none: process to process, even a quiet device differs by that much."""

LEAST_UNREPEATED = 0.03
"""The same where a figure has one bout, so that its scatter is not known."""

_ORDER = {MOVED: 0, ONLY_A: 1, ONLY_B: 2, SAME: 3}
_SIZED = frozenset({"memory", "irregular", "link", "collective"})
_CLOCK_SHIFT = 0.01
_ZEROS_SHIFT = 0.03

_Key: TypeAlias = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both measurements.

    Attributes:
        unit, subject, regime, quantity: as in `Measurement`.
        size: bytes, where figures of one subject differ by it; else 0.
        a, b: the rates; None where there is none.
        ratio: `b / a - 1`; None where one is missing.
        margin: the relative change that the scatter of both explains.
        verdict: `moved`, `same`, `only in A` or `only in B`.
        reasons: what differs in how the two were measured.
    """

    unit: str
    subject: str
    regime: str
    quantity: str
    size: int
    a: float | None
    b: float | None
    ratio: float | None
    margin: float
    verdict: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Two measurements of one device side by side.

    Attributes:
        device: whose they are.
        measured_at: when, of A and of B.
        changes: what moved first, the largest change on top.
        reasons: what differs around the two measurements, in words; possible reasons, no proof.
    """

    device: DeviceIdentity
    measured_at: tuple[str, str]
    changes: tuple[Change, ...]
    reasons: tuple[str, ...]


def difference(a: Peaks, b: Peaks) -> Difference:
    """What moved from `a` to `b`.

    Raises:
        NotComparableError: they are of unlike devices, or have no figure in common.
    """
    _check_alike(a, b)
    best_a, best_b = _best(a.measurements), _best(b.measurements)
    if not best_a.keys() & best_b.keys():
        raise NotComparableError(
            "the two measurements have no figure in common; measure both with the same options"
        )
    changes = [
        _change(key, best_a.get(key), best_b.get(key)) for key in dict.fromkeys((*best_a, *best_b))
    ]
    changes.sort(key=_rank)
    return Difference(a.device, (a.measured_at, b.measured_at), tuple(changes), _reasons(a, b))


def to_json(found: Difference) -> str:
    """`found` as JSON, indented for people."""
    encoded = msgspec.json.encode({"schema": SCHEMA, **msgspec.to_builtins(found)})
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


def _check_alike(a: Peaks, b: Peaks) -> None:
    if (a.device.kind, a.device.name) != (b.device.kind, b.device.name):
        raise NotComparableError(
            f"A is of {_named(a.device)} and B of {_named(b.device)}: peaks of unlike devices say "
            "nothing about each other; give two files of one device"
        )


def _named(device: DeviceIdentity) -> str:
    return f"{device.name or 'an unnamed device'} ({device.kind})"


def _best(measurements: Iterable[Measurement]) -> dict[_Key, Measurement]:
    """The highest valid rate of each subject; a rate of 0 is none, nor is one of another day."""
    found: dict[_Key, Measurement] = {}
    for one in measurements:
        size = one.size if one.unit in _SIZED else 0
        key = (one.unit, one.subject, one.regime, size)
        is_fresh = one.valid and one.status != SCALED
        if is_fresh and _rate(one) > (_rate(found[key]) if key in found else 0.0):
            found[key] = one
    return found


def _rate(one: Measurement) -> float:
    return one.rate or 0.0


def _change(key: _Key, a: Measurement | None, b: Measurement | None) -> Change:
    unit, subject, regime, size = key
    either = a or b
    quantity = either.quantity if either else ""
    if a is None or b is None:
        verdict = ONLY_B if a is None else ONLY_A
        rates = (a.rate if a else None, b.rate if b else None)
        return Change(unit, subject, regime, quantity, size, *rates, None, 0.0, verdict)
    ratio, margin = _rate(b) / _rate(a) - 1, _margin(a, b)
    verdict = MOVED if abs(ratio) > margin else SAME
    return Change(
        unit, subject, regime, quantity, size, a.rate, b.rate, ratio, margin, verdict, _why(a, b)
    )


def _margin(a: Measurement, b: Measurement) -> float:
    repeated = min(len(a.bouts), len(b.bouts)) > 1
    return max(LEAST if repeated else LEAST_UNREPEATED, a.spread + b.spread)


def _why(a: Measurement, b: Measurement) -> tuple[str, ...]:
    """What differs in how one figure was measured."""
    statuses = [("both were", a.status)]
    if a.status != b.status:
        statuses = [("A was", a.status), ("B was", b.status)]
    reasons = [f"{who} {status}" for who, status in statuses if status != OK]
    if a.clock_hz and b.clock_hz and abs(b.clock_hz / a.clock_hz - 1) > _CLOCK_SHIFT:
        reasons.append(f"clock {si(a.clock_hz, 'Hz')} -> {si(b.clock_hz, 'Hz')}")
    if a.kernel != b.kernel:
        reasons.append(f"kernel {a.kernel or 'unnamed'} -> {b.kernel or 'unnamed'}")
    return tuple(reasons)


def _rank(change: Change) -> tuple[int, float, int]:
    place = UNITS.index(change.unit) if change.unit in UNITS else len(UNITS)
    size_of_change = abs(change.ratio or 0.0) if change.verdict == MOVED else 0.0
    return _ORDER[change.verdict], -size_of_change, place


def _reasons(a: Peaks, b: Peaks) -> tuple[str, ...]:
    """What differs around the two measurements, one sentence each."""
    one, other = a.surroundings, b.surroundings
    pairs = [
        ("driver", one.driver, other.driver),
        ("threads", f"{one.threads or ''}", f"{other.threads or ''}"),
        ("cores allowed", ranges(one.affinity), ranges(other.affinity)),
        (
            "power limit",
            _quantity(one.power_limit_watts, "W"),
            _quantity(other.power_limit_watts, "W"),
        ),
        ("highest clock", _quantity(one.max_clock_hz, "Hz"), _quantity(other.max_clock_hz, "Hz")),
        ("backends", ", ".join(sorted(one.backends)), ", ".join(sorted(other.backends))),
        ("level", a.level, b.level),
        ("others on the device", "; ".join(one.others), "; ".join(other.others)),
    ]
    told = [*_versions(one.software, other.software), *_zeros(a.zeros_ratio, b.zeros_ratio)]
    told += [f"{what}: {x or 'none'} in A, {y or 'none'} in B" for what, x, y in pairs if x != y]
    told += [f"{name} is not whole: {p.partial}" for name, p in (("A", a), ("B", b)) if p.partial]
    return tuple(told)


def _versions(a: Mapping[str, str], b: Mapping[str, str]) -> list[str]:
    return [
        f"{name} {a.get(name, 'absent')} in A, {b.get(name, 'absent')} in B"
        for name in sorted({*a, *b})
        if a.get(name) != b.get(name)
    ]


def _zeros(a: Mapping[str, float], b: Mapping[str, float]) -> list[str]:
    """Where the rate on zeros, over that on random data, tells another power limit."""
    return [
        f"zeros ratio of {mode}: {a[mode]:.2f} in A, {b[mode]:.2f} in B"
        for mode in a
        if mode in b and abs(b[mode] - a[mode]) > _ZEROS_SHIFT
    ]


def _quantity(value: float | None, unit: str) -> str:
    return "" if value is None else si(value, unit)
