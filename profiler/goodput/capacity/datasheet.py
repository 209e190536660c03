"""Datasheet rows by exact runtime name: what a vendor promises. Never guesses a device.

The rows stand in `datasheet.toml` beside this file; the note on top of it says what is in them.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import msgspec

from goodput.capacity.profile import BandwidthPoint, Capacity, Datasheet, Peak, Provenance
from goodput.device import DeviceIdentity
from goodput.errors import UsageError

MIXES = ("read", "copy", "in-place")
"""The memory mixes of a capacity; pin bandwidth is the same for all of them."""

_VECTOR_CLOCK_MODES = ("float64", "float32")
_PAST_THE_CACHE = 4


@dataclass(frozen=True, slots=True)
class Accumulation:
    """Rates of products that are summed in another type than float32, by math mode."""

    flops_per_s: dict[str, float] = field(default_factory=dict)
    flops_per_clock: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `datasheet.toml`; units, clocks and rates as its head says, `None` unknown."""

    name: str
    vendor: str
    aliases: tuple[str, ...]
    memory_bytes: int
    bytes_per_s: float
    units: int
    flops_per_s: dict[str, float]
    source: str
    clock_hz: dict[str, float] = field(default_factory=dict)
    flops_per_clock: dict[str, int] = field(default_factory=dict)
    vector_flops_per_s: float | None = None
    special_per_clock: int | None = None
    last_level_cache_bytes: int = 0
    float16_accumulate: Accumulation = field(default_factory=Accumulation)

    @property
    def special_per_s(self) -> float | None:
        """Special functions per second at the highest clock; None where not known."""
        if self.special_per_clock is None or "max" not in self.clock_hz:
            return None
        return self.units * self.special_per_clock * self.clock_hz["max"]

    def derived_flops_per_s(self, mode: str) -> float | None:
        """`units x FLOP/clock x clock` at the clock that the figure of `mode` is quoted at."""
        clock = "vector" if mode in _VECTOR_CLOCK_MODES else "tensor"
        return self._rate_at(mode, clock, self.flops_per_clock)

    def ceiling_flops_per_s(self, mode: str, driver_hz: float | None = None) -> float | None:
        """The rate of `mode` at the highest clock: no measurement can be above it.

        However it accumulates: float8 kernels with fast accumulation reach the float16 rate.

        Args:
            mode: math mode.
            driver_hz: the highest clock that the driver tells of this very device, for rows that
                have a boost clock only.
        """
        clock = self.clock_hz.get("max", driver_hz)
        faster = self.float16_accumulate.flops_per_clock
        per_clock = max(self.flops_per_clock.get(mode, 0), faster.get(mode, 0))
        return self.units * per_clock * clock if per_clock and clock else None

    def _rate_at(self, mode: str, clock: str, per_clock: Mapping[str, int]) -> float | None:
        if mode not in per_clock or clock not in self.clock_hz:
            return None
        return self.units * per_clock[mode] * self.clock_hz[clock]


@cache
def rows() -> tuple[Row, ...]:
    """Every row, in the order of the file."""
    text = files("goodput.capacity").joinpath("datasheet.toml").read_text(encoding="utf-8")
    return tuple(msgspec.convert(tomllib.loads(text)["device"], tuple[Row, ...]))


@cache
def _by_alias() -> Mapping[str, Row]:
    return {alias: row for row in rows() for alias in row.aliases}


def full_row_of(name: str) -> Row | None:
    """The row with the alias `name`, with units and clocks; None for a name that is no alias."""
    return _by_alias().get(name)


def row_of(name: str) -> Datasheet | None:
    """The datasheet of the device that frameworks call `name`; None for a name that is no alias."""
    row = full_row_of(name)
    if row is None:
        return None
    return Datasheet(
        name=row.name,
        flops_per_s=_with_both_float8(row.flops_per_s),
        bytes_per_s=row.bytes_per_s,
        last_level_cache_bytes=row.last_level_cache_bytes,
        source=row.source,
    )


def _with_both_float8(rates: Mapping[str, float]) -> dict[str, float]:
    # Every device with float8 runs both of its formats at one rate.
    if "float8_e4m3" not in rates:
        return dict(rates)
    return {**rates, "float8_e5m2": rates["float8_e4m3"]}


_CHIPS = {
    "sm_80": "A100-SXM4-80GB",
    "sm_86": "RTX 3090",
    "sm_89": "RTX 4090",
    "sm_90": "H100-SXM",
    "sm_100": "B200",
    "sm_103": "B300",
    "sm_120": "RTX 5090",
    "gfx942": "MI300X",
    "gfx950": "MI355X",
}


def chip_of(architecture: str) -> Row | None:
    """The row of one chip of an architecture, e.g. an H100-SXM for `sm_90`; None where none is."""
    name = _CHIPS.get(architecture)
    return next((row for row in rows() if row.name == name), None)


def nearest_names(name: str) -> tuple[str, ...]:
    """At most three aliases that hold `name`, or its chip's number, or look like it, best first."""
    known = list(_by_alias())
    inside = [alias for alias in known if name and name.lower() in alias.lower()]
    chips = [word.lower() for word in name.split() if any(map(str.isdigit, word))]
    same = [alias for alias in known if any(chip in alias.lower() for chip in chips)]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return tuple(dict.fromkeys([*inside, *same, *close]))[:3]


def capacity_from_datasheet(device: DeviceIdentity) -> Capacity:
    """The roofs of `device` as its datasheet promises them; bandwidth is that of the pins.

    Raises:
        UsageError: no row has the name of `device`.
    """
    row, sheet = full_row_of(device.name), row_of(device.name)
    if row is None or sheet is None:
        raise UsageError(_unknown(device.name))
    provenance = Provenance("datasheet", f"datasheet row {row.name}: {row.source}", url=sheet.url)
    footprint = _PAST_THE_CACHE * max(row.last_level_cache_bytes, 1)
    point = BandwidthPoint(footprint, Peak(row.bytes_per_s, provenance))
    return Capacity(
        device=device,
        flops_per_s={mode: Peak(rate, provenance) for mode, rate in sheet.flops_per_s.items()},
        vector=_peak(row.vector_flops_per_s, provenance),
        special=_peak(row.special_per_s, provenance),
        bandwidth=dict.fromkeys(MIXES, (point,)),
        datasheet=sheet,
    )


def _peak(rate: float | None, provenance: Provenance) -> Peak | None:
    return None if rate is None else Peak(rate, provenance)


def _unknown(name: str) -> str:
    advice = "give its measured roofs with --capacity FILE"
    if not name:
        return f"the device has no name, so no datasheet row can be its own; {advice}"
    near = nearest_names(name)
    hint = f" (nearest names: {', '.join(near)})" if near else ""
    return f"{name} is no device of the datasheet{hint}; {advice}"
