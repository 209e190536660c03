"""What pooling and interpolation cost, with output sizes as PyTorch has them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import goodput.formulas.aten  # noqa: F401 - registers the formulas
from goodput.formulas.registry import work_of
from goodput.formulas.resampling import adaptive_taps, pooled_size
from goodput.work import Argument, Call, TensorSpec, Work

IMAGE = TensorSpec((2, 3, 8, 8), "float32")


def work(name: str, *inputs: Argument) -> Work:
    found = work_of(Call(f"aten::{name}", inputs))
    assert found is not None, name
    return found


def test_max_pool_compares_and_writes_indices():
    found = work("max_pool2d_with_indices", IMAGE, (2, 2), (2, 2), (0, 0), (1, 1))

    assert found.vector_flops == 96 * 3
    assert found.bytes_read == IMAGE.bytes
    assert found.bytes_written == 96 * 12


def test_average_pool_divides():
    found = work("avg_pool2d", IMAGE, (2,), (), (0,))

    assert (found.vector_flops, found.bytes_written) == (96 * 4, 96 * 4)


def test_adaptive_pool_to_one_reads_everything_once():
    found = work("_adaptive_avg_pool2d", IMAGE, (1, 1))

    assert (found.vector_flops, found.bytes_written) == (IMAGE.numel, 6 * 4)


def test_backward_writes_the_input_size():
    small, index = TensorSpec((2, 3, 4, 4), "float32"), TensorSpec((2, 3, 4, 4), "int64")
    sizes = ((2, 2), (2, 2), (0, 0), (1, 1), False)
    maximum = work("max_pool2d_with_indices_backward", small, IMAGE, *sizes, index)
    mean = work("avg_pool2d_backward", small, IMAGE, (2, 2), (2, 2), (0, 0))

    assert (maximum.vector_flops, mean.vector_flops) == (96, 96 * 5)
    assert maximum.bytes_written == mean.bytes_written == IMAGE.bytes


@pytest.mark.parametrize(
    ("name", "flops"),
    [("upsample_nearest2d", 0), ("upsample_bilinear2d", 7), ("upsample_bicubic2d", 31)],
)
def test_upsampling_takes_a_product_a_tap(name, flops):
    rest = (False, None, None) if "nearest" not in name else (None, None)
    found = work(name, IMAGE, (16, 16), *rest)
    vector = (False, (2.0, 2.0)) if "nearest" not in name else ((2.0, 2.0),)

    assert found.vector_flops == flops * 4 * IMAGE.numel
    assert found.bytes_written == 4 * IMAGE.bytes
    assert work(name, IMAGE, None, *vector) == found


def test_a_pool_without_its_kernel_is_unknown():
    assert work_of(Call("aten::max_pool2d_with_indices", (IMAGE,))) is None
    assert work_of(Call("aten::upsample_nearest2d", (IMAGE,))) is None


@settings(deadline=None)  # the first call imports torch
@given(
    size=st.integers(1, 30),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 2),
    up=st.booleans(),
    data=st.data(),
)
def test_pooled_size_agrees_with_torch(size, kernel, stride, dilation, up, data):
    torch = pytest.importorskip("torch")
    padding = data.draw(st.integers(0, kernel // 2))
    if size + 2 * padding < dilation * (kernel - 1) + 1:
        return
    pooled = torch.nn.functional.max_pool1d(
        torch.zeros(1, 1, size), kernel, stride, padding, dilation, up
    )

    assert pooled_size(size, kernel, stride, padding, dilation, up=up) == pooled.shape[-1]


@given(st.integers(1, 20), st.integers(1, 20))
def test_adaptive_windows_cover_the_input(size, count):
    taps = adaptive_taps((size,), (count,))

    assert max(size, count) <= taps <= size + 2 * count
    if size % count == 0:
        assert taps == size
