# ruff: noqa: FBT003  # operators take their flags by position
"""Attention of other libraries counts as PyTorch's own does, by the places of its arguments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten
from goodput.formulas.aten_attention import packed_sizes, row_of
from goodput.formulas.attention import fullest_packing, window_pairs
from goodput.formulas.library_attention import BACKWARD, FORWARD, OWN_BACKWARD, OWN_FORWARD
from goodput.formulas.modes import mode_of
from goodput.formulas.registry import is_unseen, work_of
from goodput.work import Call, TensorSpec, Work

assert goodput.formulas.aten.MODULES
LENGTH = st.integers(1, 40)


def spec(*shape: int, dtype: str = "bfloat16") -> TensorSpec:
    return TensorSpec(shape, dtype)


def forward_calls(q, k, v, causal: bool, window: tuple[int, int]) -> list[Call]:
    """The same attention, not packed, under every library's name."""
    return [
        Call("flash_attn::_flash_attn_forward", (q, k, v, 0.0, 1.0, causal, *window, 0.0)),
        Call(
            "flash_attn_3::fwd",
            (q, k, v, *(None,) * 20, 1.0, causal, *window, 0, 0.0),
        ),
        Call(
            "flash_attn_3::_flash_attn_forward",
            (q, k, v, *(None,) * 20, 1.0, causal, *window, 0, 0.0),
        ),
        Call(
            "xformers_flash::flash_fwd",
            (q, k, v, None, None, None, 1, 1, 0.0, 1.0, causal, *window, False, None),
        ),
    ]


def backward_calls(q, k, v, causal: bool, window: tuple[int, int]) -> list[Call]:
    lse = spec(1, dtype="float32")
    saved = (q, q, k, v, q, lse)
    return [
        Call(
            "flash_attn::_flash_attn_backward",
            (*saved, q, k, v, 0.0, 1.0, causal, *window, 0.0),
        ),
        Call(
            "flash_attn_3::bwd",
            (*saved, *(None,) * 9, 1.0, causal, *window, 0.0),
        ),
        Call(
            "xformers_flash::flash_bwd",
            (False, *saved, None, None, 1, 1, 0.0, 1.0, causal, *window, lse),
        ),
    ]


@given(st.integers(1, 3), st.integers(1, 4), LENGTH, LENGTH, LENGTH, st.booleans(), LENGTH)
def test_every_library_counts_the_same(b, h, queries, keys, d, causal, left) -> None:
    q, k, v = spec(b, queries, h, d), spec(b, keys, h, d), spec(b, keys, h, d)
    for window in ((-1, -1), (left, 0)):
        opened = None if window[0] < 0 else left
        right = 0 if causal or window[1] == 0 else None
        seen = b * h * window_pairs(queries, keys, opened, right)
        for call in forward_calls(q, k, v, causal, window):
            found = work_of(call)
            assert found is not None, call.name
            assert found.flops == 4 * d * seen
            assert found.dense_flops == 4 * d * b * h * queries * keys
            assert mode_of(call) == "bfloat16"
        for call in backward_calls(q, k, v, causal, window):
            found = work_of(call)
            assert found is not None, call.name
            assert found.flops == 8 * d * seen
            assert found.recompute_flops == 2 * d * seen


PACKED = {
    "flash_attn::_flash_attn_varlen_forward": lambda q, ends, n: (
        *(q, q, q, ends, ends, n, n, 0.0, 1.0, True, -1, -1, 0.0),
    ),
    "flash_attn_3::fwd": lambda q, ends, n: (
        *(q, q, q, None, None, None, None, ends, ends, None, None, None, n, n),
        *(None,) * 9,
        *(1.0, True, -1, -1),
    ),
    "xformers_flash::flash_fwd": lambda q, ends, n: (
        *(q, q, q, ends, ends, None, n, n, 0.0, 1.0, True, -1, -1, False, None),
    ),
    "torch_attn::_varlen_attn": lambda q, ends, n: (
        *(q, q, q, ends, ends, n, n, True, None, (-1, 0), False, None, None),
    ),
    "torch_attn::_varlen_attn_out": lambda q, ends, n: (
        *(q, q, q, q, ends, ends, n, n, True, None, (-1, 0), False, None, None),
    ),
    "flash_attn::_flash_attn_varlen_backward": lambda q, ends, n: (
        *(q, q, q, q, q, q, q, q, q, ends, ends, n, n, 0.0, 1.0, True, -1, -1, 0.0),
    ),
    "flash_attn_3::bwd": lambda q, ends, n: (
        *(q, q, q, q, q, q, None, None, None, ends, ends, None, None, n, n, 1.0, True, -1, -1),
    ),
    "xformers_flash::flash_bwd": lambda q, ends, n: (
        *(False, q, q, q, q, q, q, ends, ends, n, n, 0.0, 1.0, True, -1, -1, q),
    ),
    "torch_attn::_varlen_attn_backward": lambda q, ends, n: (
        *(q, q, q, q, q, q, ends, ends, n, n, True, q, None, (-1, 0)),
    ),
}


@pytest.mark.parametrize("name", sorted(PACKED))
def test_packed_sequences_take_their_pairs_from_their_lengths(name: str) -> None:
    q, ends = spec(20, 2, 8), spec(4, dtype="int32")
    call = Call(name, PACKED[name](q, ends, 9))
    assert work_of(call) is None  # shapes do not show the lengths
    row = row_of(name)
    assert row is not None
    sizes = packed_sizes(call, row)
    assert sizes is not None
    assert (sizes.sequences, sizes.heads, sizes.queries, sizes.keys) == (3, 2, 20, 20)
    assert (sizes.longest, sizes.longest_keys) == (9, 9)
    told = {"unmasked_pairs": 2 * 70, "dense_pairs": 2 * 120}
    found = work_of(Call(name, call.inputs, attributes=told))
    assert found is not None
    products = 2 if name in {*FORWARD, *OWN_FORWARD} else 4
    assert found.flops == products * 2 * 8 * 140
    assert found.dense_flops == products * 2 * 8 * 240


@given(st.lists(LENGTH, min_size=1, max_size=6))
def test_no_packing_has_more_pairs_than_the_fullest(lengths) -> None:
    found = fullest_packing(sum(lengths), max(lengths), len(lengths))
    assert max(found) <= max(lengths)
    assert sum(found) <= sum(lengths)
    assert len(found) <= len(lengths)
    assert sum(n * n for n in found) >= sum(n * n for n in lengths)


def test_what_hides_the_true_lengths_is_not_counted() -> None:
    q, table = spec(2, 8, 2, 8), spec(2, 4, dtype="int32")
    inputs = list(forward_calls(q, q, q, True, (-1, -1))[1].inputs)
    inputs[14] = table
    assert work_of(Call("flash_attn_3::fwd", tuple(inputs))) is None


def test_only_what_was_never_run_is_unseen() -> None:
    assert all(is_unseen(name) for name in {*FORWARD, *BACKWARD})
    assert not any(is_unseen(name) for name in {*OWN_FORWARD, *OWN_BACKWARD, "aten::mm"})


def test_work_is_work() -> None:
    q = spec(1, 8, 2, 8)
    assert isinstance(work_of(forward_calls(q, q, q, True, (-1, -1))[0]), Work)
