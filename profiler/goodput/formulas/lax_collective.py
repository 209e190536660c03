"""JAX's collectives: what a device hands over and gets. Communication, so without FLOPs.

The additions of a reducing collective are left out: they are hidden behind its transfer.
"""

from __future__ import annotations

from goodput.formulas.lax_parameters import moved
from goodput.formulas.registry import register

# fmt: off
_NAMES = (
    "all_gather", "all_gather_invariant", "all_gather_reduced", "all_to_all", "pbroadcast",
    "pmax", "pmin", "ppermute", "preduced", "psum", "psum2", "psum_invariant", "psum_scatter",
    "ragged_all_to_all", "reduce_scatter", "unreduced_psum", "unreduced_reduce_scatter",
)
# fmt: on

COLLECTIVES = frozenset(f"lax::{name}{start}" for name in _NAMES for start in ("", "_start"))
"""The operators that talk to other devices."""

register(*COLLECTIVES)(moved)
