"""The kind of a step of JAX: the shapes of the small inputs of its function. Computes nothing.

Parameters have many leaves and never change their shapes; a batch has few.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from goodput.frontends.jax_private import ARRAY

_SMALL = 8
"""Arrays of an argument up to which their shapes tell the kind of a step; parameters have more."""
_CONTAINERS = frozenset({tuple, list, dict})


def kind_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
    """The kind of a call by the shapes and dtypes of its small inputs.

    Small are arrays, and tuples, lists and dicts of a few of them.
    """
    parts: list[tuple[Any, Any]] = []
    for value in (*args, *kwargs.values()):
        kind = type(value)
        if kind in _CONTAINERS and len(value) <= _SMALL:
            few: Any = value.values() if kind is dict else value
            parts.extend((each.shape, each.dtype) for each in few if _is_array(each))
        elif _is_array(value):
            parts.append((value.shape, value.dtype))
    return (tuple(parts),)


def _is_array(value: Any) -> bool:
    return type(value) is ARRAY or isinstance(value, np.ndarray)


class Kinds:
    """The kinds of calls one after the other: of one like the one before it is not worked out.

    Runs in undisturbed steps: a microsecond for ten arrays.
    """

    def __init__(self) -> None:
        self._noted: list[Any] | None = None
        self._kind: Hashable = None

    def of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        """What `kind_of` says; the same object for as long as nothing changes."""
        noted: list[Any] = []
        note, array, other = noted.append, ARRAY, np.ndarray
        for value in (*args, *kwargs.values()) if kwargs else args:
            kind = type(value)
            if kind is array:
                note(value.aval)  # jax keeps one object for all of a shape and dtype
            elif kind is other:
                note(value.shape)
                note(value.dtype)
            elif kind in _CONTAINERS and len(value) <= _SMALL:
                for each in value.values() if kind is dict else value:
                    if type(each) is array:
                        note(each.aval)
                    elif type(each) is other:
                        note(each.shape)
                        note(each.dtype)
        if noted != self._noted:
            self._noted, self._kind = noted, kind_of(args, kwargs)
        return self._kind
