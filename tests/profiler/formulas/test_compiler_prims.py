"""The primitives that inductor takes operators apart into."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import goodput.formulas.aten
from goodput.formulas.registry import work_of
from goodput.work import Call, TensorSpec, Work

assert goodput.formulas.aten.MODULES

SIZES = st.integers(1, 500)


def call(name, inputs, *outputs):
    return work_of(Call(name, inputs, outputs))


def floats(*shape):
    return TensorSpec(shape, "float32")


@given(SIZES)
def test_conversions_move_what_they_convert(rows):
    half = TensorSpec((rows,), "bfloat16")
    work = call("prims::convert_element_type", (floats(rows), "torch.bfloat16"), half)
    assert work == Work(bytes_read=4 * rows, bytes_written=2 * rows)


@given(SIZES)
def test_counting_only_writes(rows):
    made = TensorSpec((rows,), "int64")
    assert call("prims::iota", (rows,), made) == Work(bytes_written=8 * rows)


@given(SIZES)
def test_a_multiply_add_is_two(rows):
    work = call("prims::fma", (floats(rows),) * 3, floats(rows))
    assert (work.vector_flops, work.bytes_read, work.bytes_written) == (
        2 * rows,
        12 * rows,
        4 * rows,
    )


@pytest.mark.parametrize(("mode", "each"), [("rand", 0), ("randn", 2)])
def test_random_numbers_cost_what_those_of_torch_do(mode, each):
    work = call("prims::inductor_random", ((8,), TensorSpec((), "int64"), mode), floats(8))
    assert (work.vector_flops, work.special) == (8 * each, 8 * each)
    eager = call("aten::rand" if mode == "rand" else "aten::randn", ((8,), None))
    assert (work.vector_flops, work.special) == (eager.vector_flops, eager.special)


def test_a_seed_is_one_number():
    work = call(
        "prims::inductor_lookup_seed", (TensorSpec((4,), "int64"), 1), TensorSpec((), "int64")
    )
    assert work == Work(bytes_read=8)


@given(SIZES, SIZES)
def test_the_sums_of_a_softmax_take_four_each(rows, columns):
    inputs = (floats(rows, columns), 1)
    work = call("prims::prepare_softmax_online", inputs, floats(rows, 1), floats(rows, 1))
    assert (work.vector_flops, work.special) == (3 * rows * columns, rows * columns)
    assert work.bytes_written == 2 * 4 * rows


def test_pooling_compares_all_but_one_of_a_window():
    offsets = TensorSpec((2, 3, 4, 4), "int8")
    inputs = (floats(2, 3, 8, 8), (2, 2), (2, 2), (0, 0), (1, 1), False)
    work = call("prims::_low_memory_max_pool_with_offsets", inputs, floats(2, 3, 4, 4), offsets)
    assert work.vector_flops == 3 * 2 * 3 * 4 * 4


@given(SIZES)
def test_masked_adding_adds_each_value(rows):
    index, mask = TensorSpec((rows,), "int64"), TensorSpec((rows, 1), "bool")
    inputs = (floats(256, 8), mask, (index,), floats(rows, 8))
    work = call("aten::_unsafe_masked_index_put_accumulate", inputs, floats(256, 8))
    assert work.vector_flops == rows * 8
    assert work.bytes_written == 256 * 8 * 4


@given(SIZES)
def test_masked_picking_adds_nothing(rows):
    index, mask = TensorSpec((rows,), "int64"), TensorSpec((rows, 1), "bool")
    work = call("aten::_unsafe_masked_index", (floats(256, 8), mask, (index,), 0), floats(rows, 8))
    assert (work.flops, work.vector_flops) == (0, 0)
    assert work.bytes_written == rows * 8 * 4
