"""Products through JAX are right, stay in their loops, and lower for devices that are not here."""

import importlib.util
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput_kernels import jax_matmul, jax_operands
from goodput_kernels.jax_matmul import Dot, PallasDot, _Problem
from goodput_kernels.jax_operands import MODES
from goodput_kernels.jax_verification import compare
from goodput_kernels.numpy_verification import product
from goodput_kernels.operands import RANDOM, ZEROS, item_bytes, result_bytes
from goodput_kernels.verification import product_limit

if importlib.util.find_spec("jax") is None:
    pytest.skip("needs jax", allow_module_level=True)

CPU_MODES = ["float32", "bfloat16", "float16", "int8", "float64"]
KINDS = ["cpu", "cuda", "hip", "tpu"]


@pytest.mark.parametrize("mode", CPU_MODES)
@pytest.mark.parametrize("size", [(1, 24, 40, 32), (3, 8, 16, 24)])
def test_a_product_agrees_with_float64(mode, size):
    (candidate,) = jax_matmul.cpu_candidates(mode, *size)
    verified = candidate.verify()
    assert verified.passed, verified
    assert verified.error > 0 or mode in {"int8", "float64"}


def verify(step, m, n, k, data=RANDOM):
    return jax_matmul._verify(_Problem(step, 1, m, n, k, "cpu", data))


def test_zeros_are_zeros():
    (candidate,) = jax_matmul.cpu_candidates("int8", 1, 8, 8, 8, data=ZEROS)
    assert "zeros" in candidate.name
    assert not np.asarray(candidate.prepare()()).any()
    assert candidate.verify().passed
    (plain,) = jax_matmul.cpu_candidates("int8", 1, 8, 8, 8)
    assert np.asarray(plain.prepare()()).all()


def test_float8_is_right_where_it_runs():
    verified = verify(Dot("float8_e4m3", "DEFAULT"), 32, 32, 64)
    assert verified.passed, verified


@pytest.mark.parametrize("mode", CPU_MODES)
def test_a_wrong_product_is_told(mode):
    class Wrong(Dot):
        def __call__(self, operand, result, *rest):
            return super().__call__(operand * 2, result, *rest)

    assert not verify(Wrong(mode), 16, 16, 16).passed


def test_what_no_kernel_wrote_is_told():
    class Silent(Dot):
        def __call__(self, operand, result, *rest):
            made = super().__call__(operand, result, *rest)
            return result.at[:-1].set(made[:-1])  # the last row stays poisoned

    assert verify(Silent("float32"), 16, 16, 16).error == float("inf")


def test_a_call_goes_on_where_the_last_one_ended():
    (candidate,) = jax_matmul.cpu_candidates("float32", 1, 16, 24, 32)
    call = candidate.prepare()
    first = np.asarray(call()).copy()
    assert np.array_equal(first, np.asarray(call()))


@given(st.sampled_from(MODES), st.sampled_from(KINDS), *[st.integers(1, 600)] * 4)
def test_a_call_counts_every_product_in_it(mode, kind, batch, m, n, k):
    for candidate in jax_matmul.candidates(mode, batch, m, n, k, kind):
        repeats = int(candidate.name.split(", ")[1].split()[0])
        assert repeats >= 2
        assert candidate.unit == "flops"
        assert candidate.amount == 2 * batch * m * n * k * repeats
        inputs = batch * (m * k + k * n) * item_bytes(mode)
        assert candidate.working_set_bytes == inputs + batch * m * n * result_bytes(mode)


@given(st.sampled_from(KINDS), *[st.integers(1, 8192)] * 3)
@settings(max_examples=50)
def test_labels_are_unique(kind, m, n, k):
    labels = [c.label for mode in MODES for c in jax_matmul.candidates(mode, 1, m, n, k, kind)]
    assert len(labels) == len(set(labels))


def test_each_device_has_its_modes_and_kernels():
    def libraries(mode, kind):
        found = jax_matmul.candidates(mode, 1, 1024, 1024, 1024, kind)
        return [(c.library, c.name.split(" 1024x")[0]) for c in found]

    assert libraries("tf32", "cpu") == []
    assert libraries("float64", "tpu") == []
    assert libraries("float4", "cuda") == []
    assert libraries("float32", "METAL") == []
    assert [library for library, _ in libraries("bfloat16", "cpu")] == ["XLA"]
    for kind in ("cuda", "tpu"):
        assert {library for library, _ in libraries("bfloat16", kind)} == {"XLA", "Pallas"}
    assert ("XLA", "dot-nt precise") in libraries("float8_e4m3", "cuda")
    assert {library for library, _ in libraries("float32", "cuda")} == {"XLA"}


