"""Every formula of PyTorch's own operators: importing this module registers them all."""

from __future__ import annotations

from goodput.formulas import (
    aten_activation,
    aten_attention,
    aten_convolution,
    aten_creation,
    aten_ctc,
    aten_distance,
    aten_factorisation,
    aten_indexing,
    aten_matrix,
    aten_movement,
    aten_normalization,
    aten_optimizer,
    aten_pointwise,
    aten_quantized,
    aten_recurrent,
    aten_reduction,
    aten_resampling,
    aten_spectral,
    aten_transformer,
    compiler_prims,
)

MODULES = (
    aten_activation,
    aten_attention,
    aten_convolution,
    aten_creation,
    aten_ctc,
    aten_distance,
    aten_factorisation,
    aten_indexing,
    aten_matrix,
    aten_movement,
    aten_normalization,
    aten_optimizer,
    aten_pointwise,
    aten_quantized,
    aten_recurrent,
    aten_reduction,
    aten_resampling,
    aten_spectral,
    aten_transformer,
    compiler_prims,
)
"""The modules whose formulas are registered."""
