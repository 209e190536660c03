"""What counting one step gives, whichever framework it was written in."""

from __future__ import annotations

from dataclasses import dataclass

from goodput.trace.recording import WorkPass


@dataclass(frozen=True, slots=True)
class Count:
    """One counted step, sentences for the report, and its tokens where they are known."""

    work: WorkPass
    warnings: tuple[str, ...] = ()
    tokens: int | None = None
