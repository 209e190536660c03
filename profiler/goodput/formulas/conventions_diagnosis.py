"""How a published figure may have come about: deviations on top of a convention that give it.

Pure arithmetic on an architecture, a speed and peaks; knows no device. What it lists is
consistent with the figure, which is no proof that it happened so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import combinations

from goodput.errors import UsageError
from goodput.formulas.architecture import Architecture
from goodput.formulas.conventions import CONVENTIONS, MACS
from goodput.formulas.conventions_bridge import TEXTS
from goodput.formulas.conventions_choices import Choices, choices_of, evaluate
from goodput.formulas.conventions_closed import inapplicable

NODE = 8
"""Devices of a usual node."""

_FORM = re.compile(r"^\s*([0-9]+(?:\.([0-9]+))?)\s*(%|[kMGTPE]?FLOP/s|[kMGTPE]?FLOP)?\s*$")
_PREFIXES = " kMGTPE"
_SLACK = Fraction(1, 10**12)
_MOST = 2
"""Deviations that are tried together."""

_SPARSE = "sparse peak (twice the dense one)"

_DECISIONS: tuple[dict[str, object], ...] = (
    {"windows": False, "pairs": "dense"},
    {"pairs": "half"},
    {"experts": "total"},
    {"third_matrix": False},
    {"embedding": "always"},
    {"embedding": "never"},
    {"recompute": "layers"},
    {"recompute": "all"},
    {"pairs": "none"},
    {"windows": False},
    {"head": False},
    {"macs": True},
    {"own_width": False},
    {"experts": "none"},
    {"fifth_product": True},
    {"prediction": True},
)
"""What numerators get wrong or do otherwise, the usual first."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A published figure.

    Attributes:
        text: as it was given.
        quantity: `MFU`, `FLOP/s` (per device) or `FLOP` (per token).
        value: in base units, ratios 1.0 = 100 %.
        half_unit: half of its last place: how far a rounded figure may be off.
        decimals: digits behind its point.
    """

    text: str
    quantity: str
    value: Fraction
    half_unit: Fraction
    decimals: int = 0

    def holds(self, value: Fraction) -> bool:
        """Whether `value`, rounded likewise, is this figure."""
        return abs(value - self.value) <= self.half_unit + self.value * _SLACK


@dataclass(frozen=True, slots=True)
class Speed:
    """What a figure is held against.

    Attributes:
        tokens_per_s: of one device.
        peak: its dense peak in FLOP/s.
        mode: the math mode of that peak.
        other_modes: its dense peaks in other modes.
        other_devices: dense peaks of other devices in `mode`.
    """

    tokens_per_s: Fraction
    peak: float | None = None
    mode: str = ""
    other_modes: Mapping[str, float] = field(default_factory=dict)
    other_devices: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A convention with deviations, and the figure that they give, in base units."""

    convention: str
    deviations: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True)
class _Deviation:
    """A change of decisions, or a factor on the figure; `kind` excludes another of its kind."""

    text: str
    rank: int
    choices: Mapping[str, object] = field(default_factory=dict)
    factor: Fraction = Fraction(1)
    kind: str = ""


@dataclass(frozen=True, slots=True)
class _Numerator:
    """A convention with deviations, and its count."""

    convention: str
    place: int
    deviations: tuple[_Deviation, ...]
    choices: Choices
    flops: int


@dataclass(frozen=True, slots=True)
class _Match:
    """What gives the figure: a numerator with all deviations, also of the denominator."""

    numerator: _Numerator
    deviations: tuple[_Deviation, ...]
    value: Fraction

    @property
    def explanation(self) -> Explanation:
        texts = tuple(one.text for one in self.deviations)
        return Explanation(self.numerator.convention, texts, float(self.value))

    @property
    def order(self) -> tuple[int, int, int]:
        """Fewer deviations first, then the more usual, each on the more usual convention."""
        place = self.numerator.place
        rank = sum(one.rank for one in self.deviations) + 2 * place
        return len(self.deviations), rank, place

    @property
    def twins(self) -> set[object]:
        """What another way to say the same has in common with this one."""
        texts = frozenset(one.text for one in self.deviations)
        peaks = frozenset(one.text for one in self.deviations if not one.choices)
        return {(self.value, texts), (self.numerator.choices, peaks)}


def figure(text: str) -> Figure:
    """The figure that `text` says: `47.3%`, `412TFLOP/s` or `51.5GFLOP`.

    Raises:
        UsageError: it says none, or a ratio without its percent sign.
    """
    match = _FORM.match(text)
    if match is None:
        raise UsageError(
            f"{text!r} is no figure that can be explained; give an MFU such as 47.3%, a speed per "
            "device such as 412TFLOP/s, or the work of a token such as 51.5GFLOP"
        )
    digits, decimals, unit = match.groups()
    value = Fraction(digits)
    if value == 0:
        raise UsageError(f"{text!r} is nothing to explain; give the figure that was reported")
    if not unit and value < 1:
        raise UsageError(
            f"{digits} may be a ratio or a percentage; write {float(100 * value):g}% or {digits}%"
        )
    unit = unit or "%"
    scale = Fraction(1, 100) if unit == "%" else Fraction(1000) ** _power(unit)
    half = Fraction(1, 2 * 10 ** len(decimals or "")) * scale
    quantity = "MFU" if unit == "%" else unit.lstrip(_PREFIXES)
    return Figure(text.strip(), quantity, value * scale, half, len(decimals or ""))


def _power(unit: str) -> int:
    return _PREFIXES.index(unit[0]) if unit[0] in _PREFIXES else 0


