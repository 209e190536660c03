"""Every formula of PyTorch's own operators: importing this module registers them all."""

from __future__ import annotations

from goodput.formulas import (
    aten_attention,
    aten_convolution,
    aten_factorisation,
    aten_matrix,
    aten_recurrent,
    aten_transformer,
)

MODULES = (
    aten_attention,
    aten_convolution,
    aten_factorisation,
    aten_matrix,
    aten_recurrent,
    aten_transformer,
)
"""The modules whose formulas are registered."""
