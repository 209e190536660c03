"""What goodput uses of jax that is private or on the move; nothing else here touches such names.

Tried on jax 0.10.2 and 0.11.2, which merges closed and open jaxprs and tells the parts of a scan by
trees.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax._src import compiler as _compiler
from jax._src import profiler as _profiler
from jax._src.array import ArrayImpl
from jax._src.core import eval_trace, trace_state_strong_ref
from jax.extend import core
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from goodput.errors import NotMeasuredError

try:
    from jax.interpreters.partial_eval import dce_jaxpr
except ImportError as error:
    raise NotMeasuredError(
        f"goodput counts programs of jax 0.10 and 0.11, and jax {jax.__version__} has no "
        "dce_jaxpr any more; install another one: pip install 'jax>=0.10,<0.12'"
    ) from error

ARRAY: Any = ArrayImpl
"""The class of arrays: to ask `isinstance` of `jax.Array` takes half a microsecond."""

COMPILER: Any = _compiler
"""The module by whose `get_compile_options` jax tells XLA how to compile."""

_PYTHON_CALLS, _HOST_LEVEL = 0, 2
_OWN: list[Path] = []


RUNNING, PLAIN = trace_state_strong_ref, eval_trace
"""Outside of any trace `RUNNING.value` is `PLAIN`; `tracing` says so, and is one more call."""


def tracing() -> bool:
    """Whether a function is being traced right now."""
    return RUNNING.value is not PLAIN


def compilations(function: Any) -> Callable[[], int]:
    """Tells how many kinds of inputs a jitted function was compiled for; of a compiled one, one."""
    return getattr(function, "_cache_size", lambda: 1)


def profile_is_running() -> bool:
    """Whether a profile of jax is being recorded."""
    return _profiler._profile_state.profile_session is not None  # noqa: SLF001 - no public way


def start_profile(folder: Path) -> None:
    """Begins a profile of ours, without the calls of Python functions, which would slow it."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = _PYTHON_CALLS
    options.host_tracer_level = _HOST_LEVEL
    _OWN.append(folder)
    try:
        jax.profiler.start_trace(str(folder), profiler_options=options)
    finally:
        _OWN.pop()


def stop_profile() -> None:
    """Ends it."""
    stop: Any = jax.profiler.stop_trace  # untyped in jax
    stop()


class ProfileWatch:
    """Ends a profile of ours before the program starts one of its own: two cannot be.

    Args:
        interrupt: called before the program's.
    """

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self._interrupt = interrupt
        self._original: Any = None

    def install(self) -> None:
        """Begins to watch."""
        if self._original is not None:
            return
        start = self._original = _profiler.start_trace

        @functools.wraps(start)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if not _OWN:
                self._interrupt()
            return start(*args, **kwargs)

        _profiler.start_trace = jax.profiler.start_trace = watched

    def remove(self) -> None:
        """Gives jax its own function back."""
        if self._original is not None:
            _profiler.start_trace = jax.profiler.start_trace = self._original
            self._original = None


TRANSFORM, SCOPE = "transform", "scope"
"""The two kinds of what a name stack holds."""


def open_jaxpr(jaxpr: Any) -> Any:
    """The jaxpr itself, of a closed or an open one."""
    return getattr(jaxpr, "jaxpr", jaxpr)


def constants(jaxpr: Any) -> Sequence[Any]:
    """The constants of a closed jaxpr; none of an open one."""
    return getattr(jaxpr, "consts", ())


def is_jaxpr(value: Any) -> bool:
    """Whether a parameter of a primitive is a jaxpr."""
    return isinstance(value, Jaxpr | ClosedJaxpr)


def live(
    jaxpr: Any, wanted: Sequence[bool] | bool, *, keep: Sequence[bool] | bool = False
) -> tuple[Any, list[bool]]:
    """The jaxpr without what its wanted outputs do not need, and which inputs it still has.

    Args:
        jaxpr: closed or open.
        wanted: which outputs are.
        keep: inputs that stay though nothing needs them.
    """
    inner = open_jaxpr(jaxpr)
    if isinstance(wanted, bool):
        wanted = [wanted] * len(inner.outvars)
    reduced, used = dce_jaxpr(inner, list(wanted), keep)
    return ClosedJaxpr(reduced, list(constants(jaxpr))), list(used)


def function_of(jaxpr: Any) -> Callable[..., Sequence[Any]]:
    """The function that a closed jaxpr is, of flat inputs, returning flat outputs."""
    function: Callable[..., Sequence[Any]] = core.jaxpr_as_fun(jaxpr)
    return function


def function_name(jaxpr: Any) -> str:
    """The name of the user's function that a jaxpr was traced from."""
    return str(open_jaxpr(jaxpr).debug_info.func_name)


def scan_parts(parameters: Mapping[str, Any]) -> tuple[int, int]:
    """How many constants a scan has, and how many values it carries from turn to turn."""
    if "num_carry" in parameters:
        return parameters["num_consts"], parameters["num_carry"]
    constant, carried, _ = parameters["ft_in"].unpack()
    return len(list(constant)), len(list(carried))


def literal(atom: Any) -> tuple[bool, Any]:
    """Whether an operand is a literal, and its value."""
    return (True, atom.val) if isinstance(atom, Literal) else (False, None)


def names_of(eqn: Any) -> tuple[tuple[str, str], ...]:
    """The name stack of an equation, outermost first: `TRANSFORM` or `SCOPE`, and its name.

    Inside another equation's jaxpr it is relative to that equation's own.
    """
    return tuple(
        (TRANSFORM if type(part).__name__ == "Transform" else SCOPE, part.name)
        for part in eqn.source_info.name_stack.stack
    )


def evaluated(eqn: Any, values: Sequence[Any]) -> list[Any]:
    """The outputs of an equation on these inputs, computed by jax."""
    parameters = eqn.primitive.get_bind_params(eqn.params)
    if isinstance(parameters, tuple):  # older: the functions apart from the rest
        functions, rest = parameters
        result = eqn.primitive.bind(*functions, *values, **rest)
    else:
        with eqn.ctx.manager:
            result = eqn.primitive.bind(*values, **parameters)
    return list(result) if eqn.primitive.multiple_results else [result]
