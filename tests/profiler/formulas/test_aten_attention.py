# ruff: noqa: FBT003  # operators take their flags by position
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten
from goodput.formulas.aten_attention import BACKWARD, FORWARD, Row
from goodput.formulas.registry import has_formula, work_of
from goodput.work import Call, TensorSpec, Work

assert goodput.formulas.aten.MODULES
SDPA = "aten::_scaled_dot_product_"
FLASH, EFFICIENT = SDPA + "flash_attention", SDPA + "efficient_attention"
CPU = SDPA + "flash_attention_for_cpu"
LENGTH = st.integers(1, 64)


def spec(*shape: int, dtype: str = "bfloat16") -> TensorSpec:
    return TensorSpec(shape, dtype)


def work(name: str, *inputs, **attributes) -> Work:
    found = work_of(Call(name, inputs, attributes=attributes))
    assert found is not None
    return found


def heads(batch: int, count: int, tokens: int, dim: int) -> TensorSpec:
    return spec(batch, count, tokens, dim)


def forward_calls(q, k, v, *, causal: bool) -> list[Call]:
    """The same attention under every SDPA back end's name."""
    return [
        Call(FLASH, (q, k, v, 0.0, causal, False, None)),
        Call(CPU, (q, k, v, 0.0, causal, None, None)),
        Call(EFFICIENT, (q, k, v, None, True, 0.0, causal, None)),
        Call(SDPA + "cudnn_attention", (q, k, v, None, True, 0.0, causal, False)),
        Call(SDPA + "fused_attention_overrideable", (q, k, v, None, 0.0, causal)),
    ]


def backward_calls(q, k, v, *, causal: bool, mask: TensorSpec | None = None) -> list[Call]:
    lse = TensorSpec(q.shape[:-1], "float32")
    out = spec(*q.shape[:-1], v.shape[-1])
    lengths = (None, None, q.shape[2], k.shape[2])
    seeds = (spec(), spec())
    every = (True, True, True, mask is not None)
    return [
        Call(FLASH + "_backward", (out, q, k, v, out, lse, *lengths, 0.0, causal, *seeds)),
        Call(CPU + "_backward", (out, q, k, v, out, lse, 0.0, causal, mask, None)),
        Call(
            EFFICIENT + "_backward",
            (out, q, k, v, mask, out, lse, *seeds, 0.0, every, causal, None),
        ),
        Call(
            SDPA + "cudnn_attention_backward",
            (out, q, k, v, out, lse, *seeds, mask, *lengths, 0.0, causal),
        ),
        Call(
            SDPA + "fused_attention_overrideable_backward",
            (out, q, k, v, mask, every, out, lse, *lengths, 0.0, causal, *seeds),
        ),
    ]


@given(st.integers(1, 3), st.integers(1, 4), LENGTH, LENGTH, LENGTH, LENGTH, st.booleans())
def test_every_back_end_counts_the_same(b, h, queries, keys, d, v, causal) -> None:
    operands = heads(b, h, queries, d), heads(b, h, keys, d), heads(b, h, keys, v)
    seen = sum(min(i + 1, keys) for i in range(queries)) if causal else queries * keys
    for call in forward_calls(*operands, causal=causal):
        found = work_of(call)
        assert found is not None
        assert found.flops == 2 * b * h * seen * (d + v)
        assert found.dense_flops == 2 * b * h * queries * keys * (d + v)
        assert found.padding_flops == found.recompute_flops == 0
        assert found.special == b * h * seen
    for call in backward_calls(*operands, causal=causal):
        found = work_of(call)
        assert found is not None
        assert found.flops == 4 * b * h * seen * (d + v)
        assert found.recompute_flops == 2 * b * h * seen * d
        assert found.padding_flops == 0


def test_bytes_column_by_column() -> None:
    q, k, v = heads(2, 4, 8, 16), heads(2, 2, 10, 16), heads(2, 2, 10, 32)
    inputs = 2 * (2 * 4 * 8 * 16 + 2 * 2 * 10 * (16 + 32))
    output, sums = 2 * 2 * 4 * 8 * 32, 4 * 2 * 4 * 8
    for call in forward_calls(q, k, v, causal=False):
        found = work_of(call)
        assert found is not None
        assert (found.bytes_read, found.bytes_written) == (inputs, output + sums)
    for call in backward_calls(q, k, v, causal=False):
        found = work_of(call)
        assert found is not None
        assert (found.bytes_read, found.bytes_written) == (inputs + 2 * output + sums, inputs)
    inference = work(EFFICIENT, q, k, v, None, False, 0.0, False)
    assert inference.bytes_written == output


