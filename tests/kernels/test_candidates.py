"""Every candidate computes what its name says, and counts the work that it does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput_kernels import convolution, latency, matmul, pointwise
from goodput_kernels.convolution import Convolution
from goodput_kernels.operands import MODES, item_bytes, random_tensor, result_bytes
from goodput_kernels.precision import float32_math
from goodput_kernels.threads import on_threads, one_thread

torch = pytest.importorskip("torch", reason="kernels run through torch")
CANNOT_RUN = (RuntimeError, AttributeError)
TOLERANCE = {"float32": 1e-4, "float64": 1e-12, "bfloat16": 2e-2, "float16": 2e-2, "int8": 0}


def run(candidate):
    """The result of one call in float64, on a poisoned heap or not; skips what this CPU lacks."""
    try:
        with candidate.scope():
            result = candidate.prepare()()
    except CANNOT_RUN as error:
        pytest.skip(f"{candidate.label}: {error}".splitlines()[0])
    return torch.as_tensor(result).to(torch.float64)


@pytest.mark.parametrize("mode", sorted(TOLERANCE))
@pytest.mark.parametrize("size", [(1, 24, 40, 32), (3, 8, 16, 24)])
def test_a_product_is_the_product_of_its_operands(mode, size):
    batch, m, n, k = size
    left = random_tensor((batch, m, k), mode, "cpu").double()
    plain = random_tensor((batch, k, n), mode, "cpu").double()
    transposed = random_tensor((batch, n, k), mode, "cpu").double().transpose(1, 2)
    for candidate in matmul.candidates(mode, *size):
        if candidate.library == "oneDNN" and mode == "int8":
            continue  # its operands differ: unsigned, and of 7 bits
        right = plain if candidate.name.split()[0] in {"mm", "matmul"} else transposed
        expected = left @ right
        result = run(candidate).reshape(expected.shape)
        error = (result - expected).abs().max() / expected.abs().max()
        assert error <= TOLERANCE[mode], candidate.label


def test_every_cpu_library_is_a_rival_in_float32():
    libraries = {c.library for c in matmul.candidates("float32", 1, 8, 8, 8)}
    assert libraries == {"torch", "oneDNN", "NumPy"}


def test_a_gpu_has_both_layouts():
    names = [c.name for c in matmul.candidates("bfloat16", 1, 8, 8, 8, "cuda")]
    assert names == ["mm 8x8x8 bfloat16", "mm-nt 8x8x8 bfloat16"]


@given(st.sampled_from(MODES), *[st.integers(1, 50)] * 4)
def test_a_product_counts_its_multiply_adds(mode, batch, m, n, k):
    each = 8 if mode.startswith("complex") else 2
    for candidate in matmul.candidates(mode, batch, m, n, k):
        assert candidate.unit == "flops"
        assert candidate.amount == each * batch * m * n * k
        operands = (m * k + k * n) * item_bytes(mode)
        expected = batch * (operands + m * n * result_bytes(mode))
        assert candidate.working_set_bytes == expected


@given(
    space=st.lists(st.integers(4, 9), min_size=1, max_size=3),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
    transposed=st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_a_convolution_has_the_shape_and_the_products_that_it_says(
    space, kernel, stride, padding, dilation, groups, transposed
):
    rank = len(space)
    reach = dilation * (kernel - 1) + 1
    space = [max(size, reach) for size in space]
    problem = Convolution(
        mode="float32",
        image=(2, 4, *space),
        weight=(4, 6 // groups, *[kernel] * rank)
        if transposed
        else (6, 4 // groups, *[kernel] * rank),
        stride=(stride,) * rank,
        padding=(min(padding, kernel - 1),) * rank,
        dilation=(dilation,) * rank,
        transposed=transposed,
        groups=groups,
    )
    results = [run(candidate) for candidate in convolution.candidates(problem)]
    assert len(results) == (1 if rank == 1 else 2)
    for result in results:
        assert tuple(result.shape) == problem.result
        assert torch.allclose(result, results[0], atol=1e-4)
    taps = 4 // groups * kernel**rank
    outputs = int(np.prod(problem.result))
    if transposed:
        taps, outputs = 6 // groups * kernel**rank, 2 * 4 * int(np.prod(space))
    assert problem.flops == 2 * outputs * taps


def test_a_convolution_is_named_by_what_differs_from_the_plain_case():
    plain = Convolution("float32", (1, 4, 8, 8), (4, 4, 1, 1), (1, 1), (0, 0), (1, 1))
    assert plain.name == "1x4x8x8 * 4x4x1x1"
    fancy = Convolution("float32", (1, 4, 8, 8), (4, 2, 3, 3), (2, 2), (1, 1), (1, 1), groups=2)
    assert fancy.name == "1x4x8x8 * 4x2x3x3 stride 2x2 padding 1x1 groups 2"


@pytest.mark.parametrize("candidate", pointwise.special_candidates(64), ids=lambda c: c.name)
def test_special_functions(candidate):
    values = torch.linspace(0.5, 1.5, 64, dtype=torch.float64)
    expected = getattr(torch, candidate.name.split()[0])(values)
    assert candidate.amount == 64
    assert torch.allclose(run(candidate), expected, atol=1e-5)


def test_multiply_add():
    candidate = pointwise.multiply_add_candidate(64)
    values = torch.linspace(0.5, 1.5, 64, dtype=torch.float64)
    assert candidate.amount == 128
    assert torch.allclose(run(candidate), values + values * values, atol=1e-5)


def test_the_shortest_operators_run():
    assert {run(candidate).numel() for candidate in latency.candidates()} == {1}


def test_labels_are_unique():
    labels = [c.label for mode in MODES for c in matmul.candidates(mode, 1, 8, 8, 8)]
    assert len(labels) == len(set(labels))


def test_operands_leave_the_program_s_random_numbers_alone():
    before = torch.random.get_rng_state()
    first = random_tensor((4, 4), "float32", "cpu")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, random_tensor((4, 4), "float32", "cpu"))


def test_operands_are_not_zeros_in_any_mode():
    for mode in MODES:
        values = random_tensor((64, 64), mode, "cpu")
        wide = torch.complex128 if values.dtype.is_complex else torch.float64
        assert values.to(wide).count_nonzero() > 3900  # a float8 has few numbers, and zero is one
        assert not random_tensor((64, 64), mode, "cpu", "zeros").to(wide).any()


@pytest.mark.parametrize("legacy", [False, True])
def test_the_float32_switches_are_put_back(legacy):
    matmul_switch = torch.backends.cuda.matmul
    before = matmul_switch.fp32_precision
    try:
        if legacy:
            matmul_switch.allow_tf32 = True
        user = matmul_switch.fp32_precision
        with float32_math("tf32"):
            assert matmul_switch.fp32_precision == "tf32"
        with float32_math("float32"):
            assert matmul_switch.fp32_precision == "ieee"
            assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
        assert matmul_switch.fp32_precision == user
        if legacy:
            assert matmul_switch.allow_tf32 is True
    finally:
        if legacy:
            matmul_switch.allow_tf32 = False
        matmul_switch.fp32_precision = before


def test_a_mode_without_operands_has_no_candidates():
    assert matmul.candidates("float4", 1, 8, 8, 8) == ()
    problem = Convolution("float4", (1, 4, 8, 8), (4, 4, 1, 1), (1, 1), (0, 0), (1, 1))
    assert convolution.candidates(problem) == ()


def test_one_thread_is_one_thread_and_is_put_back():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone = one_thread(latency.candidates()[0])
        assert alone.name.endswith("on 1 thread")
        with alone.scope():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_number_of_threads_is_kept_to():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        pair = on_threads(latency.candidates()[0], 2)
        assert pair.name.endswith("on 2 threads")
        with pair.scope():
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
