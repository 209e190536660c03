"""Counts a JAX callable from its jaxpr: on abstract values, without memory and without running it.

Where values decide what runs, only what decides it is computed, on the inputs as they are.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from goodput.errors import GoodputError, NotMeasuredError, UsageError, typed_line
from goodput.frontends.counted_step import Count
from goodput.frontends.jax_bodies import COND, WHILE, is_decided_by_values
from goodput.frontends.jax_nnx import nnx_scopes
from goodput.frontends.jax_private import live
from goodput.frontends.jax_turns import UNKNOWN, Turns, followed
from goodput.frontends.jax_turns import Path as Place
from goodput.frontends.jax_walk import Around, Walk
from goodput.units import si

_OURS = str(Path(__file__).parent.parent)
_JAX = str(Path(jax.__file__).parent)
_BY_VALUE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
)


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be counted.

    Attributes:
        call: a function, jitted or not, or a callable tree of arrays.
        inputs: its arguments, by position or by name: arrays or `jax.ShapeDtypeStruct`. Numbers
            and words of Python stay what they are, as a static argument of `jax.jit`.
        train: True: the gradient of its outputs is counted too, by the floating leaves of its
            first argument, as `jax.grad` does it, or by all of them where that has none.
    """

    call: Callable[..., Any]
    inputs: Sequence[Any] | Mapping[str, Any] = ()
    train: bool | None = None


def count_step(step: Step) -> Count:
    """Counts `step` on shapes, following what its values decide.

    Raises:
        NotMeasuredError: it could not be counted.
        UsageError: the program failed by itself.
    """
    if isinstance(step.call, jax.stages.Compiled):
        raise UsageError(
            "the callable is compiled ahead of time, and nothing is left of its jaxpr: give the "
            "function itself, before .lower() and .compile()"
        )
    arguments = _Arguments(step)
    function = arguments.gradient if step.train else arguments.call
    program = _traced(function, arguments)
    if not program.jaxpr.outvars and not program.jaxpr.effects:
        raise UsageError(
            "the callable returns no array, so XLA would leave out all that it does: return what "
            "it computes"
        )
    return count_traced(program, arguments.values)


def count_traced(program: Any, values: Sequence[Any] | None = None) -> Count:
    """Counts a closed jaxpr, following what its values decide where they are given.

    Raises:
        NotMeasuredError: it could not be counted.
        UsageError: there is nothing in it, or it failed on its values.
    """
    program, _ = live(program, wanted=True, keep=True)
    turns: Mapping[Place, Turns] = {}
    if values is not None and is_decided_by_values(program):
        turns = _followed(program, values)
    walk = Walk(turns)
    walk.over(program, Around())
    if not walk.entries.entries:
        raise UsageError("the callable ran no operator of jax, so there is nothing to count")
    return Count(walk.entries.result(), _told(walk, turns), walk.entries.tokens)


def gradient_of(step: Step) -> tuple[Callable[..., Any], list[Any]]:
    """What gives the outputs of `step` and their gradients, and its arrays, flat."""
    arguments = _Arguments(step)
    return arguments.gradient, arguments.arrays


class _Arguments:
    """The inputs of a call as flat arrays, beside what is no array.

    Attributes:
        arrays: each array, or its shape and dtype.
        values: the arrays themselves; `UNKNOWN` where only a shape was given.
    """

    def __init__(self, step: Step) -> None:
        call, first = _unbound(step.call)
        named = step.inputs if isinstance(step.inputs, Mapping) else {}
        rest = () if isinstance(step.inputs, Mapping) else tuple(step.inputs)
        own, self._callable = _own_arrays(call)
        everything = (own, (*first, *rest), dict(named))
        self._leaves, self._tree = jax.tree.flatten(everything)
        self._places = [place for place, leaf in enumerate(self._leaves) if _is_array(leaf)]
        self.arrays = [self._leaves[place] for place in self._places]
        self.values = [_value(leaf) for leaf in self.arrays]
        self._trained = self._differentiated(everything)

    def call(self, *arrays: Any) -> tuple[list[Any], list[Any]]:
        """The arrays that the callable returns on these, and those that it left in its inputs.

        An nnx module is trained in place: its new weights are in it, and nowhere else.
        """
        leaves = list(self._leaves)
        for place, array in zip(self._places, arrays, strict=True):
            leaves[place] = array
        own, positional, named = jax.tree.unflatten(self._tree, leaves)
        call = self._callable(own)
        result = call(*positional, **named)
        given = set(map(id, leaves))
        after = jax.tree.leaves((call, positional, named))
        left = [leaf for leaf in after if _is_array(leaf) and id(leaf) not in given]
        return [leaf for leaf in jax.tree.leaves(result) if _is_array(leaf)], left

    def gradient(self, *arrays: Any) -> tuple[list[Any], list[Any]]:
        """What `call` returns and leaves, and the gradients of the former by what is trained."""

        def outputs(*trained: Any) -> tuple[list[Any], list[Any]]:
            every = list(arrays)
            for place, array in zip(self._trained, trained, strict=True):
                every[place] = array
            return self.call(*every)

        first = (arrays[place] for place in self._trained)
        result, pull, left = jax.vjp(outputs, *first, has_aux=True)
        if not any(map(_is_floating, result)):
            raise UsageError(
                "nothing that the callable returns is a floating number, so there is no gradient "
                "to count; return the loss, or leave --train out"
            )
        return [*result, *left], list(pull([_seed(array) for array in result]))

    def _differentiated(self, everything: tuple[Any, ...]) -> list[int]:
        """Which arrays the gradient is by: the first argument's, or all, of a floating dtype."""
        own, positional, named = everything
        sizes = [len(jax.tree.leaves(part)) for part in (own, *positional, *named.values())]
        floating = [place for place, leaf in enumerate(self.arrays) if _is_floating(leaf)]
        start = 0
        for size in sizes:
            inside = [p for p in floating if start <= self._places[p] < start + size]
            if size:
                return inside or floating
            start += size
        return floating


