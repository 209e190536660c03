"""Keeps a process of one commit from importing the files of another. Knows no case."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import goodput
import goodput_kernels
from goodput.errors import NotMeasuredError

_TOLD = 3


@contextmanager
def imported_from(top: str, instead_of: str) -> Iterator[None]:
    """Inside, what would be imported from one tree of files is imported from another.

    A package that was installed from its checkout in editable mode would be the same for both
    commits, and no change of it could be seen. The environment and goodput itself stay.

    Args:
        top: of the tree that is imported from.
        instead_of: the top of the other one; "" where there is none.

    Raises:
        NotMeasuredError: at the end, where modules of the other were imported all the same.
    """
    if not instead_of:
        yield
        return
    here, root = Path(top).resolve(), Path(instead_of).resolve()
    sys.path[:] = [_moved(entry, root, here) for entry in sys.path]
    yield
    strays = sorted({*_strays(root, here)})
    if strays:
        names = ", ".join(strays[:_TOLD])
        raise NotMeasuredError(
            f"{names} {'was' if len(strays) == 1 else 'were'} imported from {root}, not from this "
            "commit: uninstall it there, or name its folder in PYTHONPATH"
        )


@contextmanager
def path_for(top: Path | None, instead_of: Path | None) -> Iterator[None]:
    """Inside, processes that are started import one tree's files instead of another's.

    By `PYTHONPATH`, which stands before what is installed; both are None where there is no other.
    """
    if top is None or instead_of is None:
        yield
        return
    here, root = top.resolve(), instead_of.resolve()
    moved = [_moved(entry, root, here) for entry in sys.path if entry]
    own = [new for new, old in zip(moved, filter(None, sys.path), strict=True) if new != old]
    given = os.environ.get("PYTHONPATH")
    kept = [_moved(entry, root, here) for entry in given.split(os.pathsep)] if given else []
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*own, *kept]))
    try:
        yield
    finally:
        if given is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = given


def _moved(entry: str, root: Path, here: Path) -> str:
    """An entry of the path: its counterpart here, where it is of the other checkout."""
    place = Path(entry).resolve()
    if not entry or not place.is_relative_to(root) or _stays(place):
        return entry
    counterpart = here / place.relative_to(root)
    return str(counterpart) if counterpart.exists() else entry


def _stays(place: Path) -> bool:
    """Whether a place is of the environment or of goodput, which measures both commits."""
    ours = [Path(package.__path__[0]).resolve() for package in (goodput, goodput_kernels)]
    kept = [Path(sys.prefix).resolve(), *ours, *(one.parent for one in ours)]
    return any(place == one or one in place.parents for one in kept)


def _strays(root: Path, here: Path) -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file:
            place = Path(file).resolve()
            outside = place.is_relative_to(root) and not place.is_relative_to(here)
            if outside and not _stays(place):
                yield name.partition(".")[0]
