"""Which candidates answer which question, and how large they are."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.calibration.questions import (
    Questions,
    Source,
    ask_memory,
    ask_own,
    ask_pointwise,
    ask_standard,
    footprints,
    standard_convolutions,
    standard_products,
)
from goodput.calibration.ways import Target
from goodput.work import Contraction
from goodput_kernels.convolution import Convolution

CPU = Target("cpu", "cpu", 2, 8 << 20)
CUDA = Target("cuda", "cuda", 1, 50 << 20)
HIP = Target("cuda", "hip", 1, 256 << 20)
OWN = Contraction(1, 300, 200, 100, "float32")


@given(st.floats(0, 1e16), st.sampled_from([CPU, CUDA]))
def test_standard_products_fit_or_are_the_smallest(most, target):
    shapes = standard_products(target, most)
    assert len(set(shapes)) == len(shapes) >= 1
    if len(shapes) > 2:
        assert all(2 * m * n * k <= most for m, n, k in shapes)


def test_a_faster_cpu_gets_larger_products():
    assert standard_products(CPU, 2 * 1024**3) == (
        (256, 256, 256),
        (512, 512, 512),
        (1024, 1024, 1024),
        (256, 4096, 1024),
    )
    assert standard_products(CPU, 2 * 4096**3)[-2] == (4096, 4096, 4096)


def test_a_device_gets_whole_waves():
    assert (2816, 3072, 12288) in standard_products(CUDA, 1e13)
    assert standard_products(CUDA, 1e6) == ((1024, 1024, 1024),)


def test_standard_convolutions_fit():
    problems = standard_convolutions("bfloat16", 1e9)
    assert len(problems) == 3
    assert all(problem.flops <= 1e9 and problem.mode == "bfloat16" for problem in problems)
    assert all(problem.result[2:] == problem.image[2:] for problem in problems)
    assert standard_convolutions("bfloat16", 1e6) == ()


def test_every_backend_is_asked_on_a_cpu_and_sources_are_kept():
    questions = Questions()
    ask_standard(questions, "float32", CPU, 1e9)
    rivals = questions.groups["flops float32"]
    assert {c.library for c in rivals} == {"torch", "oneDNN", "NumPy"}
    assert any("conv" in c.name for c in rivals)
    assert set(questions.sources) == {c.label for c in rivals}
    for rival in rivals:
        label = rival.label.removesuffix(" on 1 thread")
        again = questions.sources[rival.label].candidates(CPU)
        assert rival.amount == next(c.amount for c in again if c.label == label)


def test_float32_convolutions_make_no_roof_on_a_device():
    problem = standard_convolutions("float32", 1e9)[0]
    questions = Questions()
    ask_standard(questions, "float32", CUDA, 1e12)
    ask_own(questions, "float32", (), (problem,), CUDA, 1e12)
    assert not any("conv" in c.name for c in questions.groups["flops float32"])
    ask_standard(questions, "bfloat16", CUDA, 1e12)
    assert any("conv" in c.name for c in questions.groups["flops bfloat16"])


def test_the_program_s_own_shapes_stand_beside_the_standard_ones():
    conv = Convolution("float32", (1, 4, 8, 8), (4, 4, 3, 3), (1, 1), (1, 1), (1, 1))
    other = Contraction(1, 7, 7, 7, "bfloat16")
    questions = Questions()
    ask_own(questions, "float32", (OWN, other), (conv,), CPU, 1e9)
    names = [c.name for c in questions.groups["flops float32"]]
    assert any("300x200x100" in name for name in names)
    assert any("1x4x8x8" in name for name in names)
    assert not any("7x7x7" in name for name in names)


def test_asking_twice_asks_once():
    questions = Questions()
    for _ in range(2):
        questions.ask_source("float32", Source(product=OWN), CPU)
    assert len(questions.groups["flops float32"]) == 3


@given(st.integers(0, 1 << 34))
def test_six_footprints_from_cache_to_past_it(cache):
    sizes = footprints(cache)
    assert len(sizes) == 6
    assert sizes[0] == 1 << 18
    assert sizes[-1] <= 1 << 30
    assert sizes[-1] >= min(4 * cache, 1 << 30) - 64
    steps = [b / a for a, b in itertools.pairwise(sizes)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)


def test_every_mix_is_asked_at_every_footprint():
    questions = Questions()
    ask_memory(questions, CPU)
    assert len(questions.groups) == 3 * 6
    assert all(questions.groups.values())
    for group, rivals in questions.groups.items():
        size = int(group.rpartition(" ")[2])
        assert all(abs(rival.working_set_bytes - size) < 64 for rival in rivals)


def test_vector_special_and_floor():
    for target, library in [(CPU, "NumPy"), (CUDA, "jiterator")]:
        questions = Questions()
        ask_pointwise(questions, target, 1e9)
        assert set(questions.groups) == {"vector", "special", "floor"}
        assert library in {c.library for c in questions.groups["vector"]}
        assert {c.unit for c in questions.groups["vector"]} == {"flops"}
        assert {c.unit for c in questions.groups["special"]} == {"special"}
        assert {c.unit for c in questions.groups["floor"]} == {"calls"}


def test_products_are_no_vector_work_on_amd():
    questions = Questions()
    ask_pointwise(questions, HIP, 1e12)
    assert not any(" mm" in f" {c.name}" for c in questions.groups["vector"])
