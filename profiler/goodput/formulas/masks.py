"""Where attention operators keep a mask tensor, whose values only a live count sees.

Counts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from goodput.formulas.aten_arguments import tensor
from goodput.formulas.aten_attention import BACKWARD, FORWARD
from goodput.work import Call, TensorSpec

TAKEN_APART = "aten::_scaled_dot_product_attention_math"
"""The composite whose products are counted one by one."""

PLACES: Mapping[str, int] = {
    **{name: row.mask for name, row in {**FORWARD, **BACKWARD}.items() if row.mask >= 0},
    TAKEN_APART: 3,
    "aten::_native_multi_head_attention": 9,
    "aten::_transformer_encoder_layer_fwd": 18,
}
"""The place of the mask (or bias) among the arguments of each operator that takes one."""


def mask_of(call: Call) -> TensorSpec | None:
    """The mask tensor of an attention call; an undefined one has no dimensions and is none."""
    place = PLACES.get(call.name)
    mask = tensor(call, place) if place is not None else None
    return mask if mask is not None and mask.numel and mask.shape else None
