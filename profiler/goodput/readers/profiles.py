"""A framework's own profile -> `Trace`, by the reader of its kind; the file's name tells which."""

from __future__ import annotations

from pathlib import Path

from goodput.readers import kineto
from goodput.trace.table import Trace

XSPACE = ".xplane.pb"
"""How the names of JAX's profiles end."""


def read(path: Path) -> Trace:
    """The trace in the profile of JAX or of torch at `path`.

    Raises:
        UsageError: there is no such file, or it cannot be opened.
        TraceFormatError: it is empty, cut off, damaged, or from another tool.
        NotMeasuredError: protobuf is not installed, which profiles of JAX need.
    """
    if path.name.endswith(XSPACE):
        # Its formulas take a while to load, which nobody else need pay for.
        from goodput.readers import xplane

        return xplane.read(path)
    return kineto.read(path)