def explanations(
    model: Architecture, tokens: int, reported: Figure, speed: Speed | None
) -> tuple[Explanation, ...]:
    """What gives the figure that was reported, within its rounding; the simplest first.

    On each convention no deviation, one and two are tried. Left out is what only adds a deviation
    to an explanation, or what counts the same in more steps. Fewer deviations stand first, then
    the more usual ones.

    Args:
        model: what was trained.
        tokens: of a sequence.
        reported: the figure.
        speed: the speed and the peaks; None will do for the work of a token.
    """
    scale = _scale(reported, speed) / tokens
    factors = list(_combined(_factors(reported, speed), _MOST))
    found = []
    for numerator in _numerators(model, tokens):
        for beside in factors:
            chosen = (*numerator.deviations, *beside)
            if len(chosen) > _MOST:
                break  # they only get longer
            value = numerator.flops * scale * math.prod(one.factor for one in beside)
            if reported.holds(value):
                found.append(_Match(numerator, chosen, value))
    return tuple(_simplest(sorted(found, key=lambda match: match.order)))


def _simplest(found: Iterable[_Match]) -> Iterator[Explanation]:
    """Explanations, the simplest first, without those that a simpler one makes needless."""
    kept: list[Explanation] = []
    fewest: dict[Fraction, int] = {}
    same: set[object] = set()
    for match in found:
        one, many = match.explanation, len(match.deviations)
        has_more = any(
            one.convention == other.convention and set(other.deviations) <= set(one.deviations)
            for other in kept
        )
        twins = match.twins if many else set()
        if not has_more and not twins & same and fewest.setdefault(match.value, many) == many:
            kept.append(one)
            same |= twins
            yield one


def _scale(reported: Figure, speed: Speed | None) -> Fraction:
    """What makes the work of a token the quantity that was reported."""
    if reported.quantity == "FLOP":
        return Fraction(1)
    assert speed is not None  # noqa: S101 - the caller knows what a figure needs
    if reported.quantity == "FLOP/s":
        return speed.tokens_per_s
    assert speed.peak is not None  # noqa: S101 - likewise
    return speed.tokens_per_s / Fraction(speed.peak)


def _combined(ones: Sequence[_Deviation], most: int) -> Iterator[tuple[_Deviation, ...]]:
    """Up to `most` of `ones` together, none of a kind twice."""
    for many in range(most + 1):
        for chosen in combinations(ones, many):
            kinds = [one.kind for one in chosen if one.kind]
            if len(set(kinds)) == len(kinds):
                yield chosen


def _numerators(model: Architecture, tokens: int) -> Iterator[_Numerator]:
    """Each convention with deviations of which none can be left out."""
    ones = [
        _Deviation(TEXTS[list(choices.items())[-1]], rank, choices)
        for rank, choices in enumerate(_DECISIONS)
    ]
    for place, convention in enumerate(CONVENTIONS):
        # Multiply-adds are a deviation: that a share of a peak is in them is a mistake.
        if convention == MACS or inapplicable(model, convention):
            continue
        base = choices_of(convention, model)
        counts: dict[frozenset[int], int] = {}
        for chosen in _combined(ones, _MOST):
            choices = _applied(base, chosen)
            if choices is None:
                continue
            ranks = frozenset(one.rank for one in chosen)
            counts[ranks] = evaluate(model, tokens, choices)
            if all(counts.get(ranks - {rank}) != counts[ranks] for rank in ranks):
                yield _Numerator(convention, place, chosen, choices, counts[ranks])


def _applied(base: Choices, chosen: Iterable[_Deviation]) -> Choices | None:
    """The decisions with all deviations; None where two of them are about the same one."""
    changes: dict[str, object] = {}
    for one in chosen:
        if any(changes.get(name, value) != value for name, value in one.choices.items()):
            return None
        changes |= one.choices
    return replace(base, **changes)  # type: ignore[arg-type]  # names and values of Choices


def _factors(reported: Figure, speed: Speed | None) -> list[_Deviation]:
    """What is wrong with the peak, or with whose tokens they are; the usual first.

    A sparse peak is the most usual of all mistakes. The peak of another device is the rarest, and
    there are many: it ranks last.
    """
    first = len(_DECISIONS)
    every = _of_the_peak(speed) if reported.quantity == "MFU" and speed is not None else []
    if reported.quantity != "FLOP":
        every = [*every[:2], *_OF_A_NODE, *every[2:]]
    return [
        _Deviation(text, 0 if text == _SPARSE else first + rank, factor=factor, kind=kind)
        for rank, (text, factor, kind) in enumerate(every)
    ]


_OF_A_NODE = (
    (f"tokens of a node of {NODE} as those of one device", Fraction(NODE), "node"),
    (f"tokens of one device as those of a node of {NODE}", Fraction(1, NODE), "node"),
)


def _of_the_peak(speed: Speed) -> list[tuple[str, Fraction, str]]:
    """The wrong peaks, each with what it makes of the figure."""
    assert speed.peak is not None  # noqa: S101 - an MFU has one
    own = Fraction(speed.peak)
    wrong = [(_SPARSE, 2 * own), ("half of the dense peak", own / 2)]
    for others in (speed.other_modes, speed.other_devices):
        wrong += [(f"peak of {names}", Fraction(peak)) for names, peak in _same_peaks(others)]
    return [(text, own / peak, "peak") for text, peak in wrong if peak != own]


def _same_peaks(peaks: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Each peak once, with the modes or devices that have it."""
    names: dict[float, list[str]] = {}
    for name, peak in peaks.items():
        names.setdefault(peak, []).append(name)
    for peak, own in names.items():
        others = f" or {len(own) - 1} more" if len(own) > 1 else ""
        yield f"{own[0]}{others}", peak
