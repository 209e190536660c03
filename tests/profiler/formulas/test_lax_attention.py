"""cuDNN's fused attention in JAX, against pairs counted one by one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas import lax
from goodput.formulas.registry import is_unseen, work_of
from goodput.readers.hlo import Computation, Instruction, Program
from goodput.readers.hlo_work import executed
from goodput.work import Call, TensorSpec

assert lax.MODULES
BATCH, HEADS, WIDTH = 2, 3, 8
sizes = st.integers(1, 12)


def spec(tokens, *, heads_first):
    shape = (BATCH, HEADS, tokens, WIDTH) if heads_first else (BATCH, tokens, HEADS, WIDTH)
    return TensorSpec(shape, "bfloat16")


def pairs_of(tokens, keys, *, causal, window):
    return sum(
        (not causal or key <= query) and (not window or key > query - window)
        for query in range(tokens)
        for key in range(keys)
    )


@given(sizes, sizes, st.booleans(), st.booleans(), st.integers(0, 5))
def test_forward_and_backward(tokens, keys, heads_first, causal, window) -> None:
    query, key = (spec(size, heads_first=heads_first) for size in (tokens, keys))
    attributes = {
        "mask_type": "CAUSAL" if causal else "NO_MASK",
        "layout": int(heads_first),
        "sliding_window_length": window,
    }
    pairs = BATCH * HEADS * pairs_of(tokens, keys, causal=causal, window=window)
    for name, products, again in (("fwd", 2, 0), ("bwd", 4, 1)):
        call = Call(f"lax::dot_product_attention_{name}", (query, key, key), (query,), attributes)
        work = work_of(call)
        assert work.flops == products * 2 * WIDTH * pairs
        assert work.recompute_flops == again * 2 * WIDTH * pairs
        assert work.dense_flops == products * 2 * WIDTH * BATCH * HEADS * tokens * keys
        assert is_unseen(call.name)


@pytest.mark.parametrize("mask", ["PADDING", "PADDING_CAUSAL", "ALIBI"])
def test_lengths_that_are_data_are_not_guessed(mask) -> None:
    query = spec(4, heads_first=False)
    call = Call("lax::dot_product_attention_fwd", (query,) * 3, (query,), {"mask_type": mask})
    assert work_of(call) is None


@pytest.fixture
def cudnn(monkeypatch):
    """JAX's lowering for cuDNN, with a cuDNN that is said to be there."""
    jax = pytest.importorskip("jax")
    module = pytest.importorskip("jax._src.cudnn.fused_attention_stablehlo")
    monkeypatch.setattr(module, "check_cudnn_version", lambda: 91000)
    monkeypatch.setattr(module, "check_compute_capability", lambda _: True)
    # A type of MLIR has to stand in one of its contexts.
    monkeypatch.setattr(module, "element_type_to_backend_config_type_mapping", lambda _: "BF16")
    return jax, module


def test_a_program_that_asks_for_cudnn_is_counted(cudnn) -> None:
    import goodput

    jax, _ = cudnn
    tokens = 64
    shape = jax.ShapeDtypeStruct((BATCH, tokens, HEADS, 64), jax.numpy.bfloat16)

    def attend(q, k, v):
        return jax.nn.dot_product_attention(q, k, v, is_causal=True, implementation="cudnn")

    def loss(q, k, v):
        return attend(q, k, v).astype(jax.numpy.float32).sum()

    product = 2 * 64 * BATCH * HEADS * tokens * (tokens + 1) // 2
    forward = goodput.count(attend, shape, shape, shape).totals
    assert forward.useful_flops == 2 * product
    both = goodput.count(jax.grad(loss, (0, 1, 2)), shape, shape, shape).totals
    assert (both.useful_flops, both.executed_flops) == (6 * product, 7 * product)


@pytest.mark.parametrize("heads_first", [False, True])
@pytest.mark.parametrize("backward", [False, True])
def test_the_kernel_in_hlo_by_jax_s_own_configuration(cudnn, heads_first, backward) -> None:
    _, module = cudnn
    tokens, keys = 6, 4
    config = json.loads(
        module.create_dot_product_attention_backend_config(
            BATCH,
            HEADS,
            tokens,
            keys,
            "bfloat16",
            1.0,
            0,
            0.0,
            module.MaskType.CAUSAL,
            int(heads_first),
            None,
            1,
            is_paged_attention=False,
            is_bwd=backward,
        )
    )
    query, key = (spec(size, heads_first=heads_first) for size in (tokens, keys))
    operands = [
        Instruction(f"p.{n}", "parameter", (each,)) for n, each in enumerate((query, key, key))
    ]
    target = module.get_custom_call_name(has_bias=False, has_dropout=False, is_bwd=backward)
    call = Instruction(
        "call",
        "custom-call",
        (query, TensorSpec((64,), "int8")),
        operands=tuple(each.name for each in operands),
        target=target,
        parameters={},
        config=config,
    )
    place = Computation("main", {each.name: each for each in (*operands, call)}, "call")
    found = executed(call, Program("module", {"main": place}, "main")).work
    pairs = BATCH * HEADS * pairs_of(tokens, keys, causal=True, window=0)
    assert found.flops == (4 if backward else 2) * 2 * WIDTH * pairs
    assert found.recompute_flops == backward * 2 * WIDTH * pairs
