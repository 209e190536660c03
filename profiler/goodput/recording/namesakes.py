"""The script's own modules that bear the names of packages goodput runs on.

What goodput imported before the script hides the script's module: that is said. What it imports
after the script would be hidden by the script's: that is set aside.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path

_BEFORE = ("click", "msgspec")
_AFTER = ("tabulate", "tqdm")


def clash(folder: Path) -> str:
    """A sentence where `folder`, the script's, holds a module that ours hides; else ""."""
    for place in (folder / "goodput.py", folder / "goodput"):
        if place.exists() and not str(Path(__file__).resolve()).startswith(str(place)):
            return (
                f"{place} bears the profiler's own name: `import goodput` in the script gives the "
                "profiler, not that file; rename it, or run the script with plain python"
            )
    for name in _BEFORE:
        for place in (folder / f"{name}.py", folder / name / "__init__.py"):
            if place.exists():
                return (
                    f"{place} bears the name of a library that goodput uses: `import {name}` in "
                    "the script gives the library, not that file; rename it, or run the script "
                    "with plain python"
                )
    return ""


@contextmanager
def libraries_first() -> Iterator[None]:
    """Inside, libraries of ours are found even where the script had modules of their names.

    The first place of the path is the script's, or the current directory under `python -m`.
    """
    before = sys.path[:]
    sys.path[:] = [*before[1:], *before[:1]]
    _set_aside()
    try:
        yield
    finally:
        sys.path[:] = before


def _set_aside() -> None:
    """Forgets modules that are not the libraries which the path leads to."""
    for name in _AFTER:
        loaded = getattr(sys.modules.get(name), "__spec__", None)
        if loaded is None:
            continue
        ours = PathFinder.find_spec(name)
        if ours is not None and ours.origin != loaded.origin:
            for module in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
                del sys.modules[module]
