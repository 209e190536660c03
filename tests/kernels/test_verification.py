"""Right kernels pass, wrong ones fail: a coarser mode, a wrong value, a place left unwritten."""

import math
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput_kernels import convolution, grouped, matmul
from goodput_kernels.convolution import Convolution
from goodput_kernels.operands import MODES, random_tensor
from goodput_kernels.verification import (
    ARITHMETIC,
    Kernel,
    product_limit,
    product_rows,
    relative_error,
    sample,
    verify,
    whole,
    widened,
)

torch = pytest.importorskip("torch", reason="kernels run through torch")

CONVOLUTION = Convolution("float32", (3, 8, 10, 10), (16, 8, 3, 3), (1, 1), (1, 1), (1, 1))
TRANSPOSED = replace(CONVOLUTION, weight=(8, 16, 3, 3), transposed=True)


def verification(candidate):
    """What verifying it gives; skips what this CPU lacks, found out as a measurement would."""
    try:
        with candidate.scope():
            candidate.prepare()()
    except (RuntimeError, AttributeError) as error:
        pytest.skip(f"{candidate.label}: {error}".splitlines()[0])
    return candidate.verify()


def runnable():
    for mode in MODES:
        yield from matmul.candidates(mode, 1, 70, 48, 64)
        yield from matmul.candidates(mode, 3, 8, 16, 32)
        yield from matmul.skinny(mode, 32, 64)[:2]
        yield from grouped.candidates(mode, 3, 16, 24, 32)
        for problem in (CONVOLUTION, TRANSPOSED):
            yield from convolution.candidates(replace(problem, mode=mode))


@pytest.mark.parametrize("candidate", list(runnable()), ids=lambda c: c.label)
def test_what_runs_on_a_cpu_is_right(candidate):
    result = verification(candidate)
    assert result.passed, result
    assert " of " in result.compared


def test_zeros_say_so_and_are_not_compared():
    (candidate, *_) = matmul.candidates("float32", 1, 8, 8, 8, data="zeros")
    assert candidate.name.endswith(" zeros")
    assert candidate.verify is None
    assert not torch.as_tensor(candidate.prepare()()).any()


def product(call, mode="float32", size=(1, 40, 24, 32), **fields):
    # A kernel that claims to be `left @ right` and is whatever `call` makes of them.
    _, m, n, k = size
    left, right = random_tensor((m, k), mode, "cpu"), random_tensor((k, n), mode, "cpu")
    return Kernel(
        call=partial(call, left, right),
        rows=m,
        expected=lambda rows: product_rows(
            rows,
            size,
            lambda _, chosen: widened(left[chosen]),
            lambda _, columns: widened(right[:, columns]),
        ),
        limit=product_limit(mode, k),
        **fields,
    )


def test_a_right_product_passes():
    assert verify(product(torch.mm)).passed


def test_a_product_in_a_coarser_mode_fails():
    # TF32 keeps 11 bits; here bfloat16 stands for it, and float16, whose 11 bits are the same.
    for coarse in (torch.bfloat16, torch.float16):
        kernel = product(lambda a, b, coarse=coarse: a.to(coarse).float() @ b.to(coarse).float())
        assert not verify(kernel).passed
    # The same error is allowed where the mode is TF32.
    rounded = product(lambda a, b: a.half().float() @ b.half().float(), "tf32")
    assert verify(rounded).passed


def test_one_wrong_row_among_those_compared_fails():
    def wrong(left, right):
        result = left @ right
        result[-1] += 0.01
        return result

    assert not verify(product(wrong)).passed


def test_a_place_that_is_left_unwritten_fails_wherever_it_is():
    size = (1, 500, 24, 32)
    target = torch.empty(500, 24)
    compared = set(sample(500, 64).tolist())
    unseen = next(row for row in range(500) if row not in compared)

    def all_but_one(left, right):
        rows = [row for row in range(500) if row != unseen]
        target[rows] = (left @ right)[rows]
        return target

    # With zeros in it, and none of them among the rows compared, it would pass.
    target.zero_()
    assert verify(product(all_but_one, size=size)).passed
    assert verify(product(all_but_one, size=size, target=target)).error == math.inf


