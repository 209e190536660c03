"""Memory kernels move what they count, and every byte of it in each pass."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

jax = pytest.importorskip("jax", reason="these kernels are jax's")

from goodput_kernels import jax_latency, jax_memory, jax_operands  # noqa: E402 - after the skip
from goodput_kernels.jax_hlo import in_loops  # noqa: E402
from goodput_kernels.jax_loop import Loop, lower, start  # noqa: E402
from goodput_kernels.jax_memory import MIXES, Pass  # noqa: E402

KINDS = ["cpu", "cuda", "hip", "tpu"]
OPERATORS = [name for names in jax_memory._KERNELS.values() for name in names]


@pytest.mark.parametrize("mix", MIXES)
def test_every_mix_agrees_with_float64(mix):
    for candidate in jax_memory.cpu_candidates(mix, 1 << 18):
        verified = candidate.verify()
        assert verified.passed, (candidate.label, verified)
        assert np.isfinite(np.asarray(candidate.prepare()())).all()


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_wrong_result_is_told(operator, monkeypatch):
    exact = jax_memory._exact
    monkeypatch.setattr(jax_memory, "_exact", lambda *args: exact(*args) * 1.001)
    assert not jax_memory._verify(Pass(operator), 8, "cpu").passed


@given(st.sampled_from(MIXES), st.integers(1, 1 << 33), st.sampled_from(KINDS))
def test_traffic_is_each_array_once_a_pass(mix, footprint, kind):
    arrays = {"copy": 2, "two-in-one-out": 3}.get(mix, 1)
    passes = 2 if mix == "in-place" else 1
    for candidate in jax_memory.candidates(mix, footprint, kind):
        words = candidate.name.replace(",", "").split()
        real, repeats = int(words[2]), int(words[4])
        assert candidate.working_set_bytes == real
        assert candidate.amount == real * passes * repeats
        assert repeats >= 2
        assert real == max(real, 32768 * arrays)
        assert abs(real - footprint) <= max(footprint, 32768 * arrays) / 2 + 32768 * arrays


def test_a_device_has_a_pallas_copy():
    assert {c.library for c in jax_memory.candidates("copy", 1 << 24, "tpu")} == {"XLA", "Pallas"}
    assert {c.library for c in jax_memory.candidates("copy", 1 << 24, "cpu")} == {"XLA"}


@pytest.mark.parametrize("operator", OPERATORS)
def test_each_pass_makes_one_array_and_copies_no_other(operator):
    operand, result, *rest = jax_memory._arrays(Pass(operator), 64, "cpu")
    whole = 64 * 1024
    zero = jax_operands.description((), result.dtype)
    loop = jax_memory._loop(Pass(operator), 3)
    hlo = lower(loop, operand, result, zero, *rest).compile().as_text()
    assert not [i for i in in_loops(hlo) if i.opcode == "copy" and i.elements == whole]


@pytest.mark.parametrize("operator", ["scale", "triad", "sum"])
def test_a_pass_over_what_nothing_changes_is_refused(operator):
    class LeftAlone(Pass):
        def __call__(self, operand, result, *rest):  # noqa: ARG002 - that is the point
            return super().__call__(rest[-1], operand, rest[0])

    operand, result, *rest = jax_memory._arrays(Pass(operator), 8, "cpu")
    rest = rest or [operand.copy()]
    with pytest.raises(RuntimeError, match="out of the loop"):
        start(Loop(LeftAlone(operator), 3), operand, result, *rest, rest[0].copy())


@pytest.mark.parametrize("kind", ["tpu", "cuda"])
def test_the_pallas_copy_copies(kind):
    for rows in (8, 24, 512):
        source = jax_operands.positive_array((rows, 1024), "cpu")
        copied = Pass("copy-kernel", kind, interpret=True)(source, source)
        assert np.array_equal(np.asarray(copied), np.asarray(source))


@pytest.mark.parametrize(("kind", "platform"), [("tpu", "tpu"), ("cuda", "cuda"), ("hip", "rocm")])
def test_every_pass_lowers_for_devices(kind, platform, lowering_for):
    for operator in (*OPERATORS, "copy-kernel"):
        arrays = jax_memory._arrays(Pass(operator), 64, "cpu")
        operand, result, *rest = [
            jax_operands.description(array.shape, array.dtype) for array in arrays
        ]
        zero = jax_operands.description((), result.dtype)
        loop = jax_memory._loop(Pass(operator, kind), 2)
        with lowering_for(platform):
            text = lower(loop, operand, result, zero, *rest, platform=platform).as_text()
        target = "tpu_custom_call" if kind == "tpu" else "xla.gpu.triton"
        assert (target in text) is (operator == "copy-kernel")


def test_the_shortest_programs_run():
    (call,) = jax_latency.candidates()
    assert call.amount == 1
    assert np.asarray(call.prepare()()).shape == (1,)
    made = jax_latency._loop("cpu")()  # a device's own
    assert np.asarray(made).shape == (1,)
    assert [c.amount for c in jax_latency.candidates("tpu")] == [1, 1000]


def test_without_jax_there_are_no_candidates(monkeypatch):
    monkeypatch.setattr(jax_operands, "find_spec", lambda _: None)
    assert jax_memory.cpu_candidates("copy", 1 << 20) == ()
