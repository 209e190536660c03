"""Calls of a program as problems to measure, and how they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodput.calibration.shapes import convolution_of, cut_contraction, cut_convolution
from goodput.work import Call, Contraction, TensorSpec
from goodput_kernels.convolution import Convolution

IMAGE = TensorSpec((8, 6, 10, 12), "float32")
WEIGHT = TensorSpec((4, 3, 3, 5), "float32")
GRADIENT = TensorSpec((8, 4, 5, 6), "float32")
REST = ((2, 1), (1, 0), (1, 2))
SIDE = st.integers(1, 5000)


def plain(**changes):
    fields = {
        "mode": "float32",
        "image": IMAGE.shape,
        "weight": WEIGHT.shape,
        "stride": (2, 1),
        "padding": (1, 0),
        "dilation": (1, 2),
        "output_padding": (0, 0),
        "groups": 2,
    }
    return Convolution(**{**fields, **changes})


@pytest.mark.parametrize(
    "call",
    [
        Call("aten::convolution", (IMAGE, WEIGHT, None, *REST, False, (0, 0), 2)),
        Call("aten::_convolution", (IMAGE, WEIGHT, None, *REST, False, (0, 0), 2, True, True)),
        Call("aten::conv2d", (IMAGE, WEIGHT, None, *REST, 2)),
        Call(
            "aten::convolution_backward",
            (GRADIENT, IMAGE, WEIGHT, (4,), *REST, False, (0, 0), 2, (True, True, True)),
        ),
    ],
    ids=lambda call: call.name,
)
def test_every_spelling_is_the_same_convolution(call):
    assert convolution_of(call) == plain()


def test_defaults_and_single_numbers():
    assert convolution_of(Call("aten::conv2d", (IMAGE, WEIGHT))) == plain(
        stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1
    )
    assert convolution_of(Call("aten::conv2d", (IMAGE, WEIGHT, None, 3, (2,)))).stride == (3, 3)


def test_tf32_and_transposed():
    inputs = (IMAGE, WEIGHT, None, *REST, True, (1, 0), 2)
    found = convolution_of(Call("aten::convolution", inputs, attributes={"tf32": True}))
    assert found == plain(mode="tf32", transposed=True, output_padding=(1, 0))


@pytest.mark.parametrize(
    "call",
    [
        Call("aten::mm", (IMAGE, WEIGHT)),
        Call("aten::conv2d", ()),
        Call("aten::conv2d", (IMAGE, TensorSpec((), "float32"))),
        Call("aten::conv2d", (TensorSpec((6, 10, 12), "float32"), WEIGHT)),
        Call("aten::conv2d", (IMAGE, WEIGHT, None, 1, "same")),
    ],
)
def test_what_is_no_convolution_is_passed_over(call):
    assert convolution_of(call) is None


@given(st.integers(1, 64), SIDE, SIDE, SIDE, st.floats(2, 1e12))
def test_a_cut_contraction_fits_and_never_grows(batch, m, n, k, most):
    whole = Contraction(batch, m, n, k, "float32")
    cut = cut_contraction(whole, most)
    assert cut.flops <= max(most, 2)
    assert all(getattr(cut, side) <= getattr(whole, side) for side in ("batch", "m", "n", "k"))
    if whole.flops <= most:
        assert cut == whole
    else:
        # One halving of the batch or of one side at a time: at most about half is given away.
        assert cut.flops * 4 > most or cut.flops == 2


def test_a_batch_is_cut_before_the_sides():
    cut = cut_contraction(Contraction(64, 100, 100, 100, "float32"), 8e6)
    assert cut == Contraction(4, 100, 100, 100, "float32")


def test_a_cut_convolution_keeps_whole_images():
    whole = plain()
    one = plain(image=(1, *IMAGE.shape[1:])).flops
    assert cut_convolution(whole, 10 * whole.flops) == whole
    assert cut_convolution(whole, 2.5 * one).image == (2, *IMAGE.shape[1:])
    assert cut_convolution(whole, 0.9 * one) is None
