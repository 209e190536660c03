"""Follows what a kernel decides by its place in the grid: a causal loop, a first or a last step."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from goodput.frontends.jax_bodies import PROGRAM
from goodput.frontends.jax_private import open_jaxpr
from goodput.frontends.jax_turns import UNKNOWN, Follower, Path, Turns, slice_of

_PLACES = 4096
"""Places that are followed one by one, at most: each takes some operations of jax."""


def followed_over(jaxpr: Any, grid: Sequence[int]) -> Mapping[Path, Turns]:
    """The turns of every loop and branching that a place in the grid decides, over all places.

    Only the axes that decide are walked along; nothing is followed where those are too long.
    """
    inner = open_jaxpr(jaxpr)
    nothing = [False] * len(inner.outvars)
    deciding = [inner.eqns[place] for place, _ in slice_of(inner, nothing).equations]
    axes = sorted({eqn.params["axis"] for eqn in deciding if eqn.primitive.name == PROGRAM})
    sizes = [grid[axis] for axis in axes]
    if math.prod(sizes) > _PLACES:
        return {}
    follower = Follower()
    try:
        for place in itertools.product(*map(range, sizes)):
            follower.programs = dict(zip(axes, map(np.int32, place), strict=True))
            follower.run(jaxpr, [UNKNOWN] * len(inner.invars), (), nothing)
    except Exception:  # noqa: BLE001 - some primitives of kernels do not run outside of one
        return {}
    alike = math.prod(grid) // max(math.prod(sizes), 1)
    return {path: _times(turns, alike) for path, turns in follower.decided().items()}


def _times(turns: Turns, times: int) -> Turns:
    branches = {branch: taken * times for branch, taken in turns.branches.items()}
    return Turns(turns.body * times, turns.test * times, Counter(branches))