def test_precision_is_in_the_program():
    assert Dot("float32").precision == "HIGHEST"
    steps = {mode: jax_matmul._steps(mode, (1, 8, 8, 8), "cuda")[0][2] for mode in MODES}
    assert steps["float32"].precision == "HIGHEST"
    assert steps["tf32"].precision == "DEFAULT"


def test_without_jax_there_are_no_candidates(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(jax_operands, "find_spec", lambda _: None)
    assert jax_matmul.cpu_candidates("float32", 1, 8, 8, 8) == ()


def test_making_candidates_imports_no_jax():
    import subprocess

    code = (
        "import sys; from goodput_kernels import jax_matmul as m;"
        "print(len(m.cpu_candidates('float32', 1, 8, 8, 8)), 'jax' in sys.modules)"
    )
    path = str(next(p for p in sys.path if p.endswith("kernels")))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": path},
    )  # fmt: skip
    assert done.stdout.split() == ["1", "False"]


PALLAS = [
    ("tpu", "bfloat16", (512, 256, 512)),
    ("tpu", "float32", (256, 128, 384)),
    ("tpu", "int8", (256, 256, 128)),
    ("tpu", "float8_e4m3", (128, 256, 256)),
    ("cuda", "bfloat16", (256, 128, 96)),
    ("cuda", "float16", (128, 256, 64)),
    ("cuda", "tf32", (128, 128, 64)),
    ("hip", "bfloat16", (128, 128, 64)),
]


@pytest.mark.parametrize(("kind", "mode", "size"), PALLAS)
def test_the_pallas_product_is_right_in_the_interpreter(kind, mode, size):
    block = jax_matmul.blocks(mode, (1, *size), kind)
    step = PallasDot(mode, kind, block, interpret=True)
    left, right = _Problem(step, 1, *size, "cpu", RANDOM).operands()
    result = jax_operands.poison(size[:2], jax_operands.result_dtype_of(mode), "cpu")
    found = step(left, result, right)
    exact = product(left, right)
    assert compare(found, found, exact, product_limit(mode, size[2]), "all").passed


PLATFORMS = {"cuda": "cuda", "hip": "rocm", "tpu": "tpu"}
TARGETS = {"cuda": "xla.gpu.triton", "hip": "xla.gpu.triton", "tpu": "tpu_custom_call"}


@pytest.mark.parametrize("kind", PLATFORMS)
@pytest.mark.parametrize("mode", MODES)
def test_every_product_lowers_for_its_device(kind, mode, lowering_for):
    from goodput_kernels.jax_loop import Loop, lower

    m, n, k = size = (2816, 3072, 4096)
    with jax_operands.widest(mode), lowering_for(PLATFORMS[kind]):
        for _, name, step in jax_matmul._steps(mode, (1, *size), kind):
            if not jax_matmul.candidates(mode, 1, *size, kind):
                continue
            turned = isinstance(step, Dot) and step.transposed
            dtype, made = jax_operands.dtype_of(mode), jax_operands.result_dtype_of(mode)
            shapes = (
                ((m, k), dtype),
                ((m, n), made),
                ((), made),
                ((n, k) if turned else (k, n), dtype),
            )
            described = [jax_operands.description(*shape) for shape in shapes]
            text = lower(Loop(step, 2), *described, platform=PLATFORMS[kind]).as_text()
            assert (TARGETS[kind] in text) == name.startswith("matmul"), name
            assert "stablehlo.while" in text


@given(st.sampled_from(["cuda", "hip", "tpu"]), st.sampled_from(MODES), *[st.integers(1, 9000)] * 3)
def test_blocks_divide_the_product_and_fit_the_vector_memory(kind, mode, m, n, k):
    block = jax_matmul.blocks(mode, (1, m, n, k), kind)
    if block is not None:
        assert all(whole % edge == 0 for whole, edge in zip((m, n, k), block, strict=True))
    wide = jax_matmul.blocks(mode, (1, 1024 * m, 1024 * n, 1024 * k), kind)
    if wide is not None and kind == "tpu":
        rows, columns, depth = wide
        streamed = (rows * depth + depth * columns) * item_bytes(mode)
        streamed += rows * columns * result_bytes(mode)
        assert 2 * streamed + 4 * rows * columns <= 12 << 20