def test_grouped_query_attention_is_its_expansion_but_for_bytes() -> None:
    q, few, many = heads(2, 8, 16, 32), heads(2, 2, 16, 32), heads(2, 8, 16, 32)
    grouped = work(CPU, q, few, few, 0.0, True)
    expanded = work(CPU, q, many, many, 0.0, True)
    assert grouped.flops == expanded.flops
    assert grouped.vector_flops == expanded.vector_flops
    assert grouped.bytes_read < expanded.bytes_read


def test_a_causal_mask_is_aligned_as_the_operator_does() -> None:
    q, k = heads(1, 1, 4, 8), heads(1, 1, 10, 8)
    assert work(FLASH, q, k, k, 0.0, True).flops == 32 * 10
    turned = spec(1, 4, 1, 8), spec(1, 10, 1, 8)
    flash = (*turned, turned[1], None, None, 4, 10, 0.0, True, False)
    assert work("aten::_flash_attention_forward", *flash).flops == 32 * (7 + 8 + 9 + 10)
    for kind, seen in ((0, 40), (1, 10), (2, 34)):
        efficient = (*turned, turned[1], None, None, None, None, None, 0.0, kind, True)
        assert work("aten::_efficient_attention_forward", *efficient).flops == 32 * seen


def test_a_missing_flag_is_the_schemas_default_or_unknown() -> None:
    q = heads(1, 2, 8, 4)
    assert work(FLASH, q, q, q) == work(FLASH, q, q, q, 0.0, False)
    assert work_of(Call("aten::_flash_attention_forward", (q, q, q))) is None
    assert work_of(Call(FLASH + "_backward", (q, q, q, q))) is None
    assert all(work_of(Call(name)) is None for name in (*FORWARD, *BACKWARD))


def test_a_mask_tensor_is_dense_until_its_pairs_are_told() -> None:
    q, mask = heads(2, 4, 8, 16), spec(2, 1, 8, 8)
    dense = work(CPU, q, q, q, 0.0, False, mask)
    told = work(CPU, q, q, q, 0.0, False, mask, unmasked_pairs=2 * 4 * 20)
    pairs = 2 * 4 * 64
    assert dense.flops == dense.dense_flops == told.dense_flops == 64 * pairs
    assert dense.padding_flops == 0
    assert told.flops == 64 * 2 * 4 * 20
    # The kernel computes what the mask hides.
    assert told.executed_flops == dense.executed_flops
    assert told.vector_flops == dense.vector_flops == 6 * pairs
    bare = work(CPU, q, q, q, 0.0, False)
    assert dense.bytes_read == bare.bytes_read + mask.bytes


def test_told_pairs_hold_in_the_backward_pass_too() -> None:
    q, mask = heads(2, 4, 8, 16), spec(2, 1, 8, 8)
    for call in backward_calls(q, q, q, causal=False, mask=mask)[1:]:
        found = work_of(Call(call.name, call.inputs, attributes={"unmasked_pairs": 160}))
        dense = work_of(call)
        assert found is not None
        assert dense is not None
        assert found.flops == 4 * 32 * 160
        assert found.executed_flops == dense.executed_flops == 10 * 16 * 512


def test_an_undefined_mask_of_a_trace_is_no_mask() -> None:
    q = heads(2, 4, 8, 16)
    call = backward_calls(q, q, q, causal=False, mask=TensorSpec((), "float32"))[3]
    assert work_of(call) == work_of(backward_calls(q, q, q, causal=False)[3])


def test_efficient_backward_honours_its_mask_of_gradients() -> None:
    q = heads(1, 2, 8, 16)
    call = backward_calls(q, q, q, causal=False)[2]
    frozen = (*call.inputs[:10], (True, False, False, False), *call.inputs[11:])
    found, whole = work_of(Call(call.name, frozen)), work_of(call)
    assert found is not None
    assert whole is not None
    assert found.flops == whole.flops // 2  # dP and dQ
    assert found.executed_flops == whole.executed_flops
    assert found.bytes_written == q.bytes


def test_windows_of_flash_attention() -> None:
    q = spec(1, 16, 2, 8)
    base = (q, q, q, None, None, 16, 16, 0.0)
    rest = (False, None)
    name = "aten::_flash_attention_forward"
    seen = sum(min(i, 3) + 1 for i in range(16))
    assert work(name, *base, True, *rest, 3, -1).flops == 32 * 2 * seen
    assert work(name, *base, True, *rest, -1, -1).flops == 32 * 2 * 136
    both = sum(min(i, 3) + 1 + min(15 - i, 2) for i in range(16))
    assert work(name, *base, False, *rest, 3, 2).flops == 32 * 2 * both
    efficient = (q, q, q, None, None, None, None, None, 0.0, 1, False, None, None, 4)
    assert work("aten::_efficient_attention_forward", *efficient).flops == 32 * 2 * seen


