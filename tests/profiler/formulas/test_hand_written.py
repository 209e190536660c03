"""Attention by hand is a product, a softmax over its scores and a product with the weights."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.hand_written import HandWritten
from goodput.work import TensorSpec

SIZE = st.integers(1, 40)


def spec(*shape: int) -> TensorSpec:
    return TensorSpec(shape, "float32")


@given(SIZE, SIZE, SIZE, st.sampled_from(["", "a", "a.b"]))
def test_any_sizes_are_found_in_their_module(queries, keys, width, module) -> None:
    found = HandWritten()
    found.note("aten::bmm", (spec(6, queries, width), spec(6, width, keys)), module)
    assert found.modules == ()
    found.note("aten::_softmax", (spec(2, 3, queries, keys),), f"{module}.softmax")
    found.note("aten::bmm", (spec(6, queries, keys), spec(6, keys, width)), module)
    assert found.modules == (module,)


@given(SIZE, SIZE, SIZE)
def test_another_module_in_between_changes_nothing_and_takes_nothing(queries, keys, width) -> None:
    found = HandWritten()
    scores = spec(6, queries, width), spec(6, width, keys)
    found.note("aten::baddbmm", (spec(6, queries, keys), *scores), "a")
    found.note("aten::bmm", (spec(6, 3, 3), spec(6, 3, 3)), "b")
    found.note("aten::_safe_softmax", (spec(2, 3, queries, keys),), "a")
    found.note("aten::bmm", (spec(6, queries, keys), spec(6, keys, width)), "a")
    assert found.modules == ("a",)


def test_calls_without_shapes_are_let_pass() -> None:
    found = HandWritten()
    found.note("aten::bmm", (), "")
    found.note("aten::_softmax", (), "")
    found.note("aten::bmm", (spec(2),), "")
    assert found.modules == ()
