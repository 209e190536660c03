"""Tells when the program imports a module, without importing it for the program."""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Protocol


class WhenImported(importlib.abc.MetaPathFinder):
    """Calls `then` once, right after the module `name` was imported (at once if it is already).

    Args:
        name: the module's full name.
        then: called with nothing.
    """

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name = name
        self._then = then
        self._searching = False

    def install(self) -> None:
        """Begins to watch imports."""
        if self._name in sys.modules:
            self._then()
        else:
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Stops watching."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The other finders' answer, with a loader that calls `then` when the module is done."""
        if fullname != self._name or self._searching:
            return None
        self._searching = True
        try:
            specs = (
                finder.find_spec(fullname, path, target)
                for finder in sys.meta_path
                if finder is not self and hasattr(finder, "find_spec")
            )
            spec = next((found for found in specs if found is not None), None)
        finally:
            self._searching = False
        if spec is not None and spec.loader is not None:
            self._call_after(spec.loader)
        return spec

    def _call_after(self, loader: importlib.abc.Loader) -> None:
        """Gives this one loader an `exec_module` that goes on to `then`."""
        original = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            loader.__dict__.pop("exec_module", None)
            self.remove()
            original(module)
            self._then()

        loader.exec_module = exec_module  # type: ignore[method-assign]


class ImportsLate(Protocol):
    """Something that waits for modules which a program imports late, or never."""

    @property
    def late_imports(self) -> Mapping[str, Callable[[], None]]:
        """What to call when each of them has been imported."""


def watching(program: ImportsLate) -> list[WhenImported]:
    """The watches over what a program imports late, installed."""
    watches = [WhenImported(name, then) for name, then in program.late_imports.items()]
    for watch in watches:
        watch.install()
    return watches
