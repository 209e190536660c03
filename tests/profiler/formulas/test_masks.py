"""The places of mask tensors are those of PyTorch's own schemas."""

from __future__ import annotations

import pytest

from goodput.formulas.masks import PLACES, mask_of
from goodput.work import Call, TensorSpec

QUERY = TensorSpec((2, 3, 8, 4), "float32")
EFFICIENT = "aten::_scaled_dot_product_efficient_attention"


@pytest.mark.parametrize("operator", PLACES)
def test_the_place_is_that_of_the_schema(named, operator) -> None:
    assert named(operator, PLACES[operator]) in ("attn_mask", "attn_bias", "bias", "mask")


@pytest.mark.parametrize("shape", [(), (0,), (8, 0)])
def test_an_undefined_or_empty_tensor_is_no_mask(shape) -> None:
    mask = TensorSpec(shape, "float32")
    assert mask_of(Call(EFFICIENT, (QUERY, QUERY, QUERY, mask))) is None


def test_a_mask_and_its_absence() -> None:
    mask = TensorSpec((8, 8), "bool")
    assert mask_of(Call(EFFICIENT, (QUERY, QUERY, QUERY, mask))) == mask
    assert mask_of(Call(EFFICIENT, (QUERY, QUERY, QUERY, None))) is None
    assert mask_of(Call(EFFICIENT, (QUERY, QUERY, QUERY))) is None
    assert mask_of(Call("aten::mm", (QUERY, QUERY, QUERY, mask))) is None
