"""Figures over many checks. Pure data: reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a series."""

    value: float
    created: str
    commit: str
    software: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one metric of a case in a tier on a device, in order."""

    case: str
    tier: str
    device: str
    metric: str
    points: tuple[Point, ...]

    @property
    def title(self) -> str:
        """What it is of."""
        return " ".join(filter(None, (self.case, self.tier, self.device, self.metric)))
