"""Names the modules of flax's nnx, which opens no scope of its own: by attributes, as in torch.

Nothing is imported: a program that uses nnx has loaded it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax

_NNX = "flax.nnx"
_CALL = "__call__"
_DEPTH = 4
"""How deep a module is looked for inside of the one that calls it."""


@contextmanager
def nnx_scopes() -> Iterator[None]:
    """Inside, every call of an nnx module stands in a scope of the module's name."""
    nnx = sys.modules.get(_NNX)
    kinds = set() if nnx is None else set(_kinds(nnx.Module))
    own = {kind: vars(kind)[_CALL] for kind in kinds if _CALL in vars(kind)}
    running: list[Any] = []
    for kind, call in own.items():
        setattr(kind, _CALL, _named(call, running))
    try:
        yield
    finally:
        for kind, call in own.items():
            setattr(kind, _CALL, call)


def _kinds(kind: Any) -> Iterator[Any]:
    """A class and all that are derived from it."""
    yield kind
    for derived in kind.__subclasses__():
        yield from _kinds(derived)


def _named(call: Callable[..., Any], running: list[Any]) -> Callable[..., Any]:
    """`call` in a scope of its module's name; `running` are the modules that run, outermost first.

    A module that calls its base class's own stands in one scope.
    """

    @functools.wraps(call)
    def named(module: Any, *args: Any, **kwargs: Any) -> Any:
        if running and running[-1] is module:
            return call(module, *args, **kwargs)
        path = _path(module, running[-1], _DEPTH) if running else None
        running.append(module)
        try:
            with jax.named_scope(path or type(module).__name__):
                return call(module, *args, **kwargs)
        finally:
            running.pop()

    return named


def _path(module: Any, holder: Any, depth: int) -> str | None:
    """Where `holder` has `module`: `layers/0`; None where it does not."""
    members = [(name, item) for name, item in _members(holder) if not name.startswith("_")]
    for name, item in members:
        if item is module:
            return name
    for name, item in members if depth > 1 else ():
        inside = _path(module, item, depth - 1)
        if inside is not None:
            return f"{name}/{inside}"
    return None


def _members(holder: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(holder, list | tuple):
        yield from ((str(place), item) for place, item in enumerate(holder))
    elif isinstance(holder, Mapping):
        yield from ((str(key), item) for key, item in holder.items())
    elif isinstance(holder, sys.modules[_NNX].Module):
        yield from vars(holder).items()
