"""The verdicts of a comparison, by their words. Imports nothing, for checks of stored files."""

from __future__ import annotations

FASTEST, TIE, SLOWER = "FASTEST", "TIE", "SLOWER"
INCORRECT, SUSPECT, INVALID, ERROR = "INCORRECT", "SUSPECT", "INVALID", "ERROR"
UNTRUSTWORTHY = frozenset({INCORRECT, SUSPECT, INVALID})
"""Verdicts that end the command with status 5."""