def test_packed_sequences_are_unknown_until_told() -> None:
    q, one, three = spec(24, 2, 8), spec(2, dtype="int32"), spec(4, dtype="int32")
    name = "aten::_flash_attention_forward"
    assert work(name, q, q, q, one, one, 24, 24, 0.0, False, False).flops == 32 * 2 * 24 * 24
    packed = (q, q, q, three, three, 10, 10, 0.0, True, False)
    assert work_of(Call(name, packed)) is None
    told = work(name, *packed, unmasked_pairs=200, dense_pairs=380)
    assert (told.flops, told.dense_flops) == (32 * 200, 32 * 380)
    quantised = Call(name, packed, attributes={"overload": "quantized"})
    assert work_of(quantised) is None


def test_a_paged_cache_hides_the_key_lengths() -> None:
    q = spec(1, 4, 2, 8)
    base = (q, q, q, None, None, 4, 4, 0.0, False, False, None, -1, -1)
    assert work_of(Call("aten::_flash_attention_forward", (*base, spec(1, dtype="int32")))) is None


def test_math_on_mps_computes_masked_pairs() -> None:
    q = heads(1, 2, 8, 4)
    found = work(SDPA + "attention_math_for_mps", q, q, q, None, 0.0, True)
    assert found.flops == 16 * 2 * 36
    assert found.executed_flops == found.dense_flops == 16 * 2 * 64


@pytest.mark.parametrize(
    "name", ["scaled_dot_product_attention", "_scaled_dot_product_attention_math"]
)
def test_composites_are_left_to_what_runs_inside_them(name: str) -> None:
    assert not has_formula(f"aten::{name}")


def test_math_attention_counts_alike_live_and_in_a_trace(calls_of) -> None:
    torch = pytest.importorskip("torch")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention as sdpa

    q = torch.ones(2, 4, 8, 16, requires_grad=True)

    def program() -> None:
        with sdpa_kernel(SDPBackend.MATH):
            sdpa(q, q, q, is_causal=True).sum().backward()

    calls = calls_of(program)
    products = sum(found.flops for call in calls if (found := work_of(call)))
    # Every pair of forward, and of backward twice that: dense, as written by hand.
    assert products == 3 * 4 * 2 * 4 * 64 * 16


def test_the_cpu_kernel_is_read_as_pytorch_calls_it(calls_of) -> None:
    torch = pytest.importorskip("torch")
    from torch.nn.functional import scaled_dot_product_attention as sdpa

    q = torch.ones(2, 4, 8, 16, requires_grad=True)
    k = torch.ones(2, 2, 8, 16, requires_grad=True)
    calls = calls_of(lambda: sdpa(q, k, k, is_causal=True, enable_gqa=True).sum().backward())
    fused = {call.name: work_of(call) for call in calls if call.name in (*FORWARD, *BACKWARD)}
    forward, backward = fused[CPU], fused[CPU + "_backward"]
    assert forward is not None
    assert backward is not None
    assert forward.flops == 4 * 2 * 4 * 36 * 16
    assert backward.flops == 2 * forward.flops
    written = next(call for call in calls if call.name == CPU).outputs
    assert forward.bytes_written == sum(output.bytes for output in written)


WORDS = {
    "causal": ("is_causal",),
    "mask": ("attn_mask", "attn_bias", "bias"),
    "mask_type": ("custom_mask_type",),
    "windows": ("window_size_left",),
    "window": ("window_size",),
    "cumulative": ("cum_seq_q", "cu_seqlens_q"),
    "logsumexp": ("compute_log_sumexp",),
    "needed": ("grad_input_mask",),
    "query": ("query",),
}
PLACES = [
    (name, getattr(row, field), words)
    for name, row in (FORWARD | BACKWARD).items()
    for field, words in WORDS.items()
    if getattr(row, field) >= 0
]


@pytest.mark.parametrize(("name", "place", "words"), PLACES)
def test_arguments_stand_where_pytorch_has_them(named, name, place, words) -> None:
    assert named(name, place) in words


@pytest.mark.parametrize("name", [name for name, row in FORWARD.items() if row.unseen])
def test_what_hides_key_lengths_stands_where_pytorch_has_it(named, name) -> None:
    row: Row = FORWARD[name]
    assert {named(name, place) for place in row.unseen} <= {"seqused_k", "block_table", "seqlen_k"}
