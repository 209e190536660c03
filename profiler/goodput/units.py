"""Numbers for people: the only module that knows prefixes and percent signs.

Everything else in goodput is in base units (FLOP, byte, second, FLOP/s; ratios 1.0 = 100 %).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

_PREFIXES = {
    "p": -4,
    "n": -3,
    "u": -2,
    "m": -1,
    "": 0,
    "k": 1,
    "M": 2,
    "G": 3,
    "T": 4,
    "P": 5,
    "E": 6,
}
_NAMES = {power: prefix for prefix, power in _PREFIXES.items()}
_QUANTITY = re.compile(r"^\s*([+-]?[0-9.]+(?:e[+-]?[0-9]+)?)\s*([pnumkMGTPE]?)(.*)$")
UNKNOWN = "n/a"


def si(value: float | None, unit: str = "", digits: int = 3) -> str:
    """`value` with an SI prefix to `digits` digits, e.g. `12.3 GFLOP/s`; `n/a` for None."""
    if value is None:
        return UNKNOWN
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}".rstrip()
    power = min(max(math.floor(math.log10(abs(value)) / 3), -4), 6)
    scaled = value / 1000.0**power
    if float(f"{abs(scaled):.{digits}g}") >= 1000 and power < 6:
        power, scaled = power + 1, value / 1000.0 ** (power + 1)
    whole = len(f"{int(abs(scaled))}") if abs(scaled) >= 1 else 1
    return f"{scaled:.{max(digits - whole, 0)}f} {_NAMES[power]}{unit}".rstrip()


def parse(text: str) -> float:
    """The value of a text that `si` made, in base units.

    Raises:
        ValueError: the text holds no number.
    """
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(f"no quantity in {text!r}")
    number, prefix, _ = match.groups()
    return float(number) * 1000.0 ** _PREFIXES[prefix]


def quantity(text: str) -> tuple[float, str]:
    """The value of a text in base units, and its unit; of a percentage the ratio, and `%`.

    Raises:
        ValueError: the text holds no number, or no known prefix of the unit.
    """
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(f"no quantity in {text!r}")
    number, prefix, rest = match.groups()
    unit = rest.strip()
    if unit == "%" and not prefix:
        return float(number) / 100.0, unit
    return float(number) * 1000.0 ** _PREFIXES[prefix], unit


def seconds(value: float | None) -> str:
    """A duration, e.g. `12.3 ms`."""
    return si(value, "s")


def percent(ratio: float | None, digits: int = 1) -> str:
    """A ratio as a percentage, e.g. 0.123 -> `12.3 %`; `n/a` for None."""
    return UNKNOWN if ratio is None else f"{100.0 * ratio:.{digits}f} %"


def ranges(numbers: Iterable[int]) -> str:
    """Whole numbers with runs joined, e.g. `0-3, 8`."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return ", ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in runs)
