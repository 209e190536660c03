"""Module and phase of a JAX equation, from the names around it. Pure; imports no framework.

`jax.named_scope` and the scopes of flax, haiku and equinox name the module. Transformations mark
the rest: what is transposed is backward, what stands under remat's marker is recomputed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from goodput.trace.table import Phase

Name = tuple[str, str]
"""`transform` or `scope`, and the name itself."""

_REMATTED = "rematted_computation"
_OURS = frozenset({_REMATTED, "checkpoint", "remat", "remat2", ""})
_EINSUM = "->"
_EQUINOX = "eqx.nn."
_OPTIMIZER = "optimizer"


@lru_cache(maxsize=4096)
def place_of(names: tuple[Name, ...]) -> tuple[Phase, str]:
    """The phase and the module, as `block.attention`, of what stands under `names`."""
    return _phase(names), ".".join(_modules(names))


def _phase(names: Sequence[Name]) -> Phase:
    if ("scope", _REMATTED) in names:
        return Phase.RECOMPUTE
    if ("transform", "transpose") in names:
        return Phase.BACKWARD
    if any(kind == "scope" and _OPTIMIZER in name.lower() for kind, name in names):
        return Phase.OPTIMIZER
    return Phase.FORWARD


def _modules(names: Sequence[Name]) -> list[str]:
    """The user's own scopes; jax adds some, such as the text of an einsum."""
    scopes = [name.removeprefix(_EQUINOX) for kind, name in names if kind == "scope"]
    parts = [part for name in scopes for part in name.split("/")]
    return [part for part in parts if part not in _OURS and _EINSUM not in part]
