"""Nested tuples, lists and dicts of arrays: the arguments and the results of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    """`tree` with every leaf changed; a leaf is anything but a tuple, a list or a mapping."""
    if isinstance(tree, Mapping):
        return {key: mapped(value, change) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return (
            type(tree)(mapped(value, change) for value in tree)
            if not hasattr(tree, "_fields")
            else type(tree)(*(mapped(value, change) for value in tree))
        )
    return change(tree)


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves of `tree` in order."""
    if isinstance(tree, Mapping):
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, tuple | list):
        for value in tree:
            yield from leaves(value)
    else:
        yield tree
