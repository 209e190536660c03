"""Narrow formats stand for what they say, and their products are right where a CPU has them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput_kernels import matmul, scaled

torch = pytest.importorskip("torch", reason="kernels run through torch")


def drawn(rows, k, seed=0):
    return torch.randn((rows, k), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "candidate", scaled.candidates("float8_e4m3", 70, 48, 64), ids=lambda c: c.name
)
def test_float8_products_are_right(candidate):
    try:
        candidate.prepare()
    except RuntimeError as error:
        pytest.skip(f"no float8 on this CPU: {error}".splitlines()[0])
    assert candidate.verify().passed


def test_wrong_scales_fail(monkeypatch):
    candidate = scaled.candidates("float8_e4m3", 70, 48, 64)[0]
    multiply = torch._scaled_mm
    monkeypatch.setattr(
        torch, "_scaled_mm", lambda a, b, one, two, **rest: multiply(a, b, 2 * one, two, **rest)
    )
    assert not candidate.verify().passed


def test_a_gpu_has_both_scales_with_fast_accumulation_on_and_off():
    names = [c.name for c in matmul.candidates("float8_e4m3", 1, 32, 16, 64, "cuda")]
    assert names == [
        f"scaled_mm {way} 32x16x64 float8_e4m3"
        for way in ("tensor-wise", "tensor-wise fast", "row-wise", "row-wise fast")
    ]


@pytest.mark.parametrize("mode", ["mxfp8", "nvfp4"])
def test_a_format_that_the_device_lacks_raises_what_a_measurement_expects(mode):
    (candidate,) = matmul.candidates(mode, 1, 128, 128, 128)
    assert candidate.amount == 2 * 128**3
    with pytest.raises(RuntimeError):
        candidate.prepare()


def test_batches_of_scaled_products_are_not_to_be_had():
    assert matmul.candidates("float8_e4m3", 2, 16, 16, 16) == ()


@given(rows=st.integers(1, 9), blocks=st.integers(1, 3), seed=st.integers(0, 99))
@settings(deadline=None)
def test_formats_are_as_near_as_their_bits_allow(rows, blocks, seed):
    values = drawn(rows, 32 * blocks, seed)
    # Half a step of 3 or 1 bits of mantissa, at most 8 or 2 times finer near zero; a block scale
    # of nvfp4 is itself rounded to 3 bits, and may cut its largest number off by as much.
    for narrow, error in (
        (scaled.mxfp8, 2**-4),
        (scaled.nvfp4, 0.25),
        (lambda v: scaled.float8(v, None), 2**-4),
        (lambda v: scaled.float8(v, 1), 2**-4),
    ):
        found = narrow(values).exact(slice(None))
        assert found.dtype == torch.float64
        assert (found - values).norm() <= error * values.norm()


def test_the_whole_range_is_used():
    values = drawn(64, 64)
    assert scaled.float8(values, None).stored.float().abs().max() == 448
    assert (scaled.float8(values, 1).stored.float().abs().amax(1) == 448).all()
    assert (scaled.mxfp8(values).stored.float().abs().amax(1) > 224).all()


def test_float4_codes_are_packed_in_pairs_and_come_back():
    numbers = torch.tensor([[0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0] * 2])
    numbers[0, 8:] *= -1
    operand = scaled.nvfp4(numbers)
    assert torch.equal(operand.exact(slice(None)).abs(), numbers.abs().double())
    assert torch.equal(operand.exact(slice(None)) + 0, numbers.double() + 0)
    codes = operand.stored.view(torch.uint8).flatten().tolist()
    assert codes == [0x10, 0x32, 0x54, 0x76, 0x90, 0xBA, 0xDC, 0xFE]


@given(rows=st.integers(1, 300), blocks=st.integers(1, 9))
@settings(deadline=None, max_examples=30)
def test_block_scales_lie_where_cublas_looks_for_them(rows, blocks):
    # docs.nvidia.com/cuda/cublas, "1D block scaling factors layout"
    scales = torch.arange(rows * blocks).reshape(rows, blocks).to(torch.uint8)
    found = scaled.swizzled(scales)
    wide = -(-blocks // 4)
    assert found.numel() == -(-rows // 128) * 128 * wide * 4
    for row, block in ((0, 0), (rows - 1, blocks - 1), (rows // 2, blocks // 2)):
        tile = 512 * (row // 128 * wide + block // 4)
        place = tile + row % 32 * 16 + row % 128 // 32 * 4 + block % 4
        assert found[place] == scales[row, block]


def test_zeros_stay_zeros():
    zeros = torch.zeros(4, 64)
    for narrow in (scaled.mxfp8, scaled.nvfp4, lambda v: scaled.float8(v, 1)):
        assert not narrow(zeros).exact(slice(None)).any()
