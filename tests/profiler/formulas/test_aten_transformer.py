from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten
from goodput.formulas.registry import work_of
from goodput.work import Call, TensorSpec

assert goodput.formulas.aten.MODULES
SIZE = st.integers(1, 32)


def spec(*shape: int) -> TensorSpec:
    return TensorSpec(shape, "float32")


def multi_head(query: TensorSpec, key: TensorSpec, width: int, heads: int, **attributes) -> Call:
    weights = (spec(3 * width, width), spec(3 * width), spec(width, width), spec(width))
    mask = spec(key.shape[1]) if attributes else None
    inputs = (query, key, key, width, heads, *weights, mask, False, True, None)
    return Call("aten::_native_multi_head_attention", inputs, attributes=attributes)


@given(SIZE, SIZE, SIZE, SIZE, st.sampled_from([1, 2, 4]))
def test_multi_head_attention_closed_form(batch, queries, keys, dim, heads) -> None:
    width = dim * heads
    found = work_of(multi_head(spec(batch, queries, width), spec(batch, keys, width), width, heads))
    assert found is not None
    projections = 2 * batch * width * width * (2 * queries + 2 * keys)
    assert found.flops == projections + 4 * batch * queries * keys * width
    assert found.padding_flops == 0


def test_masked_pairs_are_computed() -> None:
    x = spec(1, 8, 16)
    told = work_of(multi_head(x, x, 16, 2, unmasked_pairs=2 * 40))
    dense = work_of(multi_head(x, x, 16, 2))
    assert told is not None
    assert dense is not None
    assert told.dense_flops == dense.flops == told.executed_flops
    assert told.padding_flops == 4 * 8 * 2 * 24


def test_one_tensor_as_query_key_and_value_is_read_once() -> None:
    x, other = spec(1, 8, 16), spec(1, 9, 16)
    weights = 4 * (3 * 256 + 48 + 256 + 16)
    own, cross = work_of(multi_head(x, x, 16, 2)), work_of(multi_head(x, other, 16, 2))
    assert own is not None
    assert cross is not None
    assert own.bytes_read == x.bytes + weights
    assert cross.bytes_read == x.bytes + 2 * other.bytes + weights


def test_the_encoder_layer_as_pytorch_calls_it(calls_of) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True).eval()
    with torch.no_grad():
        calls = calls_of(lambda: layer(torch.ones(2, 32, 64)))
    (found,) = [
        work_of(call) for call in calls if call.name == "aten::_transformer_encoder_layer_fwd"
    ]
    assert found is not None
    assert found.flops == 4_718_592  # 2 B S (4 d^2 + 2 d f) + 4 B S^2 d
    parameters = sum(weight.numel() for weight in layer.parameters())
    assert found.bytes_read == 4 * (parameters + 2 * 32 * 64)
    assert found.bytes_written == 4 * 2 * 32 * 64


def test_multi_head_attention_as_pytorch_calls_it(calls_of) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.MultiheadAttention(64, 4, batch_first=True).eval()
    x = torch.ones(2, 32, 64)
    with torch.no_grad():
        calls = calls_of(lambda: layer(x, x, x, need_weights=False))
    found = [work_of(call) for call in calls if call.name == "aten::_native_multi_head_attention"]
    assert [work.flops for work in found if work] == [2_621_440]


def test_calls_without_shapes_are_unknown() -> None:
    assert work_of(Call("aten::_native_multi_head_attention")) is None
    assert work_of(Call("aten::_transformer_encoder_layer_fwd")) is None
