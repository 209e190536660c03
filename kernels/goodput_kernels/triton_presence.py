"""Whether Triton is installed, without importing it."""

from __future__ import annotations

from importlib.util import find_spec


def installed() -> bool:
    """Whether Triton can be imported here."""
    return find_spec("triton") is not None
