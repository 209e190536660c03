"""Every formula of JAX's primitives: importing this module registers them all."""

from __future__ import annotations

from goodput.formulas import (
    lax_attention,
    lax_collective,
    lax_contraction,
    lax_convolution,
    lax_factorisation,
    lax_movement,
    lax_pointwise,
    lax_reduction,
)

MODULES = (
    lax_attention,
    lax_collective,
    lax_contraction,
    lax_convolution,
    lax_factorisation,
    lax_movement,
    lax_pointwise,
    lax_reduction,
)
"""The modules whose formulas are registered."""