def _unbound(call: Callable[..., Any]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A callable, and the arguments that `functools.partial` bound to it, as inputs of its own."""
    if not isinstance(call, functools.partial):
        return call, ()
    inner, first = _unbound(call.func)
    named = functools.partial(inner, **call.keywords) if call.keywords else inner
    return named, (*first, *call.args)


def _own_arrays(call: Callable[..., Any]) -> tuple[Any, Callable[[Any], Callable[..., Any]]]:
    """The arrays that a callable tree is made of, and what makes it of such."""
    leaves, tree = jax.tree.flatten(call)
    if len(leaves) == 1 and leaves[0] is call:
        return None, lambda _: call
    return leaves, functools.partial(jax.tree.unflatten, tree)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | jax.ShapeDtypeStruct | np.ndarray | np.generic)


def _is_floating(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def _value(leaf: Any) -> Any:
    return UNKNOWN if isinstance(leaf, jax.ShapeDtypeStruct) else leaf


def _seed(array: Any) -> Any:
    """The gradient of an output by itself."""
    if _is_floating(array):
        return jnp.ones_like(array)
    return np.zeros(array.shape, jax.dtypes.float0)


def _traced(function: Callable[..., Any], arguments: _Arguments) -> Any:
    """The jaxpr of a function.

    Raises:
        NotMeasuredError: it asks for a value while it is traced.
        UsageError: it failed by itself.
    """
    try:
        with nnx_scopes():
            return jax.make_jaxpr(function)(*arguments.arrays)
    except GoodputError:
        raise
    except _BY_VALUE as error:
        raise NotMeasuredError(
            f"the program asks for the value of an array while jax traces it{_place(error)}; "
            "jax.jit could not take it either: decide by lax.cond, compute with jax.numpy, or "
            "give what decides as a number of Python"
        ) from error
    except Exception as error:  # the border with the user's program
        raise UsageError(f"the program failed: {typed_line(error)}{_place(error)}") from error


def _followed(program: Any, values: Sequence[Any]) -> Mapping[Place, Turns]:
    """The turns that values decide.

    Raises:
        UsageError: the program failed on its inputs.
    """
    try:
        return followed(program, values)
    except GoodputError:
        raise
    except Exception as error:  # the border with the user's program
        raise UsageError(
            f"the program failed on its inputs: {typed_line(error)}{_place(error)}; give shapes "
            "(jax.ShapeDtypeStruct) to count it without values"
        ) from error


def _place(error: BaseException) -> str:
    """Where in the program an error was raised, outside of goodput and of jax; else ""."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith((_OURS, _JAX, "<"))]
    return f" ({theirs[-1].filename}:{theirs[-1].lineno})" if theirs else ""


def _told(walk: Walk, turns: Mapping[Place, Turns]) -> tuple[str, ...]:
    """What the user must know of a count."""
    told = []
    if turns:
        told.append(
            f"values decide {_number(len(turns), 'loop or branch', 'loops and branches')}: "
            "what decides was computed on the inputs, and its turns are counted"
        )
    if loops := walk.undecided[WHILE]:
        told.append(
            f"{_number(loops, 'loop turns', 'loops turn')} as often as values say that are not "
            "there: one turn is counted, which is the least; give arrays for shapes"
        )
    if branches := walk.undecided[COND]:
        told.append(
            f"{_number(branches, 'branch is', 'branches are')} chosen by values that are not "
            "there: the heaviest is counted, which is the most; give arrays for shapes"
        )
    for devices, flops in walk.devices.items():
        told.append(
            f"shard_map spreads work over {devices} devices: the counts are of all of them, "
            f"{si(flops, 'FLOP')} in it, {si(flops / devices, 'FLOP')} on each"
        )
    return (*told, *walk.kernels)


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
