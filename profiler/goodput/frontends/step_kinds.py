"""What kind a step is: the input signatures of the calls in it. Steps of one kind do one work.

Knows no framework: anything with a `shape` and a `dtype` is a tensor.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Any, TypeAlias

Signature: TypeAlias = tuple[tuple[tuple[int, ...], Any], ...]
"""Shape and dtype of each tensor among the arguments of one call."""

_SHOWN = 3


def signature(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Signature:
    """The shapes and dtypes of the tensors among a call's arguments, one level of nesting deep."""
    words: list[tuple[tuple[int, ...], Any]] = []
    for item in (*args, *kwargs.values()) if kwargs else args:
        if hasattr(item, "shape") and hasattr(item, "dtype"):
            words.append((tuple(item.shape), item.dtype))
        elif isinstance(item, list | tuple):
            words.extend(_tensors(item))
        elif isinstance(item, dict):
            words.extend(_tensors(item.values()))
    return tuple(words)


def _tensors(items: Iterable[Any]) -> list[tuple[tuple[int, ...], Any]]:
    return [(tuple(i.shape), i.dtype) for i in items if hasattr(i, "shape") and hasattr(i, "dtype")]


def describe(kind: Hashable) -> str:
    """A kind for people, e.g. `inputs float32[8,128]`; "" for one that says nothing."""
    calls = _calls(kind)
    if not calls:
        return ""
    first = ", ".join(f"{_dtype(dtype)}[{_sides(shape)}]" for shape, dtype in calls[0][:_SHOWN])
    first += ", …" if len(calls[0]) > _SHOWN else ""
    inputs = f"inputs {first}" if first else "no tensor as input"
    if len(calls) == 1:
        return inputs
    return f"{len(calls)} module calls, the first with {inputs}"


def elements(kind: Hashable) -> int:
    """How many elements the inputs of a step of this kind have."""
    return sum(math.prod(shape) for call in _calls(kind) for shape, _ in call)


def _calls(kind: Hashable) -> tuple[Signature, ...]:
    return kind if isinstance(kind, tuple) else ()


def _dtype(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def _sides(shape: tuple[int, ...]) -> str:
    return ",".join(map(str, shape))