def test_a_kernel_that_does_nothing_fails():
    target = torch.zeros(40, 24)
    assert verify(product(lambda _left, _right: target, target=target)).error == math.inf
    integers = torch.zeros(40, 24, dtype=torch.int32)
    kernel = product(lambda _left, _right: integers, mode="int8", target=integers)
    assert verify(kernel).error == math.inf


def test_memory_that_a_kernel_allocates_is_poisoned():
    # An allocator gives back what was just freed, as a rule: then nothing but NaN is in it, even
    # where it holds several pieces with the right result.
    found = []
    right = [product(lambda left, right: left @ right).call() for _ in range(40)]
    del right[::2]  # the others keep the pieces apart
    for _ in range(20):
        kernel = product(
            lambda _left, _right: torch.empty(40, 24),
            allocates=((40, 24), torch.float32, "cpu"),
        )
        found.append(verify(kernel).passed)
    assert not any(found)


def test_not_finite_is_not_whole():
    assert whole(torch.ones(3))
    assert not whole(torch.tensor([1.0, math.inf]))
    assert not whole(torch.tensor([1.0, math.nan], dtype=torch.bfloat16))
    assert whole(torch.zeros(3, dtype=torch.int32))
    assert not whole(torch.tensor([0, torch.iinfo(torch.int32).min], dtype=torch.int32))


def test_relative_error():
    exact = torch.tensor([3.0, 4.0], dtype=torch.float64)
    assert relative_error(torch.tensor([3.0, 4.5]), exact) == pytest.approx(0.1)
    assert relative_error(torch.zeros(2), torch.zeros(2).double()) == 0
    assert relative_error(torch.ones(2), torch.zeros(2).double()) == math.inf


@given(st.integers(1, 3000), st.integers(2, 80))
def test_a_sample_has_both_ends_and_no_row_twice(rows, most):
    chosen = sample(rows, most).tolist()
    assert len(chosen) == min(rows, most)
    assert chosen == sorted(set(chosen))
    assert (chosen[0], chosen[-1]) == (0, rows - 1)


@given(st.sampled_from(sorted(ARITHMETIC)), st.integers(1, 1 << 17))
def test_a_limit_grows_with_the_sum_and_never_reaches_one(mode, k):
    assert 0 <= product_limit(mode, k) <= product_limit(mode, k + 1) < 0.5


def test_limits_are_of_the_classes_that_the_dtypes_have():
    classes = {"float32": 1e-5, "tf32": 2e-3, "bfloat16": 1e-2}
    classes |= {"float16": 2e-3, "float8_e4m3": 6e-2}
    for mode, most in classes.items():
        assert product_limit(mode, 16384) < most
    assert product_limit("int8", 16384) == 0
    # A silent step down is at least ten times the limit of what was asked for.
    assert product_limit("float32", 16384) * 10 < product_limit("tf32", 64)


@given(batch=st.integers(1, 3), m=st.integers(1, 9), n=st.integers(1, 9), k=st.integers(1, 9))
def test_exact_rows_are_rows_of_the_product(batch, m, n, k):
    left, right = torch.randn(batch, m, k).double(), torch.randn(batch, k, n).double()
    rows = sample(batch * m, 5)
    found = product_rows(
        rows,
        (batch, m, n, k),
        lambda at, chosen: left[at][chosen],
        lambda at, columns: right[at][:, columns],
    )
    assert torch.allclose(found, (left @ right).reshape(batch * m, n)[rows])


def test_columns_are_widened_in_blocks(monkeypatch):
    monkeypatch.setattr("goodput_kernels.verification._BLOCK_ELEMENTS", 64)
    assert verify(product(torch.mm)).passed
