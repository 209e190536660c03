"""Which framework a callable is written in, by what it and its inputs are. Imports none of them.

Objects tell it: tensors, arrays, modules, compiled functions, and the names that a function uses.
Before there are objects the source of the user's file does, by what it and its neighbours import.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

TORCH, JAX = "torch", "jax"

_HOMES: Mapping[str, str] = {
    "torch": TORCH,
    "torchvision": TORCH,
    "transformers": TORCH,
    "lightning": TORCH,
    "jax": JAX,
    "jaxlib": JAX,
    "flax": JAX,
    "equinox": JAX,
    "haiku": JAX,
    "optax": JAX,
    "penzai": JAX,
}
"""The framework of a library's top-level package."""

_OBJECTS = 5000
"""Objects that are looked at, at most: a step that holds a model that holds arrays."""
_MEMBERS = 64
"""Members of a container that are looked at: the first ones tell as well as all."""
_FILES = 50
"""Source files that are read, at most, from the user's own on."""


def framework_of(call: object, inputs: object) -> str:
    """`TORCH` or `JAX`, by the callable and its inputs, nearest first; "" where neither shows."""
    waiting: deque[object] = deque((inputs, call))
    seen: set[int] = set()
    while waiting and len(seen) < _OBJECTS:
        item = waiting.popleft()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if found := _home_of(item):
            return found
        waiting.extend(_parts(item))
    return ""


def _home_of(item: object) -> str:
    """The framework that an object is of, by its class or, of a module or function, its own."""
    if isinstance(item, ModuleType):
        return _HOMES.get(_root(item.__name__), "")
    for kind in type(item).__mro__:
        if found := _HOMES.get(_root(kind.__module__)):
            return found
    return _HOMES.get(_root(getattr(item, "__module__", None)), "")


def _root(name: object) -> str:
    return name.partition(".")[0] if isinstance(name, str) else ""


def _parts(item: object) -> Iterator[object]:
    """What an object is made of, as far as that may tell a framework."""
    if isinstance(item, Mapping):
        yield from list(item.values())[:_MEMBERS]
    elif isinstance(item, list | tuple):
        yield from item[:_MEMBERS]
    elif isinstance(item, functools.partial):
        yield from (item.func, item.args, item.keywords)
    elif hasattr(item, "__code__"):
        yield getattr(item, "__self__", None)  # of a method
        yield from _used_by(item)
    elif callable(item):
        bound = (getattr(item, name, None) for name in ("__wrapped__", "__self__", "__func__"))
        yield from (part for part in bound if part is not None)
        yield from list(getattr(item, "__dict__", {}).values())[:_MEMBERS]


def _used_by(function: Any) -> Iterator[object]:
    """What a function closes over, and the globals that it names."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
    known = getattr(function, "__globals__", {})
    yield from (known[name] for name in _names(function.__code__) if name in known)


def _names(code: CodeType) -> Iterator[str]:
    """The names that code and the functions inside of it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def imported_by(source: Path) -> frozenset[str]:
    """The frameworks that a source file imports, itself or by files beside it. Runs nothing."""
    found: set[str] = set()
    waiting, seen = [source], set[Path]()
    while waiting and len(seen) < _FILES:
        file = waiting.pop()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        for name in _imports(file):
            framework = _HOMES.get(_root(name))
            if framework is not None:
                found.add(framework)
            else:
                # Beside it, beside the first one, or where the program was started.
                folders = dict.fromkeys((file.parent, source.parent, Path.cwd()))
                waiting += [place for folder in folders for place in _beside(folder, name)]
    return frozenset(found)


def _imports(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return  # running it will say so
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (_joined(node.module, alias.name) for alias in node.names)
            yield node.module or ""


def _joined(module: str | None, name: str) -> str:
    return f"{module}.{name}" if module else name


def _beside(folder: Path, name: str) -> Iterable[Path]:
    """Where a module of the user's own would lie."""
    place = folder.joinpath(*filter(None, name.split(".")))
    return place.with_name(f"{place.name}.py"), place / "__init__.py"


def source_of(module: str) -> Path | None:
    """The file of a module by its name, without running it, where it is started from first.

    The packages of an installed one are imported.
    """
    here = next((place for place in _beside(Path.cwd(), module) if place.is_file()), None)
    if here is not None:
        return here
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def likely() -> str:
    """The framework where nothing shows: the one that is loaded, or that is installed."""
    loaded = [name for name in (TORCH, JAX) if name in sys.modules]
    if len(loaded) == 1:
        return loaded[0]
    return next((name for name in (TORCH, JAX) if importlib.util.find_spec(name)), "")
