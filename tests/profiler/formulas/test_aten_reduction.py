"""What reductions, scans, softmax and sorting cost."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten  # noqa: F401 - registers the formulas
from goodput.formulas.reduction import reduced_shape, reduction, softmax
from goodput.formulas.registry import work_of
from goodput.work import Argument, Call, TensorSpec, Work

SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)
X = TensorSpec((4, 6), "float32")


def work(name: str, *inputs: Argument) -> Work:
    found = work_of(Call(f"aten::{name}", inputs))
    assert found is not None, name
    return found


@pytest.mark.parametrize(
    ("name", "inputs", "flops", "special", "written"),
    [
        ("sum", (X, None), 23, 0, 4),
        ("sum", (X, (1,), False, None), 24 - 4, 0, 4 * 4),
        ("sum", (X, (0, 1), True, None), 23, 0, 4),
        ("sum", (X, 7), 23, 0, 8),
        ("sum", (X, "torch.float64"), 23, 0, 8),
        ("sum", (TensorSpec((4, 6), "bool"), None), 0, 0, 8),
        ("mean", (X, (-1,), True, None), 24, 0, 4 * 4),
        ("amax", (X, (), False), 23, 0, 4),
        ("max", (X,), 23, 0, 4),
        ("max", (X, 1, False), 20, 0, 4 * (4 + 8)),
        ("max", (X, X), 24, 0, 96),
        ("argmax", (X, 0, False), 24 - 6, 0, 6 * 8),
        ("any", (TensorSpec((4, 6), "bool"),), 0, 0, 1),
        ("var", (X, (1,), 1, False), 4 * 24, 0, 16),
        ("std", (X, True), 4 * 24, 1, 4),
        ("var_mean", (X, (0,), 0, True), 4 * 24, 0, 2 * 24),
        ("prod", (X, None), 23, 0, 4),
        ("prod", (X, 1, False, None), 20, 0, 16),
        ("logsumexp", (X, (1,), False), 3 * 24 - 4, 24 + 4, 16),
        ("linalg_vector_norm", (X, 2, None, False, None), 2 * 24 - 1, 1, 4),
        ("linalg_vector_norm", (X, math.inf, None, False, None), 2 * 24 - 1, 0, 4),
        ("linalg_vector_norm", (X, 3, (1,), False, None), 2 * 24 - 4, 24 + 4, 16),
        ("cumsum", (X, 1, None), 24 - 4, 0, 96),
        ("cummax", (X, 0), 24 - 6, 0, 24 * 12),
        ("sort", (X, -1, False), 0, 0, 24 * 12),
        ("topk", (X, 2, -1, True, True), 0, 0, 8 * 12),
        ("median", (X,), 0, 0, 4),
        ("median", (X, 1, False), 0, 0, 4 * 12),
        ("_softmax", (X, -1, False), 4 * 24 - 8, 24, 96),
        ("_log_softmax", (X, 1, False), 4 * 24 - 8, 24 + 4, 96),
        ("_softmax", (TensorSpec((4, 6), "bfloat16"), 1, True), 4 * 24 - 8, 24, 96),
        ("_softmax_backward_data", (X, X, 1, 6), 4 * 24 - 4, 0, 96),
        ("_log_softmax_backward_data", (X, X, 1, 15), 3 * 24 - 4, 24, 48),
        ("_safe_softmax", (X, 1, None), 4 * 24 - 8, 24, 96),
        ("trace", (X,), 3, 0, 4),
    ],
)
def test_operator_costs(name, inputs, flops, special, written):
    found = work(name, *inputs)

    assert (found.vector_flops, found.special, found.bytes_written) == (flops, special, written)


@given(shape=SHAPES, data=st.data())
def test_a_sum_in_two_steps_costs_what_one_step_costs(shape, data):
    x = TensorSpec(shape, "float32")
    dim = data.draw(st.integers(0, len(shape) - 1))
    partial = TensorSpec(reduced_shape(shape, (dim,)), "float32")
    whole = work("sum", x, None).vector_flops
    first = work("sum", x, (dim,)).vector_flops

    assert first + work("sum", partial, None).vector_flops == whole


@given(shape=SHAPES, keep=st.booleans())
def test_keeping_dimensions_changes_no_work(shape, keep):
    x = TensorSpec(shape, "float32")

    assert work("amax", x, (0,), keep) == work("amax", x, (0,))
    assert math.prod(reduced_shape(shape, (0,), keep=keep)) == math.prod(shape[1:])


@given(rows=st.integers(1, 50), size=st.integers(1, 50))
def test_a_softmax_is_the_sum_of_its_rows(rows, size):
    whole, row = TensorSpec((rows, size), "float32"), TensorSpec((size,), "float32")

    assert softmax(whole, whole, size) == softmax(row, row, size) * rows


@given(st.lists(SHAPES, min_size=1, max_size=5), st.sampled_from([1, 2, 3, math.inf]))
def test_norms_of_a_list_are_the_sum_of_its_items(shapes, order):
    tensors = tuple(TensorSpec(shape, "float32") for shape in shapes)
    single = sum((work("linalg_vector_norm", x, order) for x in tensors), Work())

    assert work("_foreach_norm", tensors, order, None) == single


def test_norms_of_a_list_that_was_not_recorded_are_unknown():
    assert work_of(Call("aten::_foreach_norm", (None, 2, None))) is None


def test_an_empty_input_costs_nothing_but_its_output():
    empty = TensorSpec((0, 3), "float32")
    found = reduction(empty, (TensorSpec((), "float32"),), flops=1, output_flops=-1)

    assert found == Work(bytes_written=4)
    assert work("cumsum", empty, 0, None) == Work()
    assert work("_softmax", empty, 0) == Work()
