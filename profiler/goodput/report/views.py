"""The views of a report by name, which a command line offers before numpy is needed."""

from __future__ import annotations

from collections.abc import Mapping

VIEWS: Mapping[str, tuple[str, ...]] = {
    "operator": ("operator", "phase", "mode", "shapes"),
    "module": ("module",),
    "phase": ("phase",),
    "kernel": ("kernel", "operator", "phase", "mode"),
}
"""The columns that each view groups by."""
