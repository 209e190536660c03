"""Sees the calls of a program's jitted functions, from the outside of any trace.

`jax.jit` is replaced while it is on: what it makes then is the same function behind one more call.
Functions that were jitted before are not seen, which are those of jax itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from goodput.frontends.jax_nnx import nnx_scopes
from goodput.frontends.jax_private import tracing

WATCHED = "_goodput_function"
"""Where a watched function holds the jitted one."""

JAXPR = "_goodput_jaxpr"
"""Where a program that was compiled ahead of time holds what it was traced to."""

_TRACING = ("lower", "trace")

Seen = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


def watched_function(function: Any, watch: JitWatch) -> Any:
    """A jitted function of the program whose calls `watch` sees; it has all else that one has.

    A plain function: to call an object with `__call__` takes twice as long.
    """

    @functools.wraps(function)
    def watched(*args: Any, **kwargs: Any) -> Any:
        seen = watch.seen
        if seen is None:
            return function(*args, **kwargs)
        return seen(function, args, kwargs)

    for name in dir(function):  # `lower`, `trace`, `clear_cache`...
        if not name.startswith("__"):
            member = getattr(function, name)
            setattr(watched, name, nnx_scopes()(member) if name in _TRACING else member)
    setattr(watched, WATCHED, function)
    return watched


class JitWatch:
    """Hands every call of a jitted function from outside of any trace to `seen`.

    Args:
        seen: called with the function, its arguments and its named ones; calls it in turn.
    """

    def __init__(self, seen: Seen) -> None:
        self._then = seen
        self.inside = False
        self._originals: list[tuple[Any, str, Any]] = []
        self.seen: Seen | None = None

    def install(self) -> None:
        """Begins to see."""
        self.seen = self._see
        if self._originals:
            return
        stages: Any = jax.stages
        jit: Any = jax.jit
        call: Any = stages.Compiled.__call__
        kind, watch = type(jit(lambda: 0)), self

        @functools.wraps(jit)
        def watched(*args: Any, **kwargs: Any) -> Any:
            made = jit(*args, **kwargs)
            if isinstance(made, kind):
                return watched_function(made, watch)
            # Without a function it is a decorator.
            return lambda function: (
                watched_function(made(function), watch) if callable(made) else made
            )

        @functools.wraps(call)
        def called(compiled: Any, *args: Any, **kwargs: Any) -> Any:
            if watch.seen is None or watch.inside:
                return call(compiled, *args, **kwargs)
            return watch.seen(_bound(compiled, call), args, kwargs)

        self._replace(jax, "jit", watched)
        self._replace(stages.Compiled, "__call__", called)
        self._replace(stages.Traced, "lower", _handing_on(stages.Traced.lower))
        self._replace(stages.Lowered, "compile", _handing_on(stages.Lowered.compile))

    def _replace(self, owner: Any, name: str, made: Any) -> None:
        self._originals.append((owner, name, getattr(owner, name)))
        setattr(owner, name, made)

    def hand_to(self, seen: Seen | None) -> None:
        """Hands every call to `seen`, from inside of traces too; None hands them as at first."""
        self.seen = seen or self._see

    def let_be(self) -> None:
        """Sees nothing more; what was made stays as it is."""
        self.seen = None

    def remove(self) -> None:
        """Gives jax its own functions back."""
        self.let_be()
        while self._originals:
            setattr(*self._originals.pop())

    def _see(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.inside or tracing():
            return function(*args, **kwargs)
        self.inside = True
        try:
            return self._then(function, args, kwargs)
        finally:
            self.inside = False


def _bound(compiled: Any, call: Callable[..., Any]) -> Any:
    """The function that a compiled program is, always the same one, whose calls are not seen."""
    function = vars(compiled).get(WATCHED)
    if function is None:
        function = functools.partial(call, compiled)
        setattr(function, JAXPR, getattr(compiled, JAXPR, None))
        setattr(compiled, WATCHED, function)
    return function


def _handing_on(make: Callable[..., Any]) -> Callable[..., Any]:
    """`make`, whose result holds the jaxpr of the stage before it."""

    @functools.wraps(make)
    def handing_on(stage: Any, *args: Any, **kwargs: Any) -> Any:
        made = make(stage, *args, **kwargs)
        setattr(made, JAXPR, getattr(stage, JAXPR, None) or getattr(stage, "jaxpr", None))
        return made

    return handing_on
