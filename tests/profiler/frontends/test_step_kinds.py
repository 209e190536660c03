"""Kinds of steps by their input signatures, with arrays of no framework in particular."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from goodput.frontends.step_kinds import describe, elements, signature

SHAPES = st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=5)


def array(shape):
    return np.zeros(shape, np.float32)


def test_tensors_are_found_one_level_deep_and_nothing_else_is_looked_at():
    args = (array([2, 3]), 7, "text", [array([4]), None], {"a": array([5, 1])}, [[array([9])]])
    found = signature(args, {"mask": array([6])})
    assert [shape for shape, _ in found] == [(2, 3), (4,), (5, 1), (6,)]


@given(SHAPES)
def test_elements_are_those_of_all_inputs(shapes):
    arrays = [array(shape) for shape in shapes]
    kind = (signature(tuple(arrays), {}), signature((array([3]),), {}))
    assert elements(kind) == sum(a.size for a in arrays) + 3


def test_a_kind_is_described_for_people():
    one = signature((array([8, 128]), array([8])), {})
    assert describe((one,)) == "inputs float32[8,128], float32[8]"
    assert describe((one, one)).startswith("2 module calls, the first with inputs float32[8,128]")
    assert describe((signature((1,), {}),)) == "no tensor as input"
    many = signature(tuple(array([n]) for n in range(5)), {})
    assert describe((many,)) == "inputs float32[0], float32[1], float32[2], …"


def test_a_kind_that_is_no_signature_says_nothing():
    assert describe(None) == describe(()) == ""
    assert elements(3) == 0
