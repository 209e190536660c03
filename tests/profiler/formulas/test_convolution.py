from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodput.formulas.convolution import (
    convolution,
    output_positions,
    transposed_output_positions,
)
from goodput.work import Work

SIZE = st.integers(0, 64)


@given(SIZE, st.lists(SIZE, min_size=1, max_size=3), SIZE, SIZE, st.integers(1, 5))
def test_closed_form(images, positions, out_channels, in_per_group, tap) -> None:
    weight = (out_channels, in_per_group, *(tap for _ in positions))
    product = convolution(images, positions, weight)
    flops = 2 * images * math.prod(positions) * out_channels * in_per_group * tap ** len(positions)
    assert product.forward == Work(flops=flops, dense_flops=flops)


@given(SIZE, SIZE, SIZE, SIZE)
def test_each_gradient_costs_as_much_as_the_forward_pass(images, positions, out, taps) -> None:
    product = convolution(images, [positions], (out, taps))
    assert product.backward(of_input=True, of_weight=False) == product.forward
    assert product.backward(of_input=False, of_weight=True) == product.forward
    assert product.backward(of_input=True, of_weight=True) == product.forward * 2
    assert product.backward(of_input=False, of_weight=False) == Work()


def multiply_adds(images, positions, out_channels, in_channels, groups, kernel) -> int:
    """Counts the loops of a grouped convolution, padding taps and all."""
    per_group = out_channels // groups
    count = 0
    for _ in itertools.product(range(images), *map(range, positions)):
        for out_channel, in_channel in itertools.product(range(out_channels), range(in_channels)):
            same_group = out_channel // per_group == in_channel // (in_channels // groups)
            count += same_group * math.prod(kernel)
    return count


@settings(max_examples=50)
@given(
    st.integers(1, 2),
    st.lists(st.integers(1, 3), min_size=1, max_size=2),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_it_is_the_multiply_adds_of_the_loops(images, positions, out, ins, groups, tap) -> None:
    kernel = (tap,) * len(positions)
    expected = multiply_adds(images, positions, out * groups, ins * groups, groups, kernel)
    product = convolution(images, positions, (out * groups, ins, *kernel))
    assert product.forward.flops == 2 * expected


GEOMETRY = st.tuples(
    st.integers(8, 12), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3)
)


@given(st.lists(GEOMETRY, min_size=1, max_size=3))
def test_output_positions_are_the_places_where_the_kernel_fits(dimensions) -> None:
    sizes, kernel, stride, padding, dilation = zip(*dimensions, strict=True)
    expected = tuple(
        len(range(0, size + 2 * p - d * (k - 1), s)) for size, k, s, p, d in dimensions
    )
    assert output_positions(sizes, kernel, stride, padding, dilation) == expected


@given(st.lists(GEOMETRY, min_size=1, max_size=3))
def test_a_transposed_convolution_undoes_the_shape_of_a_convolution(dimensions) -> None:
    sizes, kernel, stride, padding, dilation = zip(*dimensions, strict=True)
    small = output_positions(sizes, kernel, stride, padding, dilation)
    rest = tuple((size + 2 * p - d * (k - 1) - 1) % s for size, k, s, p, d in dimensions)
    assert transposed_output_positions(small, kernel, stride, padding, dilation, rest) == sizes


def test_a_resnet_stem() -> None:
    # 64 filters of 3 x 7 x 7 at stride 2 on 224 x 224: 118,013,952 multiply-adds.
    positions = output_positions((224, 224), (7, 7), (2, 2), (3, 3), (1, 1))
    assert positions == (112, 112)
    assert convolution(1, positions, (64, 3, 7, 7)).flops == 2 * 118_013_952


def test_complex_operands_take_four_real_products() -> None:
    assert convolution(1, [5], (2, 3), real=4).flops == 4 * convolution(1, [5], (2, 3)).flops


def test_mismatched_dimensions_are_an_error() -> None:
    with pytest.raises(ValueError, match="argument"):
        output_positions((4, 4), (3,), (1, 1), (0, 0), (1, 1))
