"""A candidate: one thing to run that may reach a peak. Says what to run, never how to time it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verification:
    """How far a kernel's results are from the same sums in float64.

    Attributes:
        error: relative error in the Frobenius norm over what was compared; infinite where a value
            is not finite or an output was left unwritten.
        limit: the error that the arithmetic of the mode allows.
        compared: what was compared, e.g. `64 rows of 4096`.
    """

    error: float
    limit: float
    compared: str

    @property
    def passed(self) -> bool:
        """Whether the results are right."""
        return self.error <= self.limit


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kernel at one size.

    Attributes:
        name: operator and size, e.g. `mm 512x512x512`.
        library: what runs it, e.g. `torch`, `oneDNN`, `NumPy`.
        unit: what `amount` counts: `flops`, `special` (function calls), `bytes` or `calls`.
        amount: how much of it one call does.
        prepare: makes operands and returns the call, which returns its result. Raises what the
            library raises where it lacks the operator or the dtype.
        working_set_bytes: distinct memory that one call touches.
        scope: a context manager inside which the calls must run, e.g. with TF32 off.
        verify: runs the kernel on operands of its own, on a poisoned output, against float64;
            None where its result is not worth checking (it computes nothing).
    """

    name: str
    library: str
    unit: str
    amount: int
    prepare: Callable[[], Callable[[], object]]
    working_set_bytes: int = 0
    scope: Callable[[], AbstractContextManager[object]] = nullcontext
    verify: Callable[[], Verification] | None = None

    @property
    def label(self) -> str:
        """Library and name: unique among the candidates of one question."""
        return f"{self.library} {self.name}"
