"""Operator calls as problems that a kernel can measure."""

import pytest

from goodput.frontends.problems import convolution_of
from goodput.work import Call, TensorSpec
from goodput_kernels.convolution import Convolution

IMAGE = TensorSpec((8, 6, 10, 12), "float32")
WEIGHT = TensorSpec((4, 3, 3, 5), "float32")
GRADIENT = TensorSpec((8, 4, 5, 6), "float32")
REST = ((2, 1), (1, 0), (1, 2))


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
