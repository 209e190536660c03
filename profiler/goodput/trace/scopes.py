"""Module and phase of what JAX runs, from the names around it. Pure; imports no framework.

`jax.named_scope` and the scopes of flax, haiku and equinox name the module. Transformations mark
the rest: what is transposed is backward, what stands under remat's marker is recomputed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from goodput.trace.table import Phase

Name = tuple[str, str]
"""`transform` or `scope`, and the name itself."""

_TRANSPOSE = ("transform", "transpose")
_REMATTED = "rematted_computation"
_OURS = frozenset({_REMATTED, "checkpoint", "remat", "remat2", ""})
_EINSUM = "->"
_EQUINOX = "eqx.nn."
_OPTIMIZER = "optimizer"
# What JAX's own control flow and calls put into a path.
_STRUCTURE = frozenset({"while", "body", "cond", "closed_call", "eval_jaxpr", "scan", "main"})
_CALLS = frozenset({"jit", "pjit", "xla_call", "core_call", "shard_map", "custom_vjp_call"})
_BRANCH = re.compile(r"branch_\d+_fun")
_WRAPPED = re.compile(r"(\w+)\((.*)\)")


@lru_cache(maxsize=4096)
def place_of(names: tuple[Name, ...]) -> tuple[Phase, str]:
    """The phase and the module, as `block.attention`, of what stands under `names`."""
    return _phase(names), ".".join(_modules(_said_once(names)))


def _phase(names: Sequence[Name]) -> Phase:
    if ("scope", _REMATTED) in names:
        return Phase.RECOMPUTE
    if _TRANSPOSE in names:
        return Phase.BACKWARD
    if any(kind == "scope" and _OPTIMIZER in name.lower() for kind, name in names):
        return Phase.OPTIMIZER
    return Phase.FORWARD


def _said_once(names: tuple[Name, ...]) -> tuple[Name, ...]:
    """The names without those that stand twice.

    What a rematted function is transposed to bears all names around it a second time:
    `transpose(jvp(GPT))/jvp(GPT)/block`.
    """
    for begin in range(len(names) if _TRANSPOSE in names else 0):
        for end in range(begin + 1, len(names)):
            again = tuple(name for name in names[begin:end] if name != _TRANSPOSE)
            after = end + len(again)
            if 0 < len(again) < end - begin and names[end:after] == again:
                return _said_once(names[:end] + names[after:])
    return names


def _modules(names: Sequence[Name]) -> list[str]:
    """The user's own scopes; jax adds some, such as the text of an einsum."""
    scopes = [name.removeprefix(_EQUINOX) for kind, name in names if kind == "scope"]
    parts = [part for name in scopes for part in name.split("/")]
    return [part for part in parts if part not in _OURS and _EINSUM not in part]


@lru_cache(maxsize=1 << 16)
def place_in(path: str) -> tuple[Phase, str, str]:
    """Phase, module and primitive of an operation by its path in a compiled program.

    Args:
        path: e.g. `jit(step)/transpose(jvp(GPT))/block/dot_general`; of several the first counts.
    """
    *around, last = _split(path.partition(";")[0])
    names = tuple(name for part in around for name in _names(part))
    return (*place_of(names), last)


def _split(path: str) -> list[str]:
    """The parts of a path: a slash inside of parentheses parts nothing."""
    parts, depth, begin = [], 0, 0
    for at, letter in enumerate(path):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "/" and depth == 0:
            parts.append(path[begin:at])
            begin = at + 1
    return [*parts, path[begin:]]


def _names(part: str) -> Iterator[Name]:
    """The names in one part, from the outside in."""
    found = _WRAPPED.fullmatch(part)
    if found is None:
        if part not in _STRUCTURE and not _BRANCH.fullmatch(part):
            yield "scope", part
        return
    yield "transform", found[1]
    if found[1] not in _CALLS:
        yield from _names(found[2])
