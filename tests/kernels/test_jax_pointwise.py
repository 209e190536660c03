"""Chains compute what they say on every value, count each operation, and lower for devices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

jax = pytest.importorskip("jax", reason="chains are jax's")

from goodput_kernels import jax_operands, jax_pointwise  # noqa: E402 - after the skip
from goodput_kernels.jax_loop import Loop, lower, start  # noqa: E402
from goodput_kernels.jax_pointwise import Chain  # noqa: E402

OPERATIONS = ["exp", "tanh", "multiply-add"]


@pytest.mark.parametrize(
    "candidate",
    [*jax_pointwise.special_candidates(8192), *jax_pointwise.multiply_add_candidates(8192)],
    ids=lambda c: c.name.split()[0],
)
def test_a_chain_agrees_with_float64(candidate):
    verified = candidate.verify()
    assert verified.passed, verified
    assert verified.compared == "all of 8192 values"
    assert np.asarray(candidate.prepare()()).shape == (8, 1024)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_chain_that_is_too_short_is_told(operation, monkeypatch):
    exact = jax_pointwise._exact
    monkeypatch.setattr(jax_pointwise, "_exact", lambda name, n, at: exact(name, n + 1, at))
    assert not jax_pointwise._verify(Chain(operation, 3), 8).passed


def test_a_chain_that_nothing_changes_is_refused():
    class LeftAlone(Chain):
        def __call__(self, operand, result, *rest):
            return super().__call__(rest[0], operand, result)

    operand, result = jax_pointwise._arrays(Chain("exp", 2), 8)
    with pytest.raises(RuntimeError, match="out of the loop"):
        start(Loop(LeftAlone("exp", 2), 3), operand, result, operand.copy())


@given(st.integers(1, 1 << 24), st.sampled_from(["cpu", "cuda", "hip", "tpu"]))
def test_amounts_count_every_operation(elements, kind):
    special = jax_pointwise.special_candidates(elements, kind)
    vector = jax_pointwise.multiply_add_candidates(elements, kind)
    assert {c.unit for c in special} == {"special"}
    assert {c.unit for c in vector} == {"flops"}
    for candidate in (*special, *vector):
        words = candidate.name.replace(",", "").split()
        operation, length, values, repeats = words[0], words[3], words[5], words[7]
        each = 2 if operation == "multiply-add" else 1
        abreast = jax_pointwise._ABREAST[operation]
        product = each * abreast * int(length) * int(values) * int(repeats)
        assert candidate.amount == product
        assert abs(int(values) - elements) <= 8192


def test_the_counted_operations_are_in_the_program():
    operand, result = jax_pointwise._arrays(Chain("exp", 3), 8)
    jaxpr = str(jax.make_jaxpr(Chain("exp", 3))(operand, result))
    assert jaxpr.count(" exp ") == 3 * jax_pointwise._ABREAST["exp"]


@pytest.mark.parametrize("kind", ["tpu", "cuda"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_pallas_chain_is_the_chain(kind, operation):
    step = Chain(operation, 5, kind, pallas=True, interpret=True)
    operand = jax_operands.positive_array((16, 1024), "cpu")
    exact = jax_pointwise._exact(operation, 5, np.asarray(operand).astype(np.float64))
    assert np.allclose(np.asarray(step(operand, operand)), exact, rtol=1e-5)


@pytest.mark.parametrize(("kind", "platform"), [("tpu", "tpu"), ("cuda", "cuda"), ("hip", "rocm")])
def test_chains_lower_for_devices(kind, platform, lowering_for):
    array = jax_operands.description((64, 1024), np.dtype("float32"))
    zero = jax_operands.description((), np.dtype("float32"))
    for operation in OPERATIONS:
        for pallas in (False, True):
            loop = Loop(Chain(operation, 8, kind, pallas=pallas), 2)
            with lowering_for(platform):
                text = lower(loop, array, array, zero, platform=platform).as_text()
            target = "tpu_custom_call" if kind == "tpu" else "xla.gpu.triton"
            assert (target in text) is pallas
