"""What norms cost, and that a backward makes only the gradients that its mask asks for."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten  # noqa: F401 - registers the formulas
from goodput.formulas.registry import work_of
from goodput.work import Argument, Call, TensorSpec, Work

ROWS, SIZE = 6, 8
X = TensorSpec((2, 3, SIZE), "float32")
N = ROWS * SIZE
ROW = TensorSpec((2, 3, 1), "float32")
W = TensorSpec((SIZE,), "float32")
IMAGE = TensorSpec((2, 4, 3, 3), "float32")
CHANNEL = TensorSpec((4,), "float32")
TRAINING, EVALUATION = (True, 0.1, 1e-5), (False, 0.1, 1e-5)


def work(name: str, *inputs: Argument) -> Work:
    found = work_of(Call(f"aten::{name}", inputs))
    assert found is not None, name
    return found


def layer_norm_backward(weight: TensorSpec | None, mask: tuple[bool, ...]) -> Work:
    return work("native_layer_norm_backward", X, X, (SIZE,), ROW, ROW, weight, weight, mask)


def test_layer_norm():
    found = work("native_layer_norm", X, (SIZE,), W, W, 1e-5)

    assert found.vector_flops == 8 * N + 3 * ROWS
    assert found.special == ROWS
    assert found.bytes_read == X.bytes + 2 * W.bytes
    assert found.bytes_written == X.bytes + 2 * 4 * ROWS


def test_layer_norm_without_weight_and_bias():
    assert work("native_layer_norm", X, (SIZE,), None, None, 1e-5).vector_flops == 6 * N + 3 * ROWS


@pytest.mark.parametrize("mask", list(product((True, False), repeat=3)))
def test_layer_norm_backward_honours_its_mask(mask):
    found = layer_norm_backward(W, mask)
    wants_input, wants_weight, wants_bias = mask
    each = 2 * (wants_input or wants_weight) + 8 * wants_input + 2 * wants_weight + wants_bias

    assert found.vector_flops == each * N
    written = X.bytes * wants_input + W.bytes * (wants_weight + wants_bias)
    assert found.bytes_written == written
    if not any(mask):
        assert found == Work()


def test_a_backward_without_its_mask_is_unknown():
    inputs = (X, X, (SIZE,), ROW, ROW, W, W)

    assert work_of(Call("aten::native_layer_norm_backward", inputs)) is None
    assert work_of(Call("aten::native_layer_norm_backward", (*inputs, (True,) * 3))) is not None


def test_rms_norm_has_no_mean():
    forward = work("_fused_rms_norm", X, (SIZE,), W, None)
    backward = work("_fused_rms_norm_backward", X, X, (SIZE,), ROW, W, (True, False))

    assert forward.vector_flops == 4 * N + 3 * ROWS
    assert forward.bytes_written == X.bytes + 4 * ROWS
    assert backward.vector_flops == 7 * N
    assert backward.bytes_written == X.bytes


def test_group_norm():
    found = work("native_group_norm", IMAGE, CHANNEL, CHANNEL, 2, 4, 9, 2, 1e-5)

    assert found.vector_flops == 8 * IMAGE.numel + 3 * 4
    assert found.special == 4
    backward = work(
        "native_group_norm_backward",
        *(IMAGE, IMAGE, TensorSpec((2, 2), "float32"), TensorSpec((2, 2), "float32"), CHANNEL),
        *(2, 4, 9, 2, (True, True, True)),
    )
    assert backward.vector_flops == 13 * IMAGE.numel
    assert backward.bytes_written == IMAGE.bytes + 2 * CHANNEL.bytes


@pytest.mark.parametrize("name", ["native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"])
def test_batch_norm_in_training_updates_its_running_statistics(name):
    found = work(name, IMAGE, *[CHANNEL] * 4, *TRAINING)

    assert found.vector_flops == 8 * IMAGE.numel + 3 * 4 + 3 * 8
    assert found.special == 4
    assert found.bytes_read == IMAGE.bytes + 4 * CHANNEL.bytes
    assert found.bytes_written == IMAGE.bytes + 4 * CHANNEL.bytes


def test_batch_norm_in_evaluation_is_one_multiply_add():
    found = work("native_batch_norm", IMAGE, *[CHANNEL] * 4, *EVALUATION)
    legit = work("_native_batch_norm_legit_no_training", IMAGE, *[CHANNEL] * 4, 0.1, 1e-5)

    assert found.vector_flops == 2 * IMAGE.numel + 4 * 4
    assert found.bytes_written == IMAGE.bytes
    assert legit == found


def test_batch_norm_overload_without_statistics():
    found = work("_native_batch_norm_legit", IMAGE, CHANNEL, CHANNEL, *TRAINING)

    assert found.vector_flops == 8 * IMAGE.numel + 3 * 4


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("cudnn_batch_norm_backward", (1e-5, TensorSpec((0,), "uint8"))),
        ("miopen_batch_norm_backward", (1e-5,)),
        ("native_batch_norm_backward", (True, 1e-5, (True, True, True))),
    ],
)
def test_batch_norm_backward(name, rest):
    found = work(name, IMAGE, IMAGE, *[CHANNEL] * 5, *rest)

    assert found.vector_flops == 13 * IMAGE.numel
    assert found.bytes_written == IMAGE.bytes + 2 * CHANNEL.bytes


def test_batch_norm_backward_in_evaluation_only_scales():
    inputs = (IMAGE, IMAGE, *[CHANNEL] * 3, None, None, False, 1e-5, (True, False, False))
    found = work("native_batch_norm_backward", *inputs)

    assert found.vector_flops == IMAGE.numel
    assert found.bytes_read == IMAGE.bytes + CHANNEL.bytes


@given(st.integers(1, 20), st.integers(1, 20), st.booleans())
def test_layer_norm_is_the_sum_of_its_rows(rows, size, has_weight):
    weight = TensorSpec((size,), "float32") if has_weight else None
    whole = work("native_layer_norm", TensorSpec((rows, size), "float32"), (size,), weight, None)
    single = work("native_layer_norm", TensorSpec((1, size), "float32"), (size,), weight, None)

    assert whole.vector_flops == rows * single.vector_flops
    assert whole.special == rows * single.special
