"""Levels of trust: which checks of a comparison run at each. The catalogue is in the README.

Malicious native code is out of scope: what runs in a process can do anything to that process.
"""

from __future__ import annotations

from dataclasses import dataclass

CHECKS = {
    "accuracy": "error against float64 on fresh seeds",
    "controls": "wrong results on purpose are refused",
    "poison": "freed memory is filled before a call",
    "inputs": "inputs are unchanged after a call",
    "timed outputs": "results of timed calls are checked",
    "limit": "no time is below the physical limit",
    "fallback": "the reference is not called, no error is swallowed",
    "same tensors": "new values in the same tensors",
    "settled": "results stand when a call returns, and stay",
    "plain tensors": "results are plain tensors",
    "clocks": "clocks are whole, a second one agrees",
    "threads": "no thread goes on after a call",
    "held-back shapes": "sizes that no table shows",
    "kept results": "equal values take equal time",
    "apart": "every variant has processes of its own",
}
"""Each check, in a few words."""

_FAST = ("accuracy", "controls", "poison", "inputs", "timed outputs", "limit", "fallback")
_STANDARD = (
    *_FAST,
    "same tensors",
    "settled",
    "plain tensors",
    "clocks",
    "threads",
    "held-back shapes",
    "kept results",
)
_AUDIT = (*_STANDARD, "apart")


@dataclass(frozen=True, slots=True)
class Trust:
    """A level.

    Attributes:
        name: as given on the command line.
        checks: keys of `CHECKS`.
        seeds: on how many the error is measured, before the timing.
        timed_outputs: results of timed calls that each process checks, of each variant.
        seconds: of timing, a case and process.
    """

    name: str
    checks: tuple[str, ...]
    seeds: int
    timed_outputs: int
    seconds: float


LEVELS = {
    "fast": Trust("fast", _FAST, 2, 1, 0.5),
    "standard": Trust("standard", _STANDARD, 3, 2, 1.0),
    "audit": Trust("audit", _AUDIT, 5, 4, 2.0),
}
