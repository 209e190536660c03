"""Attention by hand is a product, a softmax over its scores and a product with the weights."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from goodput.formulas.hand_written import (
    TELL_THE_MASK,
    HandWritten,
    HandWrittenExponential,
    told,
)
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


def test_a_sink_is_a_column_more_in_the_softmax() -> None:
    found = HandWritten()
    found.note("aten::bmm", (spec(6, 5, 8), spec(6, 8, 7)), "attention")
    found.note("aten::_softmax", (spec(2, 3, 5, 8),), "attention")
    found.note("aten::bmm", (spec(6, 5, 7), spec(6, 7, 8)), "attention")
    assert found.modules == ("attention",)


def test_calls_without_shapes_are_let_pass() -> None:
    found = HandWritten()
    found.note("aten::bmm", (), "")
    found.note("aten::_softmax", (), "")
    found.note("aten::bmm", (spec(2),), "")
    assert found.modules == ()


def test_attention_without_a_softmax_is_told_by_its_exponential() -> None:
    watch = HandWrittenExponential()
    query, key, scores = (TensorSpec(shape, "float32") for shape in ((8, 4), (6, 4), (8, 6)))
    watch.product(query, key, scores.numel, "layer")
    watch.exponential(scores, "layer.softmax")
    watch.product(key, scores, 32, "layer")  # einsum may put the weights second
    watch.product(scores, key, 32, "layer")  # their values were found already
    assert watch.modules == ("layer",)


def test_an_exponential_of_something_else_is_no_softmax() -> None:
    watch = HandWrittenExponential()
    query, key, scores = (TensorSpec(shape, "float32") for shape in ((8, 4), (6, 4), (8, 6)))
    watch.product(query, key, scores.numel, "layer")
    watch.exponential(query, "layer")
    watch.exponential(scores, "other")
    watch.product(scores, key, 32, "layer")
    assert watch.modules == ()


def test_advice_is_left_out_where_there_is_none() -> None:
    (with_advice,), (without,) = told(["layer"], "it"), told(["layer"], "it", advice="")
    assert with_advice == f"{without}; {TELL_THE_MASK}"
