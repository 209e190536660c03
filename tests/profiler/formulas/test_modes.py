from __future__ import annotations

import pytest

import goodput.formulas.aten  # noqa: F401  # registers which operators are matrix-class
from goodput.formulas.modes import is_matrix_class, mode_of
from goodput.work import Call, TensorSpec


def spec(dtype: str, *shape: int) -> TensorSpec:
    return TensorSpec(shape, dtype)


def mm(name: str, *dtypes: str, tf32: bool = False) -> Call:
    inputs = tuple(spec(dtype, 4, 4) for dtype in dtypes)
    return Call(name, inputs, attributes={"tf32": tf32})


@pytest.mark.parametrize(
    ("name", "dtypes", "mode"),
    [
        ("aten::mm", ("bfloat16", "bfloat16"), "bfloat16"),
        ("aten::_int_mm", ("int8", "int8"), "int8"),
        ("aten::_scaled_mm", ("float8_e4m3", "float8_e5m2", "float32", "float32"), "float8_e4m3"),
        # The addend may be wider than what is multiplied.
        ("aten::addmm", ("float32", "bfloat16", "bfloat16"), "bfloat16"),
        ("aten::mm", ("complex64", "complex64"), "float32"),
        ("aten::mul", ("complex128", "complex128"), "float64"),
    ],
)
def test_a_matrix_operator_has_the_mode_of_its_first_matrix(name, dtypes, mode) -> None:
    assert mode_of(mm(name, *dtypes)) == mode


def test_tf32_is_for_float32_matrix_operators_only() -> None:
    assert mode_of(mm("aten::mm", "float32", "float32", tf32=True)) == "tf32"
    assert mode_of(mm("aten::mm", "float32", "float32")) == "float32"
    assert mode_of(mm("aten::convolution", "float32", "float32", tf32=True)) == "tf32"
    assert mode_of(mm("aten::mm", "bfloat16", "bfloat16", tf32=True)) == "bfloat16"
    assert mode_of(mm("aten::add", "float32", "float32", tf32=True)) == "float32"


def test_a_0_dim_tensor_does_not_set_the_mode_where_another_is_there() -> None:
    scalar, vector = spec("float64"), spec("bfloat16", 8)
    assert mode_of(Call("aten::mul", (scalar, vector))) == "bfloat16"
    assert mode_of(Call("aten::mul", (scalar,))) == "float64"


def test_integers_and_calls_without_tensors_have_no_mode() -> None:
    assert mode_of(Call("aten::add", (spec("int64", 3), 1))) == ""
    assert mode_of(Call("aten::mm")) == ""
    embedding = Call("aten::embedding", (spec("int64", 3), spec("float16", 5, 2)))
    assert mode_of(embedding) == "float16"


def test_matrix_class_is_what_multiplies_matrices() -> None:
    assert is_matrix_class("aten::baddbmm")
    assert is_matrix_class("aten::convolution_backward")
    assert is_matrix_class("aten::_cudnn_rnn")
    assert not is_matrix_class("aten::add")
    assert not is_matrix_class("aten::addr")
